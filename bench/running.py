"""A whole simulation: shards of fixed size on several cores, put together in order.

A shard's seed comes from the main seed and its number, so the result depends on neither the cores nor their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from multiprocessing import get_context
from time import perf_counter
from typing import Any

from agreements import policies, rulebook
from bench import mix
from bench.audit import MUST_BE_ZERO, NOTICED, Findings
from bench.model_provider import Faults
from bench.simulation import Conditions, shard

SHARD_CYCLES = 2_500

_ON = datetime(2026, 11, 1, tzinfo=UTC).date()
"""The day by whose rulebook the policy is read; a run never reads the clock."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for."""

    cycles: int
    seed: int
    policy: str = "standard"
    lost: float = 0.05
    duplicate: float = 0.02
    shuffle: float = 0.05
    crash: float = 0.001


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out. `result` depends on the run alone, `seconds` on the machine."""

    run: Run
    result: dict[str, Any]
    seconds: float

    @property
    def sound(self) -> bool:
        """Nothing happened that must never happen."""
        return not any(self.result["must_be_zero"].values())

    @property
    def steps_per_second(self) -> float:
        return float(self.result["steps"]) / self.seconds if self.seconds else 0.0


def simulate(run: Run, jobs: int, progress: Callable[[int], None] | None = None) -> Outcome:
    """Runs it on `jobs` processes; `progress` hears of cycles done. Raises PolicyRefused for an unknown policy."""
    policies.resolve(run.policy, rulebook.current(), _ON)
    begun, found = perf_counter(), dict[int, Findings]()
    for number, cycles, findings in _shards(run, jobs):
        found[number] = findings
        if progress is not None:
            progress(cycles)
    whole = Findings()
    for number in sorted(found):
        whole.add(found[number])
    return Outcome(run, _result(run, whole), perf_counter() - begun)


def _shards(run: Run, jobs: int) -> Iterator[tuple[int, int, Findings]]:
    work = [
        (run, number, min(SHARD_CYCLES, run.cycles - start))
        for number, start in enumerate(range(0, run.cycles, SHARD_CYCLES))
    ]
    if jobs == 1:
        yield from map(_one, work)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_one, work)


def _one(work: tuple[Run, int, int]) -> tuple[int, int, Findings]:
    run, number, cycles = work
    book = rulebook.current()
    conditions = Conditions(
        policy=policies.resolve(run.policy, book, _ON),
        faults=Faults(run.lost, run.duplicate, run.shuffle),
        crash=run.crash,
        mix=mix.load(),
        rulebook=book,
    )
    seed = sha256(f"{run.seed}/{number}".encode()).hexdigest()
    findings = shard(seed, cycles, conditions)
    findings.examples = [f"shard {number}: {example}" for example in findings.examples]
    return number, cycles, findings


def _result(run: Run, found: Findings) -> dict[str, Any]:
    counts = found.counts
    declined = counts["declined_at_first"]
    return {
        "run": asdict(run),
        "rulebook": rulebook.current().version,
        "mix": mix.load().version,
        "cycles": counts["cycles"],
        "must_be_zero": {name: counts[name] for name in MUST_BE_ZERO},
        "unresolved_unknowns": counts["unresolved_unknowns"],
        "crashes": counts["crashes"],
        "paid": counts["paid"],
        "declined_at_first": declined,
        "recovered": counts["recovered"],
        "recovery_rate": round(counts["recovered"] / declined, 4) if declined else None,
        "attempts": counts["attempts"],
        "attempts_per_cycle": round(counts["attempts"] / counts["tried"], 4) if counts["tried"] else None,
        "noticed": {name: counts[name] for name in NOTICED},
        "decisions": dict(sorted(found.decisions.items())),
        "steps": found.steps.total(),
        "steps_by_kind": dict(sorted(found.steps.items())),
        "examples": found.examples,
    }
