"""`make soak`: a long run with its audit as a table; the exit code is 1 if anything differs."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.soak.scenario import Outcome, Size, run
from tests.support.folders import data_folder

_console = Console(highlight=False, soft_wrap=True)


def soak(
    agreements: int = 200,
    cycles: int = 6,
    per_clock: int = 20,
    kills: Annotated[int, typer.Option(help="Per kind of process.")] = 5,
    seed: Annotated[int | None, typer.Option(help="Repeats the plan of an earlier run; random by default.")] = None,
    data: Annotated[Path | None, typer.Option(help="A new folder for data and logs, kept at the end.")] = None,
) -> None:
    """Kill every kind of process while agreements are collected, then audit everybody's books."""
    seed = random.randrange(10**6) if seed is None else seed
    size = Size(agreements, cycles, per_clock, kills)
    _console.print(f"{size}, seed {seed}")
    if data is None:
        with data_folder() as folder:
            outcome = asyncio.run(run(size, seed, folder, _console.print))
    else:
        data.mkdir(mode=0o755)
        outcome = asyncio.run(run(size, seed, data, _console.print))
    _show(outcome)
    sys.exit(1 if outcome.differences else 0)


def _show(outcome: Outcome) -> None:
    killed = Table("killed", "at, s", "back after, s")
    for kill in outcome.killed:
        killed.add_row(kill.kind, f"{kill.at:.1f}", f"{kill.back_after:.1f}")
    _console.print(killed)
    audit = Table("audit", "count", "differences", title=f"seed {outcome.seed}, {outcome.seconds:.0f} s")
    for finding in outcome.findings:
        audit.add_row(finding.what, f"{finding.count}", f"{len(finding.differences)}")
    _console.print(audit)
    _console.print(f"calls the merchant had to repeat: {outcome.repeated_calls}")
    for line in outcome.differences:
        _console.print(f"[red]{escape(line)}[/red]")


if __name__ == "__main__":
    typer.run(soak)
