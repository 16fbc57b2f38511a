"""How merchants' receivers are reached: connections that are kept for a while, each made to an address that was judged.

The check sits where a connection is made, below HTTP and TLS: whatever a name server says later, an open connection
leads to the address it was opened to, and every new one is judged anew.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpcore

from activities.capacity import MOST_WEBHOOKS
from agreements.addresses import is_public

_IDLE_SECONDS = 4.0
"""Less than the five seconds for which many servers keep an idle connection: one they just closed costs a repetition.
Long enough for a due day, on which the next event to the same host follows at once.
"""

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host name; raises OSError when it has none."""

FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.UnsupportedProtocol)


class PrivateAddress(Exception):
    """The name leads into a private network."""


class Receivers:
    """A pool of connections per scheme, host and port; the certificate, the Host header and the name in TLS are that
    host's, so two names at one address share nothing.
    """

    def __init__(self, network: httpcore.AsyncNetworkBackend, trust: ssl.SSLContext) -> None:
        self._kept = _pool(network, trust, kept=MOST_WEBHOOKS)
        self._fresh = _pool(network, trust, kept=0)

    async def ask(self, request: httpcore.Request) -> httpcore.Response:
        """Sends a request. Where a connection that was kept breaks before any answer came, it is sent once more on a
        fresh one: most likely the receiver closed it just then. If it took the request all the same it sees it twice,
        by one `webhook-id`; receivers are told to expect that. Raises what httpcore raises.
        """
        connecting = _Connecting()
        request.extensions["trace"] = connecting
        try:
            return await self._kept.handle_async_request(request)
        except (httpcore.NetworkError, httpcore.RemoteProtocolError):
            if connecting.begun:
                raise
        return await self._fresh.handle_async_request(request)

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._kept.aclose()
        await self._fresh.aclose()


def _pool(network: httpcore.AsyncNetworkBackend, trust: ssl.SSLContext, *, kept: int) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=trust,
        max_connections=MOST_WEBHOOKS,
        max_keepalive_connections=kept,
        keepalive_expiry=_IDLE_SECONDS,
        network_backend=network,
    )


class _Connecting:
    """Learns from httpcore whether a request had to have a connection made."""

    def __init__(self) -> None:
        self.begun = False

    async def __call__(self, happening: str, _: Any) -> None:
        self.begun = self.begun or happening == "connection.connect_tcp.started"


class JudgedAddresses(httpcore.AsyncNetworkBackend):
    """Looks a name up, judges what it found, and connects to these very addresses: a second look-up could say
    something else.
    """

    def __init__(self, resolve: Resolve, network: httpcore.AsyncNetworkBackend, *, public_only: bool) -> None:
        self._resolve = resolve
        self._network = network
        self._public_only = public_only

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Tries the addresses in turn. Raises PrivateAddress if any of them is, and must not be."""
        addresses = await self._resolve(host)
        if self._public_only and not all(map(is_public, addresses)):
            raise PrivateAddress("the address is private")
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure
