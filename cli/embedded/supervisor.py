"""Starts child processes in order, restarts the ones that die, and leaves none behind."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

# A child that lived this long (seconds) is restarted at once however often it died before.
_SETTLED = 10.0
_LONGEST_WAIT = 10.0
_POLL = 0.05


class StartFailed(Exception):
    """A process ended, or was not ready in time; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class User:
    """The unprivileged user a child runs as when we are root."""

    uid: int
    gid: int


async def _nothing() -> None: ...


@dataclass(frozen=True)
class Process:
    """One child: how it is started, when it counts as ready, how it is stopped. Times in seconds."""

    name: str
    argv: Sequence[str]
    ready: Callable[[], Awaitable[bool]]
    log: Path
    env: Mapping[str, str] | None = None
    """The whole environment; None inherits ours."""
    cwd: Path | None = None
    user: User | None = None
    prepare: Callable[[], Awaitable[None]] = _nothing
    """Runs before every start; clears what a killed predecessor left."""
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel if we are killed ourselves (Linux only)."""
    start_timeout: float = 180.0
    grace: float = 10.0
    """From the stop signal to SIGKILL."""


class _Child:
    def __init__(self, spec: Process) -> None:
        self.spec = spec
        self.running: asyncio.subprocess.Process | None = None
        self.watcher: asyncio.Task[None] | None = None

    async def launch(self) -> asyncio.subprocess.Process:
        """Spawns the process and waits until it is ready; raises StartFailed, with the process gone."""
        await self.spec.prepare()
        self.running = running = await self._spawn()
        try:
            async with asyncio.timeout(self.spec.start_timeout):
                await self._wait_until_ready(running)
        except TimeoutError:
            await self.end()
            raise StartFailed(f"{self.spec.name} was not ready after {self.spec.start_timeout:.0f} s") from None
        return running

    async def _spawn(self) -> asyncio.subprocess.Process:
        spec, user = self.spec, self.spec.user
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        with spec.log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *spec.argv,
                env=spec.env,
                cwd=spec.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C on the terminal reaches us only
                preexec_fn=_dies_with_us(spec.orphan_signal),
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
            )

    async def _wait_until_ready(self, running: asyncio.subprocess.Process) -> None:
        while not await self.spec.ready():
            if running.returncode is not None:
                raise StartFailed(f"{self.spec.name} ended with code {running.returncode}:\n{tail(self.spec.log)}")
            await asyncio.sleep(_POLL)

    async def end(self) -> None:
        """Stop signal, then SIGKILL for it and whatever it started in its session."""
        if (running := self.running) is None:
            return
        if running.returncode is None:
            with suppress(ProcessLookupError):
                running.send_signal(self.spec.stop_signal)
            with suppress(TimeoutError):
                await asyncio.wait_for(running.wait(), self.spec.grace)
        self.kill_session()
        await running.wait()

    def kill_session(self) -> None:
        if self.running is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.running.pid, signal.SIGKILL)


class Supervisor:
    """Owns the children of one `dev` or of one test session."""

    def __init__(self, on_restart: Callable[[], None] = lambda: None) -> None:
        """`on_restart` is called whenever a restarted child is ready again and `pids` has changed."""
        self._on_restart = on_restart
        self._children: list[_Child] = []

    @property
    def pids(self) -> dict[str, int]:
        """The process id per child that was started."""
        return {child.spec.name: child.running.pid for child in self._children if child.running is not None}

    async def start(self, *processes: Process) -> None:
        """Starts them side by side and waits until all are ready; raises StartFailed of the first that is not."""
        children = [_Child(process) for process in processes]
        self._children += children
        try:
            async with asyncio.TaskGroup() as tasks:
                launches = [tasks.create_task(child.launch()) for child in children]
        except ExceptionGroup as group:
            # Not `except*`: what is raised inside it is wrapped in a group again by some versions of Python 3.11.
            failed = group.subgroup(StartFailed)
            raise (failed.exceptions[0] if failed else group) from None
        for child, launch in zip(children, launches, strict=True):
            child.watcher = asyncio.create_task(self._keep_alive(child, launch.result()))

    async def stop(self) -> None:
        """Ends the children in reverse order of their start; a second call does nothing."""
        while self._children:
            child = self._children[-1]
            if child.watcher is not None:
                child.watcher.cancel()
                await asyncio.wait([child.watcher])
            await child.end()
            self._children.pop()

    async def _keep_alive(self, child: _Child, running: asyncio.subprocess.Process) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            code = await running.wait()
            child.kill_session()
            if time.monotonic() - started > _SETTLED:
                failures = 0
            log.warning("process ended, restarting it", process=child.spec.name, code=code)
            failures, running = await self._revive(child, failures)
            self._tell()

    def _tell(self) -> None:
        try:
            self._on_restart()
        except OSError as error:  # a full disk must not end the watch
            log.warning("restart could not be published", error=str(error))

    async def _revive(self, child: _Child, failures: int) -> tuple[int, asyncio.subprocess.Process]:
        """Starts the child until it is ready: at once, then after growing waits. Counts the starts since it settled."""
        while True:
            await asyncio.sleep(min(0.25 * 2**failures, _LONGEST_WAIT) if failures else 0)
            failures += 1
            try:
                return failures, await child.launch()
            except Exception as error:  # whatever it is, the next try may succeed, and nobody else will make it
                log.warning("process did not start", process=child.spec.name, error=str(error))


def _dies_with_us(orphan_signal: signal.Signals) -> Callable[[], None] | None:
    """Runs in the child between fork and exec, after the change of user (which would clear the setting)."""
    if _libc is None:
        return None
    parent, prctl = os.getpid(), _libc.prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, int(orphan_signal))
        if os.getppid() != parent:
            os._exit(1)

    return tie


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def answers(*urls: str) -> Callable[[], Awaitable[bool]]:
    """A readiness check: GET on each address gives 200."""
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, but httpx would load the system's store at every try

    async def check() -> bool:
        # trust_env: a proxy of the shell has no business between two processes of one machine.
        async with httpx.AsyncClient(verify=plain, trust_env=False, timeout=2.0) as client:
            try:
                return all([(await client.get(url)).status_code == httpx.codes.OK for url in urls])
            except httpx.HTTPError:
                return False

    return check
