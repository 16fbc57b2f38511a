"""Work that a crash left between a commit and its consequence: found in the rows, and taken up again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import col, select
from temporalio import activity

from activities.contract import SWEEP
from activities.workbench import StartDeliveries
from agreements.standing import Standing
from store import standings
from store.database import Database
from store.tables import Agreement, Delivery, Notification

_LEFT_BEHIND = timedelta(seconds=15)
"""Younger rows are still in the hands of whoever wrote them."""
_OVERDUE = timedelta(minutes=2)
_BATCH = 200


@dataclass(frozen=True)
class Reach:
    """How a sweep reaches the workflows; handed in, because activities know none."""

    start_agreement: Callable[[Standing], Awaitable[None]]
    tell_news: Callable[[Standing, str], Awaitable[None]]
    look: Callable[[Standing], Awaitable[None]]
    start_deliveries: StartDeliveries


class Sweeps:
    """Runs every half minute; doing any of it twice changes nothing."""

    def __init__(self, database: Database, reach: Reach) -> None:
        self._database = database
        self._reach = reach

    @activity.defn(name=SWEEP)
    async def sweep(self) -> None:
        """Starts agreements and deliveries, resends news, wakes workflows that missed a command."""
        before = datetime.now(UTC) - _LEFT_BEHIND
        for agreement_id in await self._unstarted(before):
            await self._reach.start_agreement(await standings.current(self._database, agreement_id))
            await self._mark_started(agreement_id)
        for agreement_id, notification_id in await self._unsettled(before):
            await self._reach.tell_news(await standings.current(self._database, agreement_id), notification_id)
        for agreement_id in await self._overdue(datetime.now(UTC) - _OVERDUE):
            await self._reach.look(await standings.current(self._database, agreement_id))
        await self._reach.start_deliveries(await self._undelivered(before))

    async def _unstarted(self, before: datetime) -> list[str]:
        query = select(Agreement.id).where(col(Agreement.started).is_(False), Agreement.written_at < before)
        async with self._database.transaction() as session:
            return list(await session.exec(query.limit(_BATCH)))

    async def _mark_started(self, agreement_id: str) -> None:
        async with self._database.transaction() as session:
            (await session.get_one(Agreement, agreement_id)).started = True

    async def _unsettled(self, before: datetime) -> list[tuple[str, str]]:
        query = select(Notification.agreement_id, Notification.id).where(
            Notification.status == "signalled", Notification.created_at < before
        )
        async with self._database.transaction() as session:
            rows = await session.exec(query.order_by(Notification.id).limit(_BATCH))
            return [(agreement_id, notification_id) for agreement_id, notification_id in rows if agreement_id]

    async def _overdue(self, before: datetime) -> list[str]:
        query = select(Agreement.id).where(
            col(Agreement.test_clock_id).is_(None), col(Agreement.started), col(Agreement.next_step_at) < before
        )
        async with self._database.transaction() as session:
            return list(await session.exec(query.order_by(col(Agreement.next_step_at)).limit(_BATCH)))

    async def _undelivered(self, before: datetime) -> list[str]:
        query = select(Delivery.id).where(col(Delivery.started).is_(False), Delivery.created_at < before)
        async with self._database.transaction() as session:
            return list(await session.exec(query.order_by(Delivery.id).limit(_BATCH)))
