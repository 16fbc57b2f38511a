"""Moving a test clock: from one due instant to the next, waiting for quiet at each (design §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import httpx
from sqlalchemy import ColumnElement, CompoundSelect, and_, func, literal, union_all
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar
from temporalio import activity

from activities.contract import ADVANCE_CLOCK, ClockInput
from agreements.refunds import RefundOrigin
from agreements.standing import Standing
from gateways.sandbox_time import SandboxTime
from store import standings
from store.database import Database
from store.tables import Agreement, Declaration, GatewayAccount, Notification, Refund, TestClock

_FIRST_LOOK, _SLOWEST_LOOK = 0.02, 0.2  # seconds

Tick = Callable[[str, datetime], Awaitable[None]]
"""Tells the workflow of an agreement, a refund or a declaration, by its id, its clock's new time."""
Look = Callable[[Standing], Awaitable[None]]
"""Hands an agreement's workflow a standing it may have missed."""


class TestClocks:
    """The only mover of test clocks. Everything it knows is in the rows, so a repeat goes on where it was."""

    __test__ = False

    def __init__(
        self,
        database: Database,
        client: httpx.AsyncClient,
        tick_agreement: Tick,
        tick_refund: Tick,
        tick_declaration: Tick,
        look: Look,
        patience: timedelta = timedelta(seconds=5),
    ) -> None:
        """`patience` is real time: what is due for longer is told everything, since it may have missed a command."""
        self._database = database
        self._client = client
        self._tick_agreement = tick_agreement
        self._tick_refund = tick_refund
        self._tick_declaration = tick_declaration
        self._look = look
        self._patience = patience.total_seconds()

    @activity.defn(name=ADVANCE_CLOCK)
    async def advance_clock(self, clock: ClockInput) -> None:
        """Runs everything due up to the clock's target, in order, each at its own instant.

        A clock without a target stands still: then only what is due there already is brought to its end.
        """
        sandboxes = await self._sandboxes(clock.clock_id)
        await self._quiet(clock.clock_id, sandboxes)
        while (target := await self._target(clock.clock_id)) is not None:
            sandboxes = await self._sandboxes(clock.clock_id)
            await self._move(clock.clock_id, sandboxes, await self._next_instant(clock.clock_id, sandboxes, target))
            await self._quiet(clock.clock_id, sandboxes)
            await self._arrive(clock.clock_id, sandboxes)

    async def _next_instant(self, clock_id: str, sandboxes: Sequence[SandboxTime], target: datetime) -> datetime:
        async with self._database.transaction() as session:
            ours = (
                select(func.min(Agreement.next_step_at)).where(Agreement.test_clock_id == clock_id),
                select(func.min(Refund.next_try_at)).where(_refund_of(clock_id)),
                select(func.min(Declaration.next_try_at)).where(_declaration_of(clock_id)),
            )
            dues = [(await session.exec(query)).one() for query in ours]
        theirs = [(await sandbox.read()).next_due_at for sandbox in sandboxes]
        return min([target, *(instant for instant in (*dues, *theirs) if instant is not None)])

    async def _move(self, clock_id: str, sandboxes: Sequence[SandboxTime], instant: datetime) -> None:
        """The sandboxes first: an agreement must never be ahead of its provider."""
        for sandbox in sandboxes:
            await sandbox.advance(instant)
        async with self._database.transaction() as session:
            clock = await session.get_one(TestClock, clock_id)
            clock.now = max(clock.now, instant)

    async def _quiet(self, clock_id: str, sandboxes: Sequence[SandboxTime]) -> None:
        """Waits until nothing is due, in flight or on its way. Steps count as due until their outcome is committed."""
        ticked: dict[tuple[Tick, str], datetime] = {}
        real = asyncio.get_running_loop()
        began, patience, pause = real.time(), self._patience, _FIRST_LOOK
        while True:
            activity.heartbeat()
            due = await self._due(clock_id)
            for (tick, id_), now in due.items():
                if ticked.get((tick, id_)) != now:
                    await tick(id_, now)
                    ticked[tick, id_] = now
            if due and real.time() - began >= patience:
                patience = 2 * patience + _FIRST_LOOK
                await self._remind([id_ for tick, id_ in due if tick == self._tick_agreement])
            if not due and not await self._outstanding(sandboxes) and not await self._due(clock_id):
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, _SLOWEST_LOOK)

    async def _remind(self, agreement_ids: Sequence[str]) -> None:
        """A process that died between a command's commit and telling the workflow left it with an old standing: to that
        one nothing is due.
        """
        for agreement_id in agreement_ids:
            await self._look(await standings.current(self._database, agreement_id))

    async def _due(self, clock_id: str) -> dict[tuple[Tick, str], datetime]:
        """What has something to do now, and agreements with news that was signalled but not settled."""
        tick = {"agreement": self._tick_agreement, "refund": self._tick_refund, "declaration": self._tick_declaration}
        async with self._database.transaction() as session:
            now = (await session.exec(select(TestClock.now).where(TestClock.id == clock_id))).one()
            connection = await session.connection()
            found = (await connection.execute(_everything_due(clock_id, now))).all()
        return {(tick[kind], id_): now for kind, id_ in found}

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


def _everything_due(clock_id: str, now: datetime) -> CompoundSelect[str, str]:
    """Kinds and ids, in one question: it is asked over and over while a clock moves."""
    on_clock = Agreement.test_clock_id == clock_id
    news = select(literal("agreement"), Notification.agreement_id).where(
        Notification.status == "signalled", col(Notification.agreement_id).in_(_agreements_of(clock_id))
    )
    return union_all(
        select(literal("agreement"), Agreement.id).where(on_clock, col(Agreement.next_step_at) <= now),
        news,
        select(literal("refund"), Refund.id).where(_refund_of(clock_id), col(Refund.next_try_at) <= now),
        select(literal("declaration"), Declaration.id).where(
            _declaration_of(clock_id), col(Declaration.next_try_at) <= now
        ),
    )


def _agreements_of(clock_id: str) -> SelectOfScalar[str]:
    return select(Agreement.id).where(Agreement.test_clock_id == clock_id)


def _refund_of(clock_id: str) -> ColumnElement[bool]:
    """One that a merchant asked for; the others stand on their agreement's agenda."""
    return and_(col(Refund.agreement_id).in_(_agreements_of(clock_id)), col(Refund.origin) == RefundOrigin.MERCHANT)


def _declaration_of(clock_id: str) -> ColumnElement[bool]:
    return col(Declaration.agreement_id).in_(_agreements_of(clock_id))
