"""What the connectors share of HTTP: clients, one pool of connections per provider, and what a call without an answer
says. What an answer says is each connector's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

_CONNECT_SECONDS = 3.0
_IDLE_SECONDS = 15.0
"""Shorter than servers usually keep an idle connection: reusing one the server just closed costs an inquiry."""
_CONNECTIONS = 50

FAILURES = (httpx.HTTPError, httpx.InvalidURL, TimeoutError)
"""What a call may raise, its deadline (`asyncio.timeout`) included."""


class NoBody(Exception):
    """The answer's body is not to be read; the text is the evidence."""


@asynccontextmanager
async def pools(gateways: Iterable[str], connections: int) -> AsyncIterator[Mapping[str, httpx.AsyncClient]]:
    """A client per provider, so that a slow one keeps its own calls waiting and nobody else's.

    `connections` is how many calls to one provider are under way at once: then none waits for a connection, and all of
    them stay open from one debit to the next.
    """
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(client(connections=connections)) for name in gateways}


def client(transport: httpx.AsyncBaseTransport | None = None, *, connections: int = _CONNECTIONS) -> httpx.AsyncClient:
    """A client for calls that move money: verified TLS, no redirects, no retries, no cookies, nothing from the host.

    Its time-outs are per step only; every call must also set its own deadline (`asyncio.timeout`), since a server that
    sends a byte now and then never trips a read time-out. `trust_env` is off so that neither a proxy variable nor a
    .netrc of the host can divert a signed debit; the account's base URL is the only place that decides where it goes.
    Cookies are refused because the client is shared by all merchants. HTTP/1.1, which every provider here is known to
    speak. `transport` stands in for the network in tests.
    """
    return httpx.AsyncClient(
        verify=True,
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(30.0, connect=_CONNECT_SECONDS),
        limits=httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_IDLE_SECONDS
        ),
        headers={"user-agent": "autodebit", "accept": "application/json", "accept-encoding": "identity"},
        transport=transport,
    )


def evidence(failure: Exception) -> str:
    """Why no answer came, without personal data. Only with `not_connected` and `account_base_url` was nothing sent."""
    if isinstance(failure, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "account_base_url"
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return "not_connected"
    return "timeout" if isinstance(failure, TimeoutError | httpx.TimeoutException) else "connection"


async def body(response: httpx.Response, most: int) -> bytes:
    """The body of an answer that is being read, up to so many bytes. Raises NoBody, and what the client raises."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NoBody("encoded")  # not asked for; a compressed body could unpack to any size
    read = bytearray()
    async for chunk in response.aiter_bytes():
        read += chunk
        if len(read) > most:
            raise NoBody("too_large")
    return bytes(read)
