"""The sandbox as a process: it loses nothing when it is killed, and stops cleanly when it is asked to."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from sandbox.server import CutConnection
from tests.sandbox.support import KEY, PATIENCE, START, Inbox, Merchant, an_inbox, code, free_port, until

PROGRAM = """
import sys
from pathlib import Path
from sandbox.main import run
run(Path(sys.argv[1]), {"antom": int(sys.argv[2])})
"""


@contextmanager
def sandbox_process(data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The sandbox in a process of its own, answering."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(data), str(port)])
    try:
        deadline = time.monotonic() + PATIENCE
        while not healthy(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/_sandbox/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    async with an_inbox() as inbox:
        yield inbox


async def a_merchant(port: int, inbox: Inbox) -> Merchant:
    merchant = Merchant(f"http://127.0.0.1:{port}", KEY, clock="clk_1", now=START)
    await merchant.register(inbox.url)
    inbox.key = merchant.antom
    return merchant


async def test_a_killed_sandbox_carries_on(tmp_path: Path, inbox: Inbox) -> None:
    port = free_port()
    with sandbox_process(tmp_path, port) as process:
        merchant = await a_merchant(port, inbox)
        token = (await merchant.token("lost_answer_success,processing_then_success,http_500"))["accessToken"]
        inbox.answers = [(500, {})]  # the first debit's news is not acknowledged
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await merchant.pay(token, "pr_1")
        assert code(await merchant.pay(token, "pr_2")) == "PAYMENT_IN_PROCESS"
        await merchant.quiet()
        before, ledger = await merchant.admin("credentials"), await merchant.ledger()
        assert len(inbox.of("PAYMENT_RESULT")) == 1
        process.kill()
        await asyncio.to_thread(process.wait)

    with sandbox_process(tmp_path, port):
        assert await merchant.admin("credentials") == before
        assert await merchant.ledger() == ledger
        assert (await merchant.inquire("pr_1"))["paymentStatus"] == "SUCCESS"  # signed with the same key as before
        await merchant.advance(START + timedelta(minutes=2))
        assert {body["paymentRequestId"] for body in inbox.of("PAYMENT_RESULT")} == {"pr_1", "pr_2"}
        assert len(inbox.of("PAYMENT_RESULT")) == 3
        assert [entry["status"] for entry in await merchant.ledger()] == ["succeeded", "succeeded"]
    await merchant.http.aclose()


async def test_news_under_way_at_the_kill_is_sent_again(tmp_path: Path, inbox: Inbox) -> None:
    port = free_port()
    with sandbox_process(tmp_path, port) as process:
        merchant = await a_merchant(port, inbox)
        token = (await merchant.token())["accessToken"]
        inbox.hold.clear()
        await merchant.pay(token)
        await until(lambda: inbox.waiting)
        process.kill()
        await asyncio.to_thread(process.wait)
    inbox.hold.set()
    await until(lambda: not inbox.waiting)
    seen = len(inbox.of("PAYMENT_RESULT"))
    with sandbox_process(tmp_path, port):
        assert (await merchant.quiet())["outstanding"] == 0
    assert len(inbox.of("PAYMENT_RESULT")) == seen + 1
    await merchant.http.aclose()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with sandbox_process(tmp_path, free_port()) as process:
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0


def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    port = free_port()
    with sandbox_process(tmp_path / "first", port):
        second = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "second"), str(port)],
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    assert second.returncode != 0
    assert f"could not start on port {port}".encode() in second.stderr


async def test_a_caller_who_is_gone_before_the_connection_is_cut_is_no_error() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(said: object) -> None:
        raise AssertionError(f"an answer: {said}")

    scope = {"type": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
    await CutConnection()(scope, receive, send)
