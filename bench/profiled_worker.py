"""The engine's worker, watched: which functions its CPU time goes to, and which statements it sends.

Run as a process: `python -m bench.profiled_worker FILE`, with the worker's settings in the environment. From SIGUSR1
on, the kernel interrupts it whenever it has used some more CPU time, and the function it was in is noted; the totals
are written to FILE when the worker ends. Unlike a tracing profiler this leaves the proportions alone.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import sysconfig
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

import worker
from bench.statements import Statements

_EVERY = 0.005
"""Seconds of CPU time, of all threads together."""
_HOUSE = f"{Path(worker.__file__).parent}/"
_LIBRARY = f"{sysconfig.get_path('stdlib')}/"
_WAITING = {("selectors.py", "select"), ("threading.py", "wait"), ("thread.py", "_worker"), ("queue.py", "get")}
CORE = "temporalio core (Rust)"
"""Where no thread of Python's was at work."""


class Sampler:
    """Counts, for each function, the samples that found it at work (`own`) or somewhere below it (`within`)."""

    def __init__(self) -> None:
        self._samples = 0
        self._own: Counter[str] = Counter()
        self._within: Counter[str] = Counter()
        self._packages: Counter[str] = Counter()

    def start(self) -> None:
        """From the main thread."""
        signal.signal(signal.SIGPROF, lambda _, frame: self._look(frame))
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)

    def end(self) -> dict[str, object]:
        """Stops; shares of all samples, the largest first."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {
            "samples": self._samples,
            "packages": self._shares(self._packages, 12),
            "own": self._shares(self._own, 20),
            "within": self._shares(self._within, 60),
        }

    def _look(self, interrupted: FrameType | None) -> None:
        self._samples += 1
        top = interrupted if interrupted is not None and not _waits(interrupted) else _another_at_work()
        self._packages[CORE if top is None else _place(top).partition("/")[0].removesuffix(".py")] += 1
        self._own[CORE if top is None else _name(top)] += 1
        stack: set[str] = set()
        while top is not None:
            stack.add(_name(top))
            top = top.f_back
        self._within.update(stack)

    def _shares(self, counted: Counter[str], most: int) -> dict[str, float]:
        return {name: round(times / max(self._samples, 1), 4) for name, times in counted.most_common(most)}


def _another_at_work() -> FrameType | None:
    """The thread in which workflow code runs, if it does."""
    ours = threading.get_ident()
    frames = sys._current_frames().items()
    return next((frame for thread, frame in frames if thread != ours and not _waits(frame)), None)


def _waits(frame: FrameType) -> bool:
    return (Path(frame.f_code.co_filename).name, frame.f_code.co_name) in _WAITING


def _place(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    return file.rpartition("site-packages/")[2].removeprefix(_HOUSE).removeprefix(_LIBRARY)


def _name(frame: FrameType) -> str:
    return f"{_place(frame)}:{frame.f_code.co_qualname}"


def main(written_to: Path) -> None:
    """Works until SIGTERM."""
    sampler, statements = Sampler(), Statements()

    def begin() -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        statements.begin()
        sampler.start()

    signal.signal(signal.SIGUSR1, lambda *_: begin())
    try:
        asyncio.run(worker.main())
    finally:
        written_to.write_text(json.dumps(sampler.end() | {"per_debit": statements.per_debit()}, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
