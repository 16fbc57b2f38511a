"""Starts the stack on free ports, tells the year, audits it, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from time import monotonic

import httpx
from rich.console import Console
from rich.status import Status

from agreements.money import Money
from cli.demo.backend import Backend, Receiver, Unexpected, receiving
from cli.demo.stories import STORIES
from cli.demo.year import Verdict, Year
from cli.embedded.stack import ReadyFile, Stack
from cli.embedded.supervisor import StartFailed
from cli.embedded.unprivileged import NoPlace

_console = Console(highlight=False)


async def demo(keep: bool) -> int:
    """The exit code: 0 if everything was as it must be."""
    data = Path(tempfile.mkdtemp(prefix="autodebit-demo-"))
    data.chmod(0o755)  # PostgreSQL runs as another user when we are root
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    telling = asyncio.create_task(_tell(data, keep, stopped))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait((telling, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not telling.done() and not keep:
        telling.cancel()
    stopping.cancel()
    try:
        return await telling
    except asyncio.CancelledError:
        return 130
    except (Unexpected, StartFailed, NoPlace, httpx.HTTPError) as error:
        _console.print(f"[red]the demo failed: {type(error).__name__}: {error}[/red]", soft_wrap=True)
        return 1
    finally:
        shutil.rmtree(data, ignore_errors=True)


async def _tell(data: Path, keep: bool, stopped: asyncio.Event) -> int:
    began = monotonic()
    async with AsyncExitStack() as leaving:
        with _console.status("starting PostgreSQL, Temporal, the sandbox, a worker and the API") as status:
            stack = Stack(data, 0)
            leaving.push_async_callback(stack.stop)
            await stack.start()
            receiver = Receiver()
            receiver_url = await leaving.enter_async_context(receiving(receiver))
            client = await leaving.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
            verdict = await _year(stack.ready, client, receiver, receiver_url, status)
        _report(verdict, monotonic() - began)
        if keep:
            _where_to_look(stack.ready)
            await stopped.wait()
    return 1 if verdict.problems else 0


async def _year(
    ready: ReadyFile, client: httpx.AsyncClient, receiver: Receiver, receiver_url: str, status: Status
) -> Verdict:
    backend = Backend(client, ready.api_url, ready.secret_key)
    for story in STORIES:
        _console.print(
            f"[bold]{story.customer}[/bold] pays {Money(**story.amount)} on the last day of every month with "
            f"{story.pays_with}, {story.zone}",
            soft_wrap=True,
        )
    _console.print()
    year = Year(backend, receiver, partial(_console.print, soft_wrap=True), status.update)
    await year.run(receiver_url)
    status.update("auditing")
    return await year.audit(
        {
            gateway: (await client.get(f"{url}/_sandbox/ledger")).json()["data"]
            for gateway, url in ready.sandboxes.items()
        }
    )


def _report(verdict: Verdict, seconds: float) -> None:
    _console.print("\n[bold]audit[/bold]: the engine's ledger against the providers', debit by debit")
    for book in verdict.books:
        _console.print(f"  {book.gateway:<6} {book.debits} debits, {book.collected or 'nothing'}")
    _console.print(
        f"  {verdict.events} events, all delivered and verified; [bold]{len(verdict.problems)} differences[/bold] "
        f"[dim]({seconds:.0f} s)[/dim]",
        soft_wrap=True,
    )
    for problem in verdict.problems:
        _console.print(f"  [red]{problem}[/red]", soft_wrap=True)
    if not verdict.problems:
        _console.print("[dim]look around: `.venv/bin/autodebit demo --keep` leaves everything running[/dim]")


def _where_to_look(ready: ReadyFile) -> None:
    _console.print(f"\nTemporal UI  {ready.temporal_ui_url}\nAPI          {ready.api_url}", soft_wrap=True)
    _console.print(f"secret key   {ready.secret_key}\nCtrl-C stops everything", soft_wrap=True)
