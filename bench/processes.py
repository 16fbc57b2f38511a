"""CPU seconds by process, children included, from Linux's /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

_PROC = Path("/proc")


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """What each of these processes and all below it have used so far, one that is named itself apart; empty where there
    is no /proc.
    """
    used: dict[int, int] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for folder in _PROC.glob("[0-9]*"):
        try:
            # The name, in brackets, may hold anything; what follows it is words.
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        pid = int(folder.name)
        used[pid] = sum(map(int, words[11:15]))  # user and system time, its own and of children that ended
        children[int(words[1])].append(pid)

    named = set(pids.values())

    def of(pid: int) -> int:
        return used.get(pid, 0) + sum(of(child) for child in children[pid] if child not in named)

    tick = os.sysconf("SC_CLK_TCK")
    return {name: of(pid) / tick for name, pid in pids.items() if pid in used}


def since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used between two readings."""
    return {name: round(seconds - before.get(name, 0.0), 2) for name, seconds in after.items()}
