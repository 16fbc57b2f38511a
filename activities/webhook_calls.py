"""The calls to merchants' receivers: an HTTP client of its own, kept out of our own network.

Nothing here shares a connection, a thread or a time-out with the calls to providers: receivers may be as slow, and as
hostile, as they like.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from agreements.deliveries import LONGEST_ASKED
from gateways import http
from store.deliveries import Attempted

_MOST_CONNECTIONS = 200
_LOOK_UPS = 16
"""Threads for name look-ups: a name server that never answers holds one until the system gives up."""
_READ = 1024
"""Bytes of an answer's body that are read."""
_SHOWN = 300
"""Characters of it that the log shows."""

# What must not be kept, should a receiver send it back: keys, secrets, anything as long as a card number.
_SECRETS = re.compile(r"\b(?:whsec_|sk_(?:test|live)_)[\w+/=-]+|\bBearer\s+\S+|\b\d(?:[ -]?\d){12,18}\b", re.I)

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host name; raises OSError when it has none."""


class PrivateAddress(httpx.RequestError):
    """The name leads into a private network."""


class _Addresses(httpx.AsyncBaseTransport):
    """Looks a name up once, judges the addresses, and connects to these: a second look-up could say something else.

    The Host header and the name in TLS stay the merchant's. Connections are not kept: the pool knows them by address
    only, and two names at one address must not share one.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, resolve: Resolve, *, public_only: bool) -> None:
        self._inner = inner
        self._resolve = resolve
        self._public_only = public_only

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.raw_host.decode("ascii")
        addresses = await self._resolve(name)
        if self._public_only and not all(map(is_public, addresses)):
            raise PrivateAddress("the address is private")
        failure: Exception = OSError(f"{name} has no address")
        for address in addresses:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": name},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    async def aclose(self) -> None:
        await self._inner.aclose()


class WebhookCalls:
    """Sends one request and tells what came of it. Made once per worker; `close` it at the end."""

    def __init__(
        self,
        *,
        timeout: timedelta = timedelta(seconds=15),
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`timeout` is for one attempt as a whole (design §4); `resolve` and `transport` stand in for DNS and network
        in tests.
        """
        self._timeout = timeout
        self._look_ups = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="webhook-names")
        inner = transport or httpx.AsyncHTTPTransport(
            trust_env=False, limits=httpx.Limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=0)
        )
        look_up = resolve or self._look_up
        self._clients = {
            livemode: http.client(_Addresses(inner, look_up, public_only=livemode)) for livemode in (False, True)
        }

    async def close(self) -> None:
        """Closes every connection."""
        for client in self._clients.values():
            await client.aclose()
        self._look_ups.shutdown(wait=False, cancel_futures=True)

    async def post(
        self, url: str, headers: Mapping[str, str], body: str, *, livemode: bool, secrets: Sequence[str] = ()
    ) -> Attempted:
        """Never raises for the receiver's sake. Private addresses are refused in live mode; `secrets` are kept out of
        what is told of the answer.
        """
        at, started = datetime.now(UTC), time.monotonic()
        answer: httpx.Response | None = None
        read = b""
        error: str | None
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                client = self._clients[livemode]
                request = client.build_request("POST", url, content=body, headers=headers)
                answer = await client.send(request, stream=True, follow_redirects=False)
                try:
                    read = await _first_bytes(answer)
                finally:
                    await answer.aclose()
            error = None if answer.is_success else f"HTTP {answer.status_code}"
        except (OSError, UnicodeError, httpx.HTTPError, httpx.InvalidURL) as failure:
            error = _in_words(failure, self._timeout)
        return Attempted(
            at=at,
            latency=timedelta(seconds=time.monotonic() - started),
            error=error,
            status=answer.status_code if answer is not None else None,
            answer=shown(read, secrets) or None,
            asked=_asked_for(answer, datetime.now(UTC)) if answer is not None else timedelta(0),
        )

    async def _look_up(self, name: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._look_ups, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet's, whatever it is wrapped in."""
    found = ipaddress.ip_address(address)
    wrapped = [found]
    if isinstance(found, ipaddress.IPv6Address):
        inside = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
        if found in _NAT64:
            inside.append(ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF))
        wrapped = [one for one in inside if one is not None] or wrapped
    return all(one.is_global and not one.is_multicast for one in wrapped)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def shown(body: bytes, secrets: Sequence[str] = ()) -> str:
    """The first bytes of an answer as the log keeps them: printable, and without anything that looks like a secret."""
    text = _SECRETS.sub("[redacted]", body.decode(errors="replace"))
    for secret in secrets:
        text = text.replace(secret.removeprefix("whsec_"), "[redacted]")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:_SHOWN]


async def _first_bytes(answer: httpx.Response) -> bytes:
    read = b""
    async for part in answer.aiter_raw(_READ):
        read += part
        if len(read) >= _READ:
            break
    return read[:_READ]


def _in_words(failure: Exception, timeout: timedelta) -> str:
    if isinstance(failure, PrivateAddress):
        return str(failure)
    if isinstance(failure, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(failure, TimeoutError | httpx.TimeoutException):
        return f"no answer within {timeout.total_seconds():g} seconds"
    return f"{type(failure).__name__}: {failure}"[:_SHOWN]


def _asked_for(answer: httpx.Response, now: datetime) -> timedelta:
    """Retry-After, in seconds or as a date (RFC 9110 §10.2.3); nothing where it is absent or makes no sense."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        wait = timedelta(seconds=int(text)) if text.isdecimal() else parsedate_to_datetime(text) - now
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
    return max(timedelta(0), min(wait, LONGEST_ASKED))
