"""Deliveries: one event to one endpoint, sent in runs, every attempt written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.deliveries import DeliveryStatus, is_dead, next_wait
from store import ids, webhook_endpoints
from store.tables import Delivery, DeliveryAttempt, Event, RetiredSecret, WebhookEndpoint

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
    sealed_secrets: Sequence[str]
    """Every one that signs at present, newest first."""
    behind: bool
    """The event before this one, of those the endpoint wants, is still to be tried for the first time."""


# Made once: to put a statement together takes longer than PostgreSQL takes to answer it.
_before, _earlier = aliased(Delivery), aliased(Event)
_is_behind = (
    select(
        (col(_before.status) == DeliveryStatus.PENDING)
        & (col(_before.attempts) == col(_before.attempts_before))
        & (col(_before.queued_at) > bindparam("long_ago"))
    )
    .join(_earlier, col(_earlier.id) == _before.event_id)
    .where(
        _earlier.agreement_id == Event.agreement_id,
        _earlier.sequence < Event.sequence,
        _before.endpoint_id == Delivery.endpoint_id,
    )
    .order_by(col(_earlier.sequence).desc())
    .limit(1)
    .correlate(Delivery, Event)
    .scalar_subquery()
)
_retired = (
    select(func.array_agg(aggregate_order_by(col(RetiredSecret.sealed_secret), col(RetiredSecret.id).desc())))
    .where(RetiredSecret.endpoint_id == Delivery.endpoint_id, col(RetiredSecret.signs_until) > bindparam("now"))
    .correlate(Delivery)
    .scalar_subquery()
)
_first_try = col(Delivery.attempts) == col(Delivery.attempts_before)
_DUE: Any = (  # five columns are more than SQLModel has types for
    sqlalchemy.select(Delivery, Event, WebhookEndpoint, _retired, _first_try & _is_behind)
    .join(Event, col(Event.id) == Delivery.event_id)
    .join(WebhookEndpoint, col(WebhookEndpoint.id) == Delivery.endpoint_id)
    .where(col(Delivery.id) == bindparam("this"))
)
_BEHIND = (
    select(_is_behind)
    .select_from(Delivery)
    .join(Event, col(Event.id) == Delivery.event_id)
    .where(col(Delivery.id) == bindparam("this"))
)
_DELIVERED = (
    update(Delivery)
    .where(
        col(Delivery.id) == bindparam("this"),
        col(Delivery.run) == bindparam("this_run"),
        col(Delivery.finished_at).is_(None),
    )
    .values(
        status=DeliveryStatus.DELIVERED,
        started=True,
        attempts=Delivery.attempts + 1,
        last_status=bindparam("answered"),
        last_error=None,
        next_attempt_at=None,
        finished_at=bindparam("now"),
    )
    .returning(col(Delivery.attempts))
    .execution_options(synchronize_session=False)
)


_Found = tuple[Delivery, Event, WebhookEndpoint, list[str] | None, bool | None]


async def begin(session: AsyncSession, delivery_id: str, run: int, now: datetime) -> Due | str:
    """A run's delivery, or why there is nothing to send: how it ended, that it is parked, or `superseded`."""
    known = {"this": delivery_id, "now": now, "long_ago": now - _GIVES_WAY}
    found: _Found = (await session.exec(_DUE, params=known)).one()
    row, event, endpoint, retired, behind = found
    if row.run != run:
        return "superseded"
    if row.status is DeliveryStatus.PENDING and (endpoint.disabled_at is not None or endpoint.deleted_at is not None):
        await _close(session, row, run, now)
    if row.status is not DeliveryStatus.PENDING:
        return row.status.value
    return Due(row, event, endpoint, [endpoint.sealed_secret, *(retired or ())], bool(behind))


async def _close(session: AsyncSession, row: Delivery, run: int, now: datetime) -> None:
    """Parks or drops what is to be sent to an endpoint that takes nothing. It may have been enabled since; under its
    lock nobody unparks what is about to be parked.
    """
    endpoint = await webhook_endpoints.lock(session, row.endpoint_id, shared=True)
    await session.refresh(row, with_for_update=True)
    if row.run != run or row.status is not DeliveryStatus.PENDING:
        return
    if endpoint.deleted_at:
        row.status, row.finished_at, row.next_attempt_at, row.started = DeliveryStatus.DROPPED, now, None, True
    elif endpoint.disabled_at:
        row.status, row.next_attempt_at, row.started = DeliveryStatus.PARKED, None, True


async def is_behind(session: AsyncSession, delivery_id: str, now: datetime) -> bool:
    """`Due.behind`, looked at again."""
    known = {"this": delivery_id, "long_ago": now - _GIVES_WAY}
    return bool((await session.exec(_BEHIND, params=known)).one())


async def mark_started(session: AsyncSession, delivery: Delivery) -> None:
    """A run that waits is in Temporal's hands: sweeps need not start it. What was tried needs no mark of its own."""
    this = (col(Delivery.id) == delivery.id) & (col(Delivery.run) == delivery.run)
    await session.exec(update(Delivery).where(this).values(started=True))


async def record(session: AsyncSession, due: Due, attempted: Attempted, scale: float) -> DeliveryStatus | datetime:
    """Writes down an attempt; answers how the delivery stands after it, or when it is tried again.

    While the endpoint is dead nothing is given up: the caller disables it, and with that parks its deliveries.
    """
    now = attempted.at + attempted.latency
    if attempted.error is None:
        done = {"this": due.delivery.id, "this_run": due.delivery.run, "now": now, "answered": attempted.status}
        number = (await session.exec(_DELIVERED, params=done)).scalar_one_or_none()
        if number is not None:
            session.add(_attempt(due.delivery.id, number, attempted))
            return DeliveryStatus.DELIVERED
    query = select(Delivery).where(Delivery.id == due.delivery.id).with_for_update()
    row = (await session.exec(query.execution_options(populate_existing=True))).one()
    row.attempts += 1
    row.last_status, row.last_error = attempted.status, attempted.error
    session.add(_attempt(row.id, row.attempts, attempted))
    if row.run != due.delivery.run or row.status is not DeliveryStatus.PENDING or attempted.error is None:
        return row.status
    row.started = True
    wait = next_wait(row.id, row.tries, attempted.asked, scale)
    row.next_attempt_at = None if wait is None else now + wait
    if wait is None and not is_dead(await _failing_since(session, row.endpoint_id), now, scale):
        row.status, row.finished_at = DeliveryStatus.FAILED, now
        return row.status
    return row.next_attempt_at or now


def _attempt(delivery_id: str, number: int, attempted: Attempted) -> DeliveryAttempt:
    return DeliveryAttempt(
        id=ids.new("dla"),
        delivery_id=delivery_id,
        number=number,
        at=attempted.at,
        status=attempted.status,
        error=attempted.error,
        latency_ms=round(attempted.latency.total_seconds() * 1000),
        answer=attempted.answer,
    )


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
