"""Serving an app over HTTP/1.1 so that it can also misbehave on the wire: cut a connection, or let a caller wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import ClassVar

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

Peers = tuple[tuple[str, int] | None, tuple[str, int | None] | None]


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, remembering each connection's transport so that an answer can abort it."""

    open_transports: ClassVar[dict[Peers, asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.open_transports[(self.client, self.server)] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.open_transports.pop((self.client, self.server), None)
        super().connection_lost(exc)


class CutConnection(Response):
    """Not an answer: waits up to `hold` seconds for the caller to give up, then closes the socket without one byte."""

    def __init__(self, hold: float = 0) -> None:
        super().__init__()
        self.hold = hold

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.hold and await _gone(receive, self.hold):
            return
        peers = _address(scope["client"]), _address(scope["server"])
        transport = CuttableProtocol.open_transports.get(peers)
        if transport is None:  # the caller was faster
            return
        transport.abort()
        await _gone(receive, timeout=5)


async def _gone(receive: Receive, timeout: float) -> bool:
    """Whether the caller closed the connection within `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


def _address(pair: tuple[str, int] | None) -> tuple[str, int] | None:
    return (pair[0], pair[1]) if pair else None


class OriginForm:
    """Accepts absolute-form request targets (`POST http://host/path`), which Antom's Python SDK sends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/"):
            scope = {
                **scope,
                "path": _path_of(scope["path"]),
                "raw_path": _path_of(scope["raw_path"].decode()).encode(),
            }
        await self.app(scope, receive, send)


def _path_of(target: str) -> str:
    _, _, rest = target.partition("://")
    return "/" + rest.partition("/")[2]


class Server(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone: several of them share one process."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=CuttableProtocol,
                proxy_headers=False,  # a rewritten client address would hide the connection to cut
                log_level="warning",
                timeout_keep_alive=30,
                timeout_graceful_shutdown=2,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs a background loop for as long as the block lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
