"""Moving a test clock: from one due instant to the next, waiting for quiet at each (design §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import chain

import httpx
from sqlalchemy import func
from sqlmodel import col, select
from temporalio import activity

from activities.contract import ADVANCE_CLOCK, ClockInput
from gateways.sandbox_time import SandboxTime
from store.database import Database
from store.tables import Agreement, GatewayAccount, Notification, TestClock

_POLL_SECONDS = 0.02

Tick = Callable[[str, datetime], Awaitable[None]]
"""Tells an agreement's workflow its clock's new time."""


class TestClocks:
    """The only mover of test clocks. Everything it knows is in the rows, so a repeat goes on where it was."""

    __test__ = False

    def __init__(self, database: Database, client: httpx.AsyncClient, tick: Tick) -> None:
        self._database = database
        self._client = client
        self._tick = tick

    @activity.defn(name=ADVANCE_CLOCK)
    async def advance_clock(self, clock: ClockInput) -> None:
        """Runs everything due up to the clock's target, in order, each at its own instant."""
        while (target := await self._target(clock.clock_id)) is not None:
            sandboxes = await self._sandboxes(clock.clock_id)
            await self._quiet(clock.clock_id, sandboxes)
            await self._move(clock.clock_id, sandboxes, await self._next_instant(clock.clock_id, sandboxes, target))
            await self._quiet(clock.clock_id, sandboxes)
            await self._arrive(clock.clock_id, sandboxes)

    async def _next_instant(self, clock_id: str, sandboxes: Sequence[SandboxTime], target: datetime) -> datetime:
        async with self._database.transaction() as session:
            query = select(func.min(Agreement.next_step_at)).where(Agreement.test_clock_id == clock_id)
            ours = (await session.exec(query)).one()
        theirs = [(await sandbox.read()).next_due_at for sandbox in sandboxes]
        return min([target, *(instant for instant in (ours, *theirs) if instant is not None)])

    async def _move(self, clock_id: str, sandboxes: Sequence[SandboxTime], instant: datetime) -> None:
        """The sandboxes first: an agreement must never be ahead of its provider."""
        for sandbox in sandboxes:
            await sandbox.advance(instant)
        async with self._database.transaction() as session:
            clock = await session.get_one(TestClock, clock_id)
            clock.now = max(clock.now, instant)

    async def _quiet(self, clock_id: str, sandboxes: Sequence[SandboxTime]) -> None:
        """Waits until nothing is due, in flight or on its way. Steps count as due until their outcome is committed."""
        ticked: dict[str, datetime] = {}
        while True:
            activity.heartbeat()
            due = await self._due(clock_id)
            for agreement_id, now in due.items():
                if ticked.get(agreement_id) != now:
                    await self._tick(agreement_id, now)
                    ticked[agreement_id] = now
            if not due and not await self._outstanding(sandboxes) and not await self._due(clock_id):
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _due(self, clock_id: str) -> dict[str, datetime]:
        """Agreements with something to do now, and news that was signalled but not settled."""
        async with self._database.transaction() as session:
            now = (await session.exec(select(TestClock.now).where(TestClock.id == clock_id))).one()
            steps = await session.exec(
                select(Agreement.id).where(Agreement.test_clock_id == clock_id, col(Agreement.next_step_at) <= now)
            )
            news = await session.exec(
                select(Agreement.id)
                .join(Notification, col(Notification.agreement_id) == Agreement.id)
                .where(Agreement.test_clock_id == clock_id, Notification.status == "signalled")
            )
            return dict.fromkeys(chain(steps, news), now)

    async def _outstanding(self, sandboxes: Sequence[SandboxTime]) -> int:
        return sum([(await sandbox.read()).outstanding for sandbox in sandboxes])

    async def _target(self, clock_id: str) -> datetime | None:
        async with self._database.transaction() as session:
            return (await session.exec(select(TestClock.target).where(TestClock.id == clock_id))).one()

    async def _arrive(self, clock_id: str, sandboxes: Sequence[SandboxTime]) -> None:
        """Clears the target once the clock stands there; more may have fallen due at this very instant."""
        following = [(await sandbox.read()).next_due_at for sandbox in sandboxes]
        async with self._database.transaction() as session:
            clock = (await session.exec(select(TestClock).where(TestClock.id == clock_id).with_for_update())).one()
            waiting = any(instant is not None and instant <= clock.now for instant in following)
            if clock.target is not None and clock.now >= clock.target and not waiting:
                clock.target = None

    async def _sandboxes(self, clock_id: str) -> list[SandboxTime]:
        async with self._database.transaction() as session:
            query = (
                select(GatewayAccount.base_url)
                .join(Agreement, col(Agreement.account_id) == GatewayAccount.id)
                .where(Agreement.test_clock_id == clock_id, col(GatewayAccount.sandbox))
                .distinct()
            )
            return [SandboxTime(self._client, url, clock_id) for url in await session.exec(query)]
