"""Events: written with the fact, numbered per agreement, queued for every endpoint that wants them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, func
from sqlalchemy import cast as sql_cast
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.deliveries import DeliveryStatus
from store import deliveries, ids, views, webhook_endpoints
from store.tables import Agreement, Charge, Delivery, Event, WebhookEndpoint

# Made once: to make a statement takes longer than to execute it.
_PLACE = select(
    func.greatest(
        sql_cast(sql_cast(func.pg_current_xact_id(), Text), BigInteger),
        select(Event.transaction)
        .where(Event.agreement_id == bindparam("agreement"), Event.sequence == bindparam("sequence"))
        .scalar_subquery(),
    )
)
_ENDPOINTS = (
    select(WebhookEndpoint)
    .where(
        WebhookEndpoint.merchant_id == bindparam("merchant"),
        WebhookEndpoint.livemode == bindparam("livemode"),
        col(WebhookEndpoint.deleted_at).is_(None),
    )
    .order_by(WebhookEndpoint.id)
)


async def write(
    session: AsyncSession,
    agreement: Agreement,
    now: datetime,
    facts: Sequence[tuple[str, Charge | None, dict[str, Any]]],
) -> list[str]:
    """Writes the events of one change and their deliveries; answers the ids of those to be started, in order.

    The caller holds the agreement's lock, which makes the sequence gapless.
    """
    if not facts:
        return []
    shown = (await views.agreement(session, agreement, now)).model_dump(mode="json")
    transaction = await _place_in_feed(session, agreement)
    written: list[Event] = []
    for number, (type_, charge, details) in enumerate(facts, start=agreement.sequence + 1):
        data = {"agreement": shown, **details}
        if charge is not None:
            data["charge"] = (await views.charge(session, charge)).model_dump(mode="json")
        event = Event(
            id=ids.new("evt"),
            agreement_id=agreement.id,
            merchant_id=agreement.merchant_id,
            livemode=agreement.livemode,
            sequence=number,
            type=type_,
            at=now,
            data=data,
            transaction=transaction,
        )
        written.append(event)
    endpoints = await _endpoints(session, agreement)
    agreement.sequence += len(written)
    session.add_all(written)
    await session.flush()
    return [id_ for event in written for id_ in _queued(session, event, endpoints)]


def _queued(session: AsyncSession, event: Event, endpoints: Sequence[WebhookEndpoint]) -> list[str]:
    """Writes a delivery for every endpoint that wants the event; those of one that is out of order are parked."""
    started = []
    for endpoint in endpoints:
        if {"*", event.type} & set(endpoint.event_types):
            delivery = Delivery(id=ids.new("dlv"), event_id=event.id, endpoint_id=endpoint.id)
            session.add(delivery)
            if deliveries.waits(endpoint):
                delivery.status, delivery.started = DeliveryStatus.PARKED, True
            else:
                started.append(delivery.id)
    return started


async def _place_in_feed(session: AsyncSession, agreement: Agreement) -> int:
    """This transaction's number, or that of the agreement's last event where it is higher.

    Who waited for the agreement's lock may have been numbered before the one it waited for; the feed would then turn
    around. A higher place is as safe as one's own: while this transaction runs, no reader gets to either.
    """
    last = {"agreement": agreement.id, "sequence": agreement.sequence}
    place: int = (await session.exec(_PLACE, params=last)).one()
    return place


async def _endpoints(session: AsyncSession, agreement: Agreement) -> Sequence[WebhookEndpoint]:
    """The merchant's endpoints; those for which deliveries are parked stay as they are until these are committed, so
    that whoever unparks them finds these too.
    """
    owner = {"merchant": agreement.merchant_id, "livemode": agreement.livemode}
    found = list(await session.exec(_ENDPOINTS, params=owner))
    for endpoint in found:
        if deliveries.waits(endpoint):
            await webhook_endpoints.lock(session, endpoint.id, shared=True)
    return [endpoint for endpoint in found if endpoint.deleted_at is None]
