"""`autodebit dev` as a program of its own, and the kills it has to survive."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli.embedded.stack import ReadyFile

_STARTED_WITHIN = 300.0
_BACK_WITHIN = 300.0
_LOOK = 0.05
# What a crash left behind is looked for more often than in production, so that a short run sees it taken up.
_SETTINGS = {"AUTODEBIT_SWEEP_INTERVAL": "2"}


class Lost(Exception):
    """`dev` did not do its part: it ended, or did not bring a process back."""


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: due when `share` of the run's work is done, and `after` seconds of real time."""

    kind: str
    share: float
    after: float


@dataclass(frozen=True)
class Killed:
    """A kill that was made. Times in seconds: since the run began, and until the process was ready again."""

    kind: str
    at: float
    back_after: float


def plan(dice: random.Random, kinds: Sequence[str], per_kind: int) -> list[Kill]:
    """So many kills of each kind, spread at random; nothing keeps outages from overlapping."""
    return [Kill(kind, dice.uniform(0.02, 0.85), dice.uniform(0, 1.5)) for _ in range(per_kind) for kind in kinds]


class Progress:
    """How much of the run's work is done."""

    def __init__(self, total: int) -> None:
        self.done, self._total = 0, total
        self._changed = asyncio.Condition()

    async def add(self, units: int) -> None:
        async with self._changed:
            self.done += units
            self._changed.notify_all()

    async def reached(self, share: float) -> None:
        """Waits until so much of the work is done."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.done >= share * self._total)


@dataclass
class Dev:
    """A running `dev`; the ready file tells its addresses and process ids."""

    program: asyncio.subprocess.Process
    ready_file: Path
    log: Path
    began: float = field(default_factory=time.monotonic)
    killed: list[Killed] = field(default_factory=list)

    @property
    def ready(self) -> ReadyFile:
        return ReadyFile.model_validate_json(self.ready_file.read_text())

    @contextmanager
    def frozen(self, kind: str) -> Iterator[None]:
        """Inside, a process does nothing, as one whose machine is moved."""
        pid = self.ready.pids[kind]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def suffer(self, kills: Sequence[Kill], progress: Progress) -> None:
        """Makes every kill when it is due. Raises Lost."""
        one_at_a_time = {kill.kind: asyncio.Lock() for kill in kills}
        async with asyncio.TaskGroup() as tasks:
            for kill in kills:
                tasks.create_task(self._suffer(kill, progress, one_at_a_time[kill.kind]))

    async def _suffer(self, kill: Kill, progress: Progress, alone: asyncio.Lock) -> None:
        await progress.reached(kill.share)
        await asyncio.sleep(kill.after)  # the random moment itself
        async with alone:
            pid = await self._killed(kill.kind)
            at = time.monotonic()
            await self._until_back(kill.kind, pid)
            self.killed.append(Killed(kill.kind, at - self.began, time.monotonic() - at))

    async def _killed(self, kind: str) -> int:
        """Its process id. One that has just ended by itself is told of as soon as it is back."""
        while True:
            try:
                os.kill(pid := self.ready.pids[kind], signal.SIGKILL)
            except ProcessLookupError:
                await asyncio.sleep(_LOOK)
            else:
                return pid

    async def _until_back(self, kind: str, pid: int) -> None:
        try:
            async with asyncio.timeout(_BACK_WITHIN):
                while self.ready.pids[kind] == pid:
                    if self.program.returncode is not None:
                        raise Lost(f"dev ended: {self.log.read_text()[-2000:]}")
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise Lost(
                f"{kind} did not come back within {_BACK_WITHIN:.0f} s: {self.log.read_text()[-2000:]}"
            ) from None


@asynccontextmanager
async def dev(folder: Path) -> AsyncIterator[Dev]:
    """Starts `dev` on free ports with its data in `folder`, and stops it again. Raises Lost."""
    ready_file, log = folder / "ready.json", folder / "dev.log"
    with log.open("ab") as output:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", "dev", "--port", "0"),
            *("--data", str(folder / "data"), "--ready-file", str(ready_file)),
            env=os.environ | _SETTINGS,
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(_STARTED_WITHIN):
            while not ready_file.exists():
                if program.returncode is not None:
                    raise Lost(f"dev ended before it was ready: {log.read_text()[-2000:]}")
                await asyncio.sleep(_LOOK)
        yield Dev(program, ready_file, log)
    finally:
        if program.returncode is None:
            program.send_signal(signal.SIGTERM)
        await program.wait()
