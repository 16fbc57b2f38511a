"""`autodebit bench api`: the front door's latency with a full database, beside a bare one, on one set of servers."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from bench.front_door import Compared, Side, as_json, compare, populate
from cli.demo.backend import Backend
from cli.embedded.ports import free_port
from cli.embedded.stack import ReadyFile, Stack

_UP_WITHIN = 120.0


async def measure(agreements: int, requests: int, at_once: int, written_to: Path | None) -> None:
    """Starts everything, fills the database, measures, prints; the JSON goes to `written_to` as well."""
    data = Path(tempfile.mkdtemp(prefix="autodebit-bench-"))
    data.chmod(0o755)  # PostgreSQL runs as another user when we are root
    os.environ["AUTODEBIT_RATE_LIMIT_TEST"] = "0"
    console = Console(highlight=False)
    try:
        async with AsyncExitStack() as leaving:
            with console.status("starting") as status:
                stack = Stack(data, 0)
                leaving.push_async_callback(stack.stop)
                await stack.start()
                bare = await leaving.enter_async_context(_bare(stack.ready.temporal_address))
                client = await leaving.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
                status.update(f"putting {agreements} agreements into the database")
                await populate(stack.ready.database_url, await _template(client, stack.ready), agreements)
                status.update("measuring")
                headers = {"Authorization": f"Bearer {stack.ready.secret_key}"}
                ours = Side(f"{stack.ready.api_url}/v1", headers)
                found = await compare(client, ours, Side(bare, {}), _body(), requests, at_once)
        console.print(_table(found, agreements, requests, at_once))
        if written_to is not None:
            written_to.parent.mkdir(parents=True, exist_ok=True)
            written_to.write_text(as_json(found, agreements, requests, at_once) + "\n")
            console.print(f"written to {written_to}", soft_wrap=True)
    finally:
        shutil.rmtree(data, ignore_errors=True)


async def _template(client: httpx.AsyncClient, ready: ReadyFile) -> str:
    """An agreement in the middle of its life, the pattern of all others."""
    backend = Backend(client, ready.api_url, ready.secret_key)
    made = await backend.call("POST", "/v1/agreements", {**_body(), "reference": "bench-template"})
    await backend.approve(made["authorization"]["url"])
    async with asyncio.timeout(_UP_WITHIN):
        while (await backend.call("GET", f"/v1/agreements/{made['id']}"))["status"] != "active":
            await asyncio.sleep(0.05)
    return str(made["id"])


def _body() -> dict[str, Any]:
    ends = datetime.now(UTC).year + 2
    return {
        "gateway": "antom",
        "payment_method": {"type": "GCASH"},
        "customer": {"id": "cus-bench", "region": "PH"},
        "terms": {
            "type": "recurring",
            "amount": {"currency": "PHP", "value": 49900},
            "amount_variability": "fixed",
            "frequency": "monthly",
            "cycle_interval_days": 25,
            "expiry_date": f"{ends}-12-31",
            "total_cycles": 12,
            "timezone": "Asia/Manila",
        },
        "return_url": "https://merchant.example/return",
    }


@asynccontextmanager
async def _bare(temporal_address: str) -> AsyncIterator[str]:
    """The bare front door and its worker, each a process; the address."""
    port = free_port()
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "bench.bare", role, temporal_address, str(port)
        )
        for role in ("api", "worker")
    ]
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(_UP_WITHIN), httpx.AsyncClient(trust_env=False) as client:
            while not await _answers(client, url):
                await asyncio.sleep(0.05)
        yield url
    finally:
        for process in started:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/openapi.json")).is_success
    except httpx.TransportError:
        return False


def _table(found: list[Compared], agreements: int, requests: int, at_once: int) -> Table:
    title = f"{agreements} agreements, {requests} requests of each kind, {at_once} at a time"
    table = Table("request", "p50 ms", "p99 ms", "bare p50", "bare p99", "ratio p50", "ratio p99", title=title)
    for row in found:
        cells = (row.ours.p50, row.ours.p99, row.bare.p50, row.bare.p99, *row.ratios)
        table.add_row(row.request, *(f"{cell:.2f}" for cell in cells))
    return table
