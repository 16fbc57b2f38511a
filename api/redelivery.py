"""Sending events again: one event on request, or everything an endpoint has missed."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlmodel import col, select
from temporalio.exceptions import TemporalError

from agreements.deliveries import DeliveryStatus, Run
from api.problems import invalid, not_found
from api.services import Services
from store import deliveries, delivery_log, trail
from store.delivery_log import Logged
from store.merchants import Principal
from store.tables import Delivery, Event, WebhookEndpoint
from store.tables.columns import utcnow
from workflows import client

_log = structlog.get_logger(__name__)

_AT_ONCE = 20
"""Parked deliveries that are started while the caller waits; sweeps start the rest."""


async def catch_up(inside: Services, endpoint: WebhookEndpoint) -> None:
    """Starts the first of what an endpoint has missed, if it was just enabled."""
    if not endpoint.catching_up:
        return
    async with inside.database.transaction() as session:
        found = await deliveries.catch_up(session, endpoint.id, _AT_ONCE, utcnow())
    await _start(inside, endpoint.merchant_id, found)


async def redeliver(inside: Services, caller: Principal, event: Event, endpoint_id: str | None) -> list[Logged]:
    """Sends an event once more: to one endpoint, whatever types it wants, or to all that want its type."""
    async with inside.database.transaction() as session:
        # It stays from here on: an old one may be purged at this moment.
        if await session.get(Event, event.id, with_for_update={"read": True, "key_share": True}) is None:
            raise not_found("event")
        query = select(WebhookEndpoint).where(
            WebhookEndpoint.merchant_id == caller.merchant_id,
            WebhookEndpoint.livemode == caller.livemode,
            col(WebhookEndpoint.deleted_at).is_(None),
        )
        endpoints = list(await session.exec(query.order_by(WebhookEndpoint.id)))
        if endpoint_id is None:
            wanted = [one.id for one in endpoints if {"*", event.type} & set(one.event_types)]
        else:
            wanted = [one.id for one in endpoints if one.id == endpoint_id]
            if not wanted:
                raise invalid("/endpoint", "there is no such webhook endpoint")
        found = [await deliveries.send_again(session, event, one, utcnow()) for one in wanted]
        trail.by_call(session, caller, event.id, event.agreement_id)
        await session.flush()
        logged = await delivery_log.logged(session, found)
    await _start(inside, caller.merchant_id, [row for row in found if row.status is DeliveryStatus.PENDING])
    return logged


async def _start(inside: Services, merchant_id: str, rows: Sequence[Delivery]) -> None:
    """What Temporal does not take now a sweep starts later."""
    try:
        await client.start_runs(inside.temporal, [Run(row.id, merchant_id, row.run) for row in rows])
    except (TemporalError, RuntimeError) as error:
        _log.warning("temporal_not_told", deliveries=len(rows), error=str(error))
