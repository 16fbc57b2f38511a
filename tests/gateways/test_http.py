"""Each provider has connections of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from gateways import http

_AT_ONCE = 3


@asynccontextmanager
async def _server(answers: asyncio.Event, connected: list[int]) -> AsyncIterator[str]:
    """Answers every request as soon as it may."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(1)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await answers.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_slow_provider_keeps_nobody_elses_calls_waiting() -> None:
    """With one pool for both, calls to the slow one take every connection there is."""
    slow, quick, to_slow, to_quick = asyncio.Event(), asyncio.Event(), list[int](), list[int]()
    quick.set()
    async with (
        http.pools(("slow", "quick"), _AT_ONCE) as clients,
        _server(slow, to_slow) as slow_url,
        _server(quick, to_quick) as quick_url,
        asyncio.TaskGroup() as calls,
    ):
        waiting = [calls.create_task(clients["slow"].get(slow_url)) for _ in range(2 * _AT_ONCE)]
        while len(to_slow) < _AT_ONCE:
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            assert (await clients["quick"].get(quick_url)).is_success
        assert not any(call.done() for call in waiting)
        slow.set()


async def test_as_many_calls_as_may_be_under_way_keep_their_connections() -> None:
    """A second round of debits finds every connection of the first open: no handshake before money moves."""
    opened, answers = list[int](), asyncio.Event()
    async with http.pools(("quick",), _AT_ONCE) as clients, _server(answers, opened) as url:
        for _round in range(2):
            answers.clear()
            calls = [asyncio.create_task(clients["quick"].get(url)) for _ in range(_AT_ONCE)]
            while len(opened) < _AT_ONCE:
                await asyncio.sleep(0)
            answers.set()
            assert {answer.status_code for answer in await asyncio.gather(*calls)} == {httpx.codes.OK}
    assert len(opened) == _AT_ONCE
