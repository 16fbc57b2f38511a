"""`autodebit bench api`: the front door's latency with a full database, beside a bare one, on one set of servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.front_door import Compared, Side, as_json, compare, populate
from cli import bench_world
from cli.demo.backend import Backend
from cli.embedded.ports import free_port
from cli.embedded.stack import ReadyFile


async def measure(agreements: int, requests: int, at_once: int, written_to: Path | None) -> None:
    """Starts everything, fills the database, measures, prints; the JSON goes to `written_to` as well."""
    console = Console(highlight=False)
    async with bench_world.stack() as (started, _), httpx.AsyncClient(timeout=30, trust_env=False) as client:
        console.print(f"putting {agreements} agreements into the database")
        ready = started.ready
        await fill(Backend(client, ready.api_url, ready.secret_key), ready.database_url, agreements)
        found = await front_door(client, ready, requests, at_once)
    console.print(table(found, agreements, requests, at_once))
    if written_to is not None:
        written_to.parent.mkdir(parents=True, exist_ok=True)
        written_to.write_text(as_json(found, agreements, requests, at_once) + "\n")
        console.print(f"written to {written_to}", soft_wrap=True)


async def fill(backend: Backend, database_url: str, agreements: int) -> None:
    """Puts that many beside one in the middle of its life, the pattern of all others."""
    like = await bench_world.authorized(backend, bench_world.body("bench-template"))
    await populate(database_url, like, agreements)


async def front_door(client: httpx.AsyncClient, ready: ReadyFile, requests: int, at_once: int) -> list[Compared]:
    """Asks the engine's API and a bare one in turns."""
    ours = Side(f"{ready.api_url}/v1", {"Authorization": f"Bearer {ready.secret_key}"})
    async with _bare(ready.temporal_address) as url:
        return await compare(client, ours, Side(url, {}), bench_world.body("bench-api"), requests, at_once)


@asynccontextmanager
async def _bare(temporal_address: str) -> AsyncIterator[str]:
    """The bare front door and its worker, each a process; the address."""
    port = str(free_port())
    async with (
        bench_world.process("bench.bare", "api", temporal_address, port),
        bench_world.process("bench.bare", "worker", temporal_address, port),
    ):
        url = f"http://127.0.0.1:{port}"
        await bench_world.answering(f"{url}/openapi.json")
        yield url


def table(found: list[Compared], agreements: int, requests: int, at_once: int) -> Table:
    """For people."""
    title = f"{agreements} agreements, {requests} requests of each kind, {at_once} at a time"
    made = Table("request", "p50 ms", "p99 ms", "bare p50", "bare p99", "ratio p50", "ratio p99", title=title)
    for row in found:
        cells = (row.ours.p50, row.ours.p99, row.bare.p50, row.bare.p99, *row.ratios)
        made.add_row(row.request, *(f"{cell:.2f}" for cell in cells))
    return made
