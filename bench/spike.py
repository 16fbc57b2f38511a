"""The first of the month: many agreements due at one instant, against a provider that takes so many calls a second.

A small merchant's agreements fall due when a quarter of a large one's have been collected and the others wait. Once
they carry the small merchant's own fairness key, and once, to show what it is worth, the large one's.
"""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from agreements.rates import Rate
from bench import collecting, herd, provider
from bench.provider import Debit
from bench.world import World, reached, until
from gateways.connectors import calls_per_charge
from workflows import rates

GATEWAY = "antom"
_COLLECTED = 0.25
"""Of the large merchant's, at the provider's rate, when the small one's fall due."""


@dataclass(frozen=True)
class Delays:
    """From the due instant to the debit at the provider, in seconds, over one merchant's agreements."""

    count: int
    median: float
    longest: float

    @classmethod
    def of(cls, due: datetime, debits: Sequence[Debit]) -> Delays:
        seconds = [(debit.at - due).total_seconds() for debit in debits]
        return cls(len(seconds), round(statistics.median(seconds), 2), round(max(seconds), 2))


@dataclass(frozen=True)
class Spike:
    """`limit` is how many calls the provider takes in any one second, `handed_out` how many tasks a second its queue
    gives away so that this holds, `most` the most debits that reached it in any one second; `seconds` until the last
    of them had. `behind`: how much later the small merchant's were due, in seconds. `keyed`: it had a fairness key of
    its own.
    """

    limit: int
    handed_out: float
    most: int
    seconds: float
    behind: float
    keyed: bool
    large: Delays
    small: Delays
    curve: list[float]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def spike(world: World, name: str, sizes: tuple[int, int], limit: int, owners: tuple[str, str]) -> Spike:
    """Of a large and a small merchant, who may be one and the same; `limit` is the provider's, in calls a second.

    Raises WrongCount, TooLate, TooSlow.
    """
    handed_out = Rate(limit).tasks_per_second(calls_per_charge()[GATEWAY])
    behind = timedelta(seconds=round(_COLLECTED * sizes[0] / handed_out, 1))
    async with _limited(world, handed_out):
        large, small = await world.gathered(
            (f"{name}large", sizes[0], owners[0]), (f"{name}small", sizes[1], owners[1]), apart=behind
        )
        await until(large.due_at)
        await reached(lambda: herd.settled(world.database, large.ids + small.ids), sum(sizes), "debits")
    seen = await provider.debits(world.client, world.sandbox_url)
    of_large, of_small = (provider.one_each(each.orders, seen) for each in (large, small))
    due, times = large.due_at, [debit.at for debit in (*of_large, *of_small)]
    return Spike(
        limit=limit,
        handed_out=round(handed_out, 2),
        most=provider.most_in_one_second(times),
        seconds=round((max(times) - due).total_seconds(), 2),
        behind=behind.total_seconds(),
        keyed=owners[0] != owners[1],
        large=Delays.of(large.due_at, of_large),
        small=Delays.of(small.due_at, of_small),
        curve=collecting.curve(due, times),
    )


@asynccontextmanager
async def _limited(world: World, per_second: float) -> AsyncIterator[None]:
    """The provider's queue hands out so many activities a second, whichever worker asks, while the block runs."""
    await rates.limit(world.temporal, GATEWAY, total=per_second, reason="a due day", by="autodebit bench")
    try:
        yield
    finally:
        await rates.unlimit(world.temporal, GATEWAY, by="autodebit bench")
