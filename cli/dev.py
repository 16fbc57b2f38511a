"""`autodebit dev`: the whole engine on one machine until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cli.embedded.stack import ReadyFile, Stack
from cli.embedded.supervisor import StartFailed
from cli.embedded.unprivileged import NoPlace
from cli.front_door import READY
from cli.private_files import write_private

_console = Console()
_errors = Console(stderr=True)


class AlreadyRunning(Exception):
    """Another `dev` uses the data folder."""


async def dev(port: int, data: Path, ready_file: Path | None) -> int:
    """Starts everything, prints and writes the addresses, runs until told to stop; returns the exit code.

    `ready_file` exists only while everything is ready, and is written again after each restart of a process.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        with _only_one(data):
            return await _run(port, data, ready_file, stop)
    except (AlreadyRunning, NoPlace, OSError, StartFailed) as error:
        _errors.print(f"autodebit dev: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1


async def _run(port: int, data: Path, ready_file: Path | None, stop: asyncio.Event) -> int:
    # The first is where the commands that use the API find it.
    ready_files = [data / READY.name, *([ready_file] if ready_file else [])]

    def publish() -> None:
        for path in ready_files if started.done() else ():
            write_private(path, stack.ready.model_dump_json(indent=2) + "\n")

    def withdraw() -> None:
        for path in ready_files:
            path.unlink(missing_ok=True)

    withdraw()
    stack = Stack(data, port, on_restart=publish)
    started = asyncio.create_task(stack.start())
    stopped = asyncio.create_task(stop.wait())
    try:
        with _console.status("starting PostgreSQL, Temporal, sandbox, worker and API"):
            await asyncio.wait((started, stopped), return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            await started
            publish()
            _show(stack.ready, data)
            await stopped
        return 0
    finally:
        for task in (started, stopped):
            task.cancel()
        await asyncio.wait((started, stopped))
        await stack.stop()
        withdraw()


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    data.mkdir(parents=True, exist_ok=True)
    with (data / "dev.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"another one is running on {data.resolve()}") from None
        yield


def _show(ready: ReadyFile, data: Path) -> None:
    lines = {
        "API": ready.api_url,
        "API description": f"{ready.api_url}/openapi.json",
        "secret key (test)": ready.secret_key,
        "Temporal UI": ready.temporal_ui_url or f"the one of {ready.temporal_address}",
        **{f"sandbox {gateway}": url for gateway, url in ready.sandboxes.items()},
        "data and logs": str(data.resolve()),
    }
    for name, value in lines.items():
        _console.print(f"  [bold]{name:<20}[/bold]{escape(value)}", soft_wrap=True, highlight=False)
    _console.print("ready; Ctrl-C stops everything")
