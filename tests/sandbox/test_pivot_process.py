"""Pivot's sandbox as `autodebit sandbox` runs it: what it answered, or cut off, survives its killing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.sandbox.pivot_support import START, Callbacks, Shop
from tests.sandbox.support import PATIENCE, free_port


@asynccontextmanager
async def a_process(data: Path, port: int) -> AsyncIterator[None]:
    """The sandboxes of Antom and Pivot in a process, killed at the end."""
    options = ["--data", str(data), "--antom-port", str(free_port()), "--pivot-port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "cli.main", "sandbox", *options])
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            async with asyncio.timeout(PATIENCE):
                while not await _answers(client, port):
                    assert process.poll() is None
                    await asyncio.sleep(0.05)
        yield
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


async def _answers(client: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/_sandbox/health")).is_success
    except httpx.TransportError:
        return False


async def test_a_killed_sandbox_carries_on(tmp_path: Path, shop: Shop, callbacks: Callbacks) -> None:
    port = free_port()
    apart = Shop(f"http://127.0.0.1:{port}", callbacks.url)
    async with a_process(tmp_path, port):
        await apart.register()
        stored = await apart.save_card(script="lost_answer_success,processing_then_success")
        callbacks.answers = [500, 500]  # the next debit's news is not acknowledged
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await apart.renew(stored, "ren1")
        await apart.quiet()
        later = await apart.renew(stored, "ren2")
        ledger, credentials = await apart.ledger(), await apart.admin("credentials")
        assert [entry["status"] for entry in ledger] == ["succeeded", "succeeded", "processing"]
    callbacks.received.clear()
    async with a_process(tmp_path, port):
        assert await apart.ledger() == ledger
        assert await apart.admin("credentials") == credentials
        assert (await apart.ok("GET", "/v2/payments?clientReferenceId=ren1"))[0]["status"] == "PAID"
        await apart.advance(timedelta(minutes=5))
        assert (await apart.read(later["id"]))["status"] == "PAID"
        assert apart.now == START + timedelta(minutes=5)
        told = {(body["event"], body["data"]["clientReferenceId"]) for body in callbacks.received}
        assert told >= {("PAYMENT.PROCESSING", "ren1"), ("PAYMENT.PAID", "ren1"), ("PAYMENT.PAID", "ren2")}
        assert [entry["status"] for entry in await apart.ledger()] == ["succeeded"] * 3
    await apart.http.aclose()
