"""The Ottu sandbox as the command line starts it: a process that loses nothing when it is killed."""

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

from tests.sandbox.ottu_support import START, Merchant, an_inbox, said
from tests.sandbox.support import PATIENCE, free_port
from tests.sandbox.test_sandbox_process import healthy


@asynccontextmanager
async def sandbox_process(data: Path, port: int) -> AsyncIterator[subprocess.Popen[bytes]]:
    """`autodebit sandbox` with Ottu only, answering."""
    command = [sys.executable, "-P", "-m", "cli.main", "sandbox", "--data", str(data), "--ottu-port", str(port)]
    process = subprocess.Popen(command)
    try:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(healthy, port):
                assert process.poll() is None
                await asyncio.sleep(0.05)
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


async def test_a_killed_sandbox_carries_on(tmp_path: Path) -> None:
    port = free_port()
    async with an_inbox() as inbox, httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
        ottu = Merchant(f"http://127.0.0.1:{port}", inbox, http=http)
        async with sandbox_process(tmp_path, port) as process:
            await ottu.register()
            token = await ottu.agree("lost_answer_success,processing_then_success,insufficient_funds")
            lost = (await ottu.create(order_no="INV-2"))["session_id"]
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await ottu.charge(lost, token)
            pending = await ottu.debit(token, "INV-3")
            before, ledger = await ottu.admin("credentials"), await ottu.ledger()
            process.kill()
            await asyncio.to_thread(process.wait)

        async with sandbox_process(tmp_path, port):
            assert (await ottu.admin("credentials"), await ottu.ledger()) == (before, ledger)
            assert await ottu.state(lost) == "paid"
            await ottu.advance(timedelta(minutes=11))
            assert (ottu.now, said(inbox.received[-1])) == (START + timedelta(minutes=11), ("success", "paid"))
            assert inbox.received[-1]["session_id"] == pending["session_id"]
            assert said(await ottu.debit(token, "INV-4")) == ("failed", "attempted")
            assert [status for _, status, _ in await ottu.movements()] == [*["succeeded"] * 3, "failed"]
