"""What is measured: one set of servers, on them the engine and what it is measured beside, and an agreement to copy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TypeVar

import httpx
from temporalio.client import Client

from bench import bare_loop, herd
from bench.herd import Herd
from store.database import Database

Measured = TypeVar("Measured")

_STUCK = 60.0
_LOOK = 0.5
_TRIES = 4
_RESTS = 100.0
"""Workflows a second that come to rest after their start, at least."""


class TooLate(Exception):
    """What was to be measured has begun before everything was ready for it."""


class TooSlow(Exception):
    """What was awaited has not come."""


@dataclass
class World:
    """`like` is an agreement that waits for its first debit, `processes` tells the process id of each part.

    The rates are how many workflows could be started a second so far; what is due is put off accordingly.
    """

    client: httpx.AsyncClient
    temporal: Client
    plain: Client
    """For the bare loop, whose payloads nobody seals."""
    database: Database
    sandbox_url: str
    listener_url: str
    like: str
    processes: Callable[[], dict[str, int]]
    engine_rate: float = 12.0
    bare_rate: float = 60.0
    settle: float = 3.0
    """Seconds from the last start to the due instant: until then every workflow has come to rest."""

    async def gathered(self, *wanted: tuple[str, int, str | None], apart: timedelta = timedelta(0)) -> list[Herd]:
        """Herds of these names, sizes and owners (None: the owner of `like`), each due at one instant, so much later
        than the one before it, and none before all of them rest. Raises TooLate.
        """
        count = sum(size for _, size, _ in wanted)
        due = self._in(count / self.engine_rate + count / _RESTS)
        herds = [Herd(name, size, due + n * apart) for n, (name, size, _) in enumerate(wanted)]
        for each, (_, _, owner) in zip(herds, wanted, strict=True):
            await herd.gather(self.database, self.like, each, owner)
        began = monotonic()
        for each in herds:
            await herd.start(self.temporal, self.database, each)
        self.engine_rate = 0.8 * count / (monotonic() - began)
        if datetime.now(UTC) >= due:
            ids = [id_ for each in herds for id_ in each.ids]
            await reached(lambda: herd.settled(self.database, ids), count, "debits")
            raise TooLate("the workflows of a herd could not be started in time")
        return herds

    async def bare_loops(self, orders: Sequence[str]) -> datetime:
        """Starts a bare loop for each of these orders; the instant at which all are due. Raises TooLate."""
        due, told = self._in(len(orders) / self.bare_rate), await self.told("notifications")
        began = monotonic()
        await bare_loop.start(self.plain, list(orders), due)
        self.bare_rate = 0.8 * len(orders) / (monotonic() - began)
        if datetime.now(UTC) >= due:
            with suppress(TooSlow):
                await reached(lambda: self.told("notifications"), told + len(orders), "notifications", stuck=10)
            raise TooLate("the bare loops could not be started in time")
        return due

    async def told(self, kind: str) -> int:
        """How many webhooks or notifications the listener has got."""
        counts = (await self.client.get(f"{self.listener_url}/counts")).json()
        return int(counts.get(kind, 0))

    async def patiently(self, name: str, measure: Callable[[str], Awaitable[Measured]]) -> Measured:
        """What `measure` answers for this name, or for others like it while it was too late for them: on a busy machine
        everything is given more time. Raises TooLate when even that does not help.
        """
        for again in range(_TRIES):
            try:
                return await measure(name + "x" * again)
            except TooLate:
                self.engine_rate, self.bare_rate, self.settle = (
                    self.engine_rate / 2,
                    self.bare_rate / 2,
                    self.settle * 2,
                )
        raise TooLate(f"{name}: this machine has too much else to do")

    def _in(self, seconds: float) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=seconds + self.settle)


async def until(due: datetime) -> None:
    """Waits for an instant."""
    await asyncio.sleep(max((due - datetime.now(UTC)).total_seconds(), 0))


async def reached(count: Callable[[], Awaitable[int]], wanted: int, what: str, stuck: float = _STUCK) -> None:
    """Waits until something has happened this often. Looks seldom, for looking costs as well.

    Raises TooSlow when it has not gone on for `stuck` seconds.
    """
    found, moved = -1, monotonic()
    while found < wanted:
        now = await count()
        if now > found:
            found, moved = now, monotonic()
        elif monotonic() - moved > stuck:
            raise TooSlow(f"{found} of {wanted} {what}, and no more for {stuck:.0f} s")
        if found < wanted:
            await asyncio.sleep(_LOOK)
