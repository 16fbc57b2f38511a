"""How many due debits a second become full cycles, beside a bare Temporal loop on the same servers in the same run.

A cycle is full when its debit is in the ledger, its event written and its webhook queued, and the workflow waits for
the next. When that was is read from Temporal's histories, for both sides alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from bench import herd, histories, processes, provider
from bench.herd import Herd
from bench.histories import Cycle, NotAtRest, Size
from bench.provider import Debit
from bench.world import TooLate, TooSlow, World, reached, until

ENGINE, WITH_WEBHOOKS, BARE = "engine", "engine_with_webhooks", "bare_loop"

_SAMPLE = 20
"""Workflows whose size is read before and after: an answer of the server for each."""
_POINTS = 40
_NO_MORE = 5.0


@dataclass(frozen=True)
class Round:
    """One herd collected. `seconds` from the due instant to the end of the last cycle; `curve` are the seconds at which
    equal shares of the debits had reached the provider; `cpu` are CPU seconds by process.
    """

    side: str
    count: int
    seconds: float
    curve: list[float]
    cpu: dict[str, float]

    @property
    def per_second(self) -> float:
        return round(self.count / self.seconds, 2)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "per_second": self.per_second}


@dataclass(frozen=True)
class Collected:
    """A round, and what each workflow has written about it."""

    round: Round
    cycles: list[Cycle]
    grown: list[Size]


async def engine_round(
    world: World,
    name: str,
    count: int,
    owner: str | None,
    *,
    delivered: bool,
    when_ready: Callable[[], Awaitable[None]] | None = None,
) -> Collected:
    """The engine's: with `delivered` it lasts until the last webhook was taken. `when_ready` is awaited before anything
    is due. Raises WrongCount, TooLate, TooSlow.
    """
    [gathered] = await world.gathered((name, count, owner))
    if when_ready is not None:
        await when_ready()
    sample = gathered.workflows[:_SAMPLE]
    sizes = [await histories.size(world.temporal, id_) for id_ in sample]
    await until(gathered.due_at)
    before = processes.cpu_seconds(world.processes())
    await reached(lambda: herd.settled(world.database, gathered.ids), count, "debits")
    if delivered:
        await reached(lambda: _delivered(world, gathered), count, "webhooks")
    await _told(lambda: _taken_in(world, gathered), count)
    cpu = processes.since(before, processes.cpu_seconds(world.processes()))
    cycles = await _cycles(world, gathered.workflows, gathered.due_at)
    ends = [cycle.over_at for cycle in cycles]
    if delivered:
        ends.append(await _last_delivered(world, gathered))
    debits = provider.one_each(gathered.orders, await provider.debits(world.client, world.sandbox_url))
    grown = [await histories.size(world.temporal, id_) - size for id_, size in zip(sample, sizes, strict=True)]
    side = WITH_WEBHOOKS if delivered else ENGINE
    return Collected(_round(side, gathered.due_at, max(ends), debits, cpu), cycles, grown)


async def bare_round(world: World, name: str, count: int) -> Collected:
    """The bare loop's. Raises WrongCount, TooLate, TooSlow."""
    orders = [f"bare-{name}-{n}" for n in range(count)]
    told = await world.told("notifications")
    due = await world.bare_loops(orders)
    await until(due)
    before = processes.cpu_seconds(world.processes())
    await _told(lambda: world.told("notifications"), told + count)
    cpu = processes.since(before, processes.cpu_seconds(world.processes()))
    cycles = await _cycles(world, orders, due)
    debits = provider.one_each(orders, await provider.debits(world.client, world.sandbox_url))
    return Collected(_round(BARE, due, max(cycle.over_at for cycle in cycles), debits, cpu), cycles, [])


def ratios(rounds: Sequence[Round]) -> dict[str, dict[str, float]]:
    """The engine's throughput over the bare loop's, of the medians, with the least and the most of any two rounds."""
    rates = {side: [r.per_second for r in rounds if r.side == side] for side in (ENGINE, WITH_WEBHOOKS, BARE)}
    bare = rates[BARE]
    return {
        side: {
            "median": round(statistics.median(rates[side]) / statistics.median(bare), 2),
            "least": round(min(rates[side]) / max(bare), 2),
            "most": round(max(rates[side]) / min(bare), 2),
        }
        for side in (ENGINE, WITH_WEBHOOKS)
    }


def curve(due: datetime, times: Sequence[datetime], points: int = _POINTS) -> list[float]:
    """Seconds after `due` at which 1/points, 2/points, ... of all had come."""
    ordered = sorted((time - due).total_seconds() for time in times)
    return [round(ordered[max(len(ordered) * n // points, 1) - 1], 3) for n in range(1, points + 1)]


def _round(side: str, due: datetime, over: datetime, debits: Sequence[Debit], cpu: dict[str, float]) -> Round:
    times = [debit.at for debit in debits]
    return Round(side, len(debits), round((over - due).total_seconds(), 3), curve(due, times), cpu)


async def _told(count: Callable[[], Awaitable[int]], wanted: int) -> None:
    """Waits for the provider's notifications: they are part of either side's work, so its CPU time is read after them.

    One may be late, and is not waited for long: whether all is over the histories tell.
    """
    with suppress(TooSlow):
        await reached(count, wanted, "notifications", stuck=_NO_MORE)


async def _cycles(world: World, workflow_ids: Sequence[str], due: datetime) -> list[Cycle]:
    """Of all, once the last has come to rest again. Raises TooLate when one was not at rest at the due instant."""
    found: list[Cycle | None] = []

    async def over() -> int:
        found[:] = await histories.cycles(world.temporal, workflow_ids, due)
        return sum(cycle is not None for cycle in found)

    try:
        await reached(over, len(workflow_ids), "workflows at rest")
    except NotAtRest:
        raise TooLate("workflows were not at rest when their debits fell due") from None
    return [cycle for cycle in found if cycle is not None]


_DELIVERIES = "from deliveries d join events e on e.id = d.event_id where e.agreement_id = any(:ids)"


async def _delivered(world: World, gathered: Herd) -> int:
    return int(await _one(world, f"select count(*) {_DELIVERIES} and d.status = 'delivered'", gathered))


async def _taken_in(world: World, gathered: Herd) -> int:
    judged = "from notifications n where n.agreement_id = any(:ids) and n.status not in ('received', 'signalled')"
    return int(await _one(world, f"select count(*) {judged}", gathered))


async def _last_delivered(world: World, gathered: Herd) -> datetime:
    last: datetime = await _one(world, f"select max(d.finished_at) {_DELIVERIES}", gathered)
    return last


async def _one(world: World, query: str, gathered: Herd) -> Any:
    async with world.database.transaction() as session:
        connection = await session.connection()
        return (await connection.execute(text(query), {"ids": gathered.ids})).scalar_one()
