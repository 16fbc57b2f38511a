"""After a commit: telling Temporal. What it does not hear now the sweeper tells it later."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy import update
from sqlmodel import col, select
from temporalio.exceptions import TemporalError

from agreements.declarations import DeclarationStanding
from agreements.deliveries import Run
from agreements.refunds import RefundStanding
from agreements.standing import Standing
from api.services import Services
from store import declarations, refunds
from store.tables import Agreement, Delivery, Event
from workflows import client
from workflows.messages import Command

_log = structlog.get_logger(__name__)


async def start(inside: Services, standing: Standing) -> None:
    """Starts a new agreement's workflow and notes that it runs. Raises RPCError while Temporal is away."""
    await client.start_agreement(inside.temporal, standing)
    async with inside.database.transaction() as session:
        await session.exec(update(Agreement).where(col(Agreement.id) == standing.agreement.id).values(started=True))


async def begun(inside: Services, agreement_id: str) -> None:
    """Starts the deliveries of an agreement that began as it was made. Never raises for Temporal's sake."""
    query = select(Delivery.id, Event.merchant_id).join(Event, col(Event.id) == Delivery.event_id)
    query = query.where(Event.agreement_id == agreement_id).order_by(col(Event.sequence), Delivery.id)
    async with inside.database.transaction() as session:
        found = [Run(delivery_id, merchant_id) for delivery_id, merchant_id in await session.exec(query)]
    try:
        await client.start_runs(inside.temporal, found)
    except (TemporalError, RuntimeError) as error:
        _log.warning("temporal_not_told", agreement=agreement_id, error=str(error))


async def changed(
    inside: Services, standing: Standing, delivery_ids: Sequence[str], name: Command, command_id: str
) -> None:
    """Starts a change's deliveries and hands the workflow its new standing.

    Never raises for Temporal's sake: the change is on the row, which every debit reads first.
    """
    try:
        await client.start_deliveries(inside.temporal, standing.agreement.merchant_id, delivery_ids)
        await client.command(inside.temporal, name, command_id, standing)
    except (TemporalError, RuntimeError) as error:
        _log.warning("temporal_not_told", agreement=standing.agreement.id, command=name.value, error=str(error))


async def money_back(inside: Services, refund: RefundStanding) -> None:
    """Starts a refund's workflow and notes that it runs. Never raises for Temporal's sake, like `changed`."""
    try:
        await client.start_refund(inside.temporal, refund)
        await refunds.mark_started(inside.database, refund.refund_id)
    except (TemporalError, RuntimeError) as error:
        _log.warning("temporal_not_told", refund=refund.refund_id, error=str(error))


async def declared(inside: Services, declaration: DeclarationStanding) -> None:
    """The same for a declaration at customs."""
    try:
        await client.start_declaration(inside.temporal, declaration)
        await declarations.mark_started(inside.database, declaration.declaration_id)
    except (TemporalError, RuntimeError) as error:
        _log.warning("temporal_not_told", declaration=declaration.declaration_id, error=str(error))


async def look(inside: Services, standing: Standing, delivery_ids: Sequence[str]) -> None:
    """The same as `changed` where nobody waits for the workflow's word."""
    try:
        await client.start_deliveries(inside.temporal, standing.agreement.merchant_id, delivery_ids)
        await client.look(inside.temporal, standing)
    except (TemporalError, RuntimeError) as error:
        _log.warning("temporal_not_told", agreement=standing.agreement.id, error=str(error))
