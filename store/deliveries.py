"""Deliveries: one event to one endpoint, sent in runs, every attempt written down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.deliveries import DeliveryStatus, is_dead, next_wait
from store import ids, webhook_endpoints
from store.tables import Delivery, DeliveryAttempt, Event, WebhookEndpoint

_GIVES_WAY = timedelta(minutes=1)
"""Longer than this nothing waits for the event before it to be tried."""


@dataclass(frozen=True)
class Attempted:
    """What came of one attempt. No `error` means that the receiver has taken the event."""

    at: datetime
    latency: timedelta
    error: str | None
    status: int | None = None
    answer: str | None = None
    """The first bytes of the answer, printable and without secrets."""
    asked: timedelta = timedelta(0)
    """What the receiver asked for before the next attempt."""


@dataclass(frozen=True)
class Due:
    """A delivery to be tried now."""

    delivery: Delivery
    event: Event
    endpoint: WebhookEndpoint


async def begin(session: AsyncSession, delivery_id: str, run: int, now: datetime) -> Due | str:
    """A run's delivery, or why there is nothing to send: how it ended, that it is parked, or `superseded`."""
    row = await session.get_one(Delivery, delivery_id)
    endpoint = await session.get_one(WebhookEndpoint, row.endpoint_id)
    closed = endpoint.disabled_at is not None or endpoint.deleted_at is not None
    if row.run == run and row.status is DeliveryStatus.PENDING and closed:
        # It may have been enabled since; under its lock nobody unparks what is about to be parked.
        endpoint = await webhook_endpoints.lock(session, row.endpoint_id, shared=True)
        await session.refresh(row, with_for_update=True)
    if row.run != run:
        return "superseded"
    if row.status is DeliveryStatus.PENDING and endpoint.deleted_at:
        row.status, row.finished_at, row.next_attempt_at = DeliveryStatus.DROPPED, now, None
    elif row.status is DeliveryStatus.PENDING and endpoint.disabled_at:
        row.status, row.next_attempt_at = DeliveryStatus.PARKED, None
    row.started = True
    if row.status is not DeliveryStatus.PENDING:
        return row.status.value
    return Due(row, await session.get_one(Event, row.event_id), endpoint)


async def is_behind(session: AsyncSession, due: Due, now: datetime) -> bool:
    """Whether the event before this one, of those the endpoint wants, is still to be tried for the first time."""
    query = (
        select(Delivery)
        .join(Event, col(Event.id) == Delivery.event_id)
        .where(
            Event.agreement_id == due.event.agreement_id,
            Event.sequence < due.event.sequence,
            Delivery.endpoint_id == due.endpoint.id,
        )
        .order_by(col(Event.sequence).desc())
        .limit(1)
    )
    before = (await session.exec(query)).first()
    if before is None or before.status is not DeliveryStatus.PENDING or before.tries > 0:
        return False
    return now - before.queued_at < _GIVES_WAY


async def record(session: AsyncSession, due: Due, attempted: Attempted, scale: float) -> Delivery:
    """Writes down an attempt and what follows from it: `next_attempt_at` is empty once there is none.

    While the endpoint is dead nothing is given up: the caller disables it, and with that parks its deliveries.
    """
    query = select(Delivery).where(Delivery.id == due.delivery.id).with_for_update()
    row = (await session.exec(query.execution_options(populate_existing=True))).one()
    now = attempted.at + attempted.latency
    row.attempts += 1
    row.last_status, row.last_error = attempted.status, attempted.error
    session.add(
        DeliveryAttempt(
            id=ids.new("dla"),
            delivery_id=row.id,
            number=row.attempts,
            at=attempted.at,
            status=attempted.status,
            error=attempted.error,
            latency_ms=round(attempted.latency.total_seconds() * 1000),
            answer=attempted.answer,
        )
    )
    if row.run != due.delivery.run or row.finished_at is not None:
        return row
    if attempted.error is None:
        row.status, row.finished_at, row.next_attempt_at = DeliveryStatus.DELIVERED, now, None
    elif row.status is DeliveryStatus.PENDING:
        wait = next_wait(row.id, row.tries, attempted.asked, scale)
        row.next_attempt_at = None if wait is None else now + wait
        if wait is None and not is_dead(await _failing_since(session, row.endpoint_id), now, scale):
            row.status, row.finished_at = DeliveryStatus.FAILED, now
    return row


async def send_again(session: AsyncSession, event: Event, endpoint_id: str, now: datetime) -> Delivery:
    """A new run of an event's delivery to an endpoint, the first one if there was none; parked while it is disabled."""
    endpoint = await webhook_endpoints.lock(session, endpoint_id, shared=True)
    fresh = insert(Delivery).values(
        id=ids.new("dlv"), event_id=event.id, endpoint_id=endpoint.id, run=0, status=DeliveryStatus.PENDING,
        started=False, queued_at=now, attempts=0, attempts_before=0, created_at=now,
    )  # fmt: skip
    await session.exec(fresh.on_conflict_do_nothing())
    query = select(Delivery).where(Delivery.event_id == event.id, Delivery.endpoint_id == endpoint.id)
    row = (await session.exec(query.with_for_update().execution_options(populate_existing=True))).one()
    _begin_run(row, now)
    if waits(endpoint):
        row.status, row.started = DeliveryStatus.PARKED, True
    return row


async def catch_up(session: AsyncSession, endpoint_id: str, limit: int, now: datetime) -> list[Delivery]:
    """The next parked deliveries of an endpoint that was enabled, in the order of their events, each in a new run."""
    endpoint = await webhook_endpoints.lock(session, endpoint_id)
    if not endpoint.catching_up:
        return []
    query = (
        select(Delivery)
        .join(Event, col(Event.id) == Delivery.event_id)
        .where(
            Delivery.endpoint_id == endpoint_id,
            col(Delivery.finished_at).is_(None),
            Delivery.status == DeliveryStatus.PARKED,
        )
        .order_by(*in_order())
        .limit(limit)
        .with_for_update(of=Delivery)
    )
    found = list(await session.exec(query))
    for row in found:
        _begin_run(row, now)
    endpoint.catching_up = len(found) == limit
    return found


def in_order() -> tuple[Mapped[Any], ...]:
    """The order in which deliveries are started: that of the feed."""
    return col(Event.transaction), col(Event.agreement_id), col(Event.sequence), col(Delivery.id)


def waits(endpoint: WebhookEndpoint) -> bool:
    """Whether what happens now is parked: the endpoint is disabled, or has not caught up yet."""
    return endpoint.disabled_at is not None or endpoint.catching_up


def _begin_run(row: Delivery, now: datetime) -> None:
    row.run += 1
    row.attempts_before = row.attempts
    row.status, row.started, row.queued_at = DeliveryStatus.PENDING, False, now
    row.next_attempt_at = row.finished_at = None


async def _failing_since(session: AsyncSession, endpoint_id: str) -> datetime | None:
    return (await session.exec(select(WebhookEndpoint.failing_since).where(WebhookEndpoint.id == endpoint_id))).one()
