"""What became of deliveries, as merchants read it: each with its latest attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.deliveries import DeliveryStatus
from store.pages import Page, cut, of, place
from store.tables import Delivery, DeliveryAttempt, Event

_SHOWN = 50
"""Attempts per delivery: more than three runs."""


@dataclass(frozen=True)
class Logged:
    """A delivery, what it delivers, and its latest attempts, oldest first."""

    delivery: Delivery
    event: Event
    attempts: Sequence[DeliveryAttempt]


async def of_event(session: AsyncSession, event_id: str, *, limit: int, after: str | None) -> Page[Logged]:
    """An event's deliveries, newest first. Raises BadCursor."""
    return await _page(session, of("deliveries", event_id), limit, after, event_id=event_id)


async def of_endpoint(
    session: AsyncSession, endpoint_id: str, *, status: DeliveryStatus | None, limit: int, after: str | None
) -> Page[Logged]:
    """An endpoint's deliveries, newest first. Raises BadCursor."""
    wanted = {} if status is None else {"status": status}
    return await _page(session, of("deliveries", endpoint_id), limit, after, endpoint_id=endpoint_id, **wanted)


async def logged(session: AsyncSession, rows: Sequence[Delivery]) -> list[Logged]:
    """The rows with their events and attempts, in the same order."""
    of_events = select(Event).where(col(Event.id).in_({row.event_id for row in rows}))
    events = {event.id: event for event in await session.exec(of_events)}
    query = (
        select(DeliveryAttempt)
        .join(Delivery, col(Delivery.id) == DeliveryAttempt.delivery_id)
        .where(col(Delivery.id).in_([row.id for row in rows]), DeliveryAttempt.number > Delivery.attempts - _SHOWN)
    )
    attempts: dict[str, list[DeliveryAttempt]] = defaultdict(list)
    for attempt in await session.exec(query.order_by(col(DeliveryAttempt.number))):
        attempts[attempt.delivery_id].append(attempt)
    # An event may have been purged since its delivery was read.
    return [Logged(row, events[row.event_id], attempts[row.id]) for row in rows if row.event_id in events]


async def waiting(session: AsyncSession, endpoint_ids: Sequence[str]) -> dict[str, int]:
    """How many events are still to be sent to each of these endpoints."""
    query = (
        select(Delivery.endpoint_id, func.count())
        .where(col(Delivery.endpoint_id).in_(endpoint_ids), col(Delivery.finished_at).is_(None))
        .group_by(Delivery.endpoint_id)
    )
    return dict.fromkeys(endpoint_ids, 0) | dict(list(await session.exec(query)))


async def _page(
    session: AsyncSession, list_: str, limit: int, after: str | None, **filters: str | DeliveryStatus
) -> Page[Logged]:
    query = select(Delivery)
    for name, value in filters.items():
        query = query.where(getattr(Delivery, name) == value)
    if after is not None:
        query = query.where(Delivery.id < str(place(after, list_, str)[0]))
    rows = (await session.exec(query.order_by(col(Delivery.id).desc()).limit(limit + 1))).all()
    found = cut(rows, limit, list_, lambda row: (row.id,))
    return Page(await logged(session, found.rows), found.next_cursor)
