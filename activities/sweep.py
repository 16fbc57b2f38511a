"""Work that a crash left between a commit and its consequence: found in the rows, and taken up again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func, tuple_, update
from sqlalchemy.orm import Mapped
from sqlmodel import col, or_, select
from temporalio import activity

from activities.contract import SWEEP
from agreements.declarations import DeclarationStanding
from agreements.deliveries import DeliveryStatus, Run
from agreements.refunds import RefundStanding
from agreements.standing import Standing
from store import declarations, deliveries, refunds, standings
from store.database import Database
from store.tables import Agreement, Declaration, Delivery, Event, Notification, Refund, TestClock

log = structlog.get_logger(__name__)

_OVERDUE = timedelta(minutes=2)
_OFTEN = timedelta(minutes=10)
_NOW_AND_THEN, _FOR = 3600, 120  # seconds
_BATCH = 200
_MOST_BATCHES = 10

StartRuns = Callable[[Sequence[Run]], Awaitable[None]]
"""Starts runs of deliveries."""
Chore = Callable[[datetime], Awaitable[None]]
"""Something a sweep looks after, too; called with the present instant."""


@dataclass(frozen=True)
class Reach:
    """How a sweep reaches the workflows; handed in, because activities know none."""

    start_agreement: Callable[[Standing], Awaitable[None]]
    tell_news: Callable[[Standing, str], Awaitable[None]]
    look: Callable[[Standing], Awaitable[None]]
    start_deliveries: StartRuns
    advance_clock: Callable[[str], Awaitable[None]]
    start_refund: Callable[[RefundStanding], Awaitable[None]]
    tell_refund_news: Callable[[RefundStanding, str], Awaitable[None]]
    start_declaration: Callable[[DeclarationStanding], Awaitable[None]]


class Sweeps:
    """Runs every half minute; doing any of it twice changes nothing."""

    def __init__(
        self,
        database: Database,
        reach: Reach,
        left_behind: timedelta = timedelta(seconds=15),
        chores: Sequence[Chore] = (),
    ) -> None:
        """Rows younger than `left_behind` are still in the hands of whoever wrote them."""
        self._database = database
        self._reach = reach
        self._left_behind = left_behind
        self._chores = chores

    @activity.defn(name=SWEEP)
    async def sweep(self) -> None:
        """Starts agreements, refunds and deliveries, resends news, wakes workflows that missed a command."""
        now = datetime.now(UTC)
        before = now - self._left_behind
        for agreement_id in await self._unstarted(before):
            async with _one(agreement_id):
                await self._reach.start_agreement(await standings.current(self._database, agreement_id))
                await self._mark_started(agreement_id)
        for refund_id in await self._unstarted_of(Refund, before):
            async with _one(refund_id):
                await self._reach.start_refund(await refunds.current(self._database, refund_id))
                await refunds.mark_started(self._database, refund_id)
        for declaration_id in await self._unstarted_of(Declaration, before):
            async with _one(declaration_id):
                await self._reach.start_declaration(await declarations.current(self._database, declaration_id))
                await declarations.mark_started(self._database, declaration_id)
        for agreement_id, about_refund, notification_id in await self._unsettled(now):
            async with _one(about_refund or agreement_id):
                await self._retell(agreement_id, about_refund, notification_id)
        for agreement_id in await self._overdue(now):
            async with _one(agreement_id):
                await self._reach.look(await standings.current(self._database, agreement_id))
        for clock_id in await self._not_quiet():
            async with _one(clock_id):
                await self._reach.advance_clock(clock_id)
        for _ in range(_MOST_BATCHES):
            if not await self._deliver(before):
                break
        for chore in self._chores:
            async with _one("sweep"):
                await chore(now)

    async def _unstarted(self, before: datetime) -> list[str]:
        query = select(Agreement.id).where(~col(Agreement.started), Agreement.written_at < before)
        async with self._database.transaction() as session:
            return list(await session.exec(query.limit(_BATCH)))

    async def _mark_started(self, agreement_id: str) -> None:
        async with self._database.transaction() as session:
            (await session.get_one(Agreement, agreement_id)).started = True

    async def _unstarted_of(self, table: type[Refund] | type[Declaration], before: datetime) -> list[str]:
        query = select(table.id).where(~col(table.started), table.written_at < before)
        async with self._database.transaction() as session:
            return list(await session.exec(query.limit(_BATCH)))

    async def _retell(self, agreement_id: str, refund_id: str | None, notification_id: str) -> None:
        if refund_id is not None:
            await self._reach.tell_refund_news(await refunds.current(self._database, refund_id), notification_id)
        else:
            await self._reach.tell_news(await standings.current(self._database, agreement_id), notification_id)

    async def _unsettled(self, now: datetime) -> list[tuple[str, str | None, str]]:
        query = select(Notification.agreement_id, Notification.refund_id, Notification.id).where(
            Notification.status == "signalled", worth_telling(col(Notification.created_at), self._left_behind, now)
        )
        async with self._database.transaction() as session:
            rows = await session.exec(query.order_by(Notification.id).limit(_BATCH))
            return [(agreement, refund, notification) for agreement, refund, notification in rows if agreement]

    async def _overdue(self, now: datetime) -> list[str]:
        query = select(Agreement.id).where(
            col(Agreement.test_clock_id).is_(None),
            col(Agreement.started),
            worth_telling(col(Agreement.next_step_at), _OVERDUE, now),
        )
        async with self._database.transaction() as session:
            return list(await session.exec(query.order_by(col(Agreement.next_step_at).desc()).limit(_BATCH)))

    async def _not_quiet(self) -> list[str]:
        """Test clocks with a target, or with something due. Their mover may never have been started, and a workflow may
        have missed a command; a mover that runs is told in vain.
        """
        due = select(Agreement.id).where(
            Agreement.test_clock_id == TestClock.id,
            col(Agreement.started),
            col(Agreement.next_step_at) <= TestClock.now,
        )
        query = select(TestClock.id).where(or_(col(TestClock.target).is_not(None), due.exists()))
        async with self._database.transaction() as session:
            return list(await session.exec(query.limit(_BATCH)))

    async def _deliver(self, before: datetime) -> bool:
        """Starts a batch of deliveries; whether there was one."""
        found = await self._undelivered(before)
        await self._reach.start_deliveries(found)
        async with self._database.transaction() as session:
            this = tuple_(col(Delivery.id), col(Delivery.run)).in_([(run.delivery_id, run.number) for run in found])
            await session.exec(update(Delivery).where(this).values(started=True))
        return bool(found)

    async def _undelivered(self, before: datetime) -> list[Run]:
        query = (
            select(Delivery.id, Event.merchant_id, Delivery.run)
            .join(Event, col(Event.id) == Delivery.event_id)
            .where(
                ~col(Delivery.started),
                Delivery.status == DeliveryStatus.PENDING,
                Delivery.queued_at < before,
            )
        )
        async with self._database.transaction() as session:
            rows = await session.exec(query.order_by(*deliveries.in_order()).limit(_BATCH))
            return [Run(*row) for row in rows]


def worth_telling(since: Mapped[Any], after: timedelta, now: datetime) -> ColumnElement[bool]:
    """Whether a workflow is told again: when it has not answered for `after`, and later for two minutes of every hour.

    Each telling is a signal in the history of a workflow that may be stuck for days, say on a provider's outage: at
    every sweep they would fill it to the server's limit.
    """
    seconds = func.extract("epoch", now - since)
    return (since < now - after) & or_(since > now - _OFTEN, func.mod(seconds, _NOW_AND_THEN) < _FOR)


@asynccontextmanager
async def _one(subject: str) -> AsyncIterator[None]:
    """What fails for one agreement waits for the next sweep; the others must not wait with it."""
    try:
        yield
    except Exception as error:
        log.warning("not_taken_up", subject=subject, error=type(error).__name__)
