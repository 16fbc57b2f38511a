"""What a sweep looks after besides work that a crash left: queues to catch up, messages nobody judged, old rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from sqlmodel import col, select

from activities.sweep import Chore, StartRuns, worth_telling
from agreements.deliveries import Run
from store import deliveries, old_rows, retention
from store.database import Database
from store.retention import Kept
from store.tables import Notification, WebhookEndpoint

log = structlog.get_logger(__name__)

_ENDPOINTS = 20
_DELIVERIES = 200
"""Of one endpoint, per sweep: its receiver has only just come back."""
_MESSAGES = 200

TakeUp = Callable[[str], Awaitable[None]]
"""Judges a journalled message, by its id, as if it had just come."""


def catching_up(database: Database, start_runs: StartRuns) -> Chore:
    """Starts what was parked while an endpoint was disabled, in order, a part with every sweep."""

    async def chore(now: datetime) -> None:
        query = select(WebhookEndpoint.id, WebhookEndpoint.merchant_id).where(col(WebhookEndpoint.catching_up))
        async with database.transaction() as session:
            behind = list(await session.exec(query.limit(_ENDPOINTS)))
        for endpoint_id, merchant_id in behind:
            async with database.transaction() as session:
                found = await deliveries.catch_up(session, endpoint_id, _DELIVERIES, now)
            await start_runs([Run(row.id, merchant_id, row.run) for row in found])

    return chore


def taking_up(database: Database, take_up: TakeUp, left_behind: timedelta = timedelta(seconds=15)) -> Chore:
    """Takes up messages that were journalled and, because the API died, not judged.

    Rows younger than `left_behind` are still in the hands of the process that got them.
    """

    async def chore(now: datetime) -> None:
        query = select(Notification.id).where(
            Notification.status == "received", worth_telling(col(Notification.created_at), left_behind, now)
        )
        async with database.transaction() as session:
            left = list(await session.exec(query.order_by(Notification.id).limit(_MESSAGES)))
        for notification_id in left:
            try:
                await take_up(notification_id)
            except Exception as error:  # one message that cannot be judged must not hold up the others
                log.warning("notification_not_taken_up", notification=notification_id, error=type(error).__name__)

    return chore


def purging(database: Database, kept: Kept) -> Chore:
    """Deletes what has been kept for long enough."""

    async def chore(now: datetime) -> None:
        async with database.transaction() as session:
            await retention.purge(session, kept, now)
            await retention.purge_links(session, now)

    return chore


def walking(database: Database, events: timedelta) -> Chore:
    """Walks through all agreements for what is no longer kept of them; `events` is for how long their events are."""

    async def chore(now: datetime) -> None:
        async with database.transaction() as session:
            await old_rows.walk_on(session, events, now)

    return chore
