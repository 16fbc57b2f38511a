"""The engine's worker, watched: which functions its time goes to.

Run as a process: `python -m bench.profiled_worker FILE`, with the worker's settings in the environment. A thread looks
at all others some hundred times a second and notes who is at work; the totals are written to FILE when the worker ends.
Looking in from outside costs little and leaves the proportions alone, which a tracing profiler does not.
"""

from __future__ import annotations

import asyncio
import json
import sys
import sysconfig
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import worker
from bench.statements import Statements

_PAUSE = 0.004
_HOUSE = Path(worker.__file__).parent
_LIBRARIES = sysconfig.get_path("purelib")
_WAITING = {("selectors.py", "select"), ("threading.py", "wait"), ("thread.py", "_worker"), ("queue.py", "get")}


class Sampler(threading.Thread):
    """Counts, for each function, the looks that found it at work (`own`) or somewhere below it (`within`)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.looks = 0
        self.own: Counter[str] = Counter()
        self.within: Counter[str] = Counter()
        self.packages: Counter[str] = Counter()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(_PAUSE):
            frames = sys._current_frames()
            frames.pop(threading.get_ident(), None)
            for top in frames.values():
                self._note(top)

    def end(self) -> dict[str, object]:
        """Stops looking; shares of all looks that found somebody at work, the largest first."""
        self._over.set()
        self.join()
        return {
            "looks": self.looks,
            "packages": self._shares(self.packages, 12),
            "own": self._shares(self.own, 20),
            "within": self._shares(self.within, 30),
        }

    def _note(self, top: FrameType) -> None:
        if (Path(top.f_code.co_filename).name, top.f_code.co_name) in _WAITING:
            return
        self.looks += 1
        self.own[_name(top)] += 1
        self.packages[_package(top)] += 1
        stack: set[str] = set()
        frame: FrameType | None = top
        while frame is not None:
            stack.add(_name(frame))
            frame = frame.f_back
        self.within.update(stack)

    def _shares(self, counted: Counter[str], most: int) -> dict[str, float]:
        return {name: round(times / max(self.looks, 1), 4) for name, times in counted.most_common(most)}


def _place(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    for root in (str(_HOUSE / ".venv"), _LIBRARIES):
        if file.startswith(root):
            return file.partition("site-packages/")[2] or file
    return file.removeprefix(f"{_HOUSE}/").removeprefix(f"{sysconfig.get_path('stdlib')}/")


def _package(frame: FrameType) -> str:
    return _place(frame).partition("/")[0].removesuffix(".py")


def _name(frame: FrameType) -> str:
    return f"{_place(frame)}:{frame.f_code.co_qualname}"


def main(written_to: Path) -> None:
    """Works until SIGTERM."""
    sampler, statements = Sampler(), Statements()
    sampler.start()
    began = time.process_time()
    try:
        asyncio.run(worker.main())
    finally:
        used = round(time.process_time() - began, 2)
        found = sampler.end() | {"cpu_seconds": used, "per_debit": statements.per_debit()}
        written_to.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
