"""`/v1/agreements`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import JSONResponse

from agreements.money import Money
from agreements.schedule import PlannedCycle
from agreements.status import AgreementStatus, ChargeStatus
from agreements.terms import Terms
from agreements.views import AgreementView
from api import commands, creating
from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.drafts import AgreementBody
from api.idempotency import Starred
from api.problems import not_found
from api.reasons import Reason
from api.routes.parameters import PAGE, Cursor, Limit, Text, Whole
from api.services import Inside
from api.views import ListView, TimelineEntry
from store import lifecycle, reads, timeline, views
from store.changes import Change
from store.lifecycle import MissedCycles
from store.merchants import Principal
from store.tables import Agreement, Charge
from workflows.messages import Command

router = APIRouter(prefix="/v1/agreements", tags=["agreements"], route_class=StrictRoute)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PauseBody(_Body):
    """Nothing to say; the body may also be left out."""


class ResumeBody(_Body):
    """What becomes of the cycles that fell due meanwhile."""

    missed_cycles: MissedCycles = MissedCycles.DROP


class RevokeBody(_Body):
    """Who ends the agreement, and why."""

    reason: Reason | None = None
    initiator: Literal["merchant", "customer"] = "merchant"


@router.post(
    "",
    status_code=201,
    response_model=AgreementView,
    responses={202: {"model": AgreementView, "description": "The provider has not answered within 5 s: read again."}},
)
async def create(body: AgreementBody, call: Starred, inside: Inside) -> JSONResponse:
    """Makes an agreement and asks the provider for the page on which the customer agrees."""
    return await creating.create(inside, call, body)


@router.get("")
async def list_(
    caller: Caller,
    inside: Inside,
    status: AgreementStatus | None = None,
    customer_id: Text = None,
    reference: Text = None,
    gateway: Text = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> ListView[AgreementView]:
    """Newest first."""
    given = {"status": status, "customer_id": customer_id, "reference": reference, "gateway": gateway}
    filters = {name: value for name, value in given.items() if value is not None}
    async with inside.database.transaction() as session:
        found = await reads.agreements(session, caller, limit=limit, after=cursor, **filters)
        return shown.page(found, await views.agreements(session, found.rows))


@router.get("/{agreement_id}")
async def read(agreement_id: str, caller: Caller, inside: Inside) -> AgreementView:
    """One agreement."""
    async with inside.database.transaction() as session:
        [view] = await views.agreements(session, [await _found(session, caller, agreement_id)])
        return view


@router.post("/{agreement_id}/pause", response_model=AgreementView)
async def pause(agreement_id: str, call: Starred, inside: Inside, body: PauseBody | None = None) -> JSONResponse:
    """No debit until it is resumed."""
    return await commands.run(inside, call, agreement_id, Command.PAUSE, lifecycle.pause)


@router.post("/{agreement_id}/resume", response_model=AgreementView)
async def resume(agreement_id: str, call: Starred, inside: Inside, body: ResumeBody | None = None) -> JSONResponse:
    """Ends a pause."""
    missed = (body or ResumeBody()).missed_cycles

    async def act(change: Change) -> None:
        await lifecycle.resume(change, missed)

    return await commands.run(inside, call, agreement_id, Command.RESUME, act)


@router.post("/{agreement_id}/revoke", response_model=AgreementView)
async def revoke(agreement_id: str, call: Starred, inside: Inside, body: RevokeBody | None = None) -> JSONResponse:
    """Ends the agreement at once; what is in flight is brought to its end, and the provider is told."""
    asked = body or RevokeBody()

    async def act(change: Change) -> None:
        await lifecycle.revoke(change, initiator=asked.initiator, reason=asked.reason)

    return await commands.run(inside, call, agreement_id, Command.REVOKE, act)


class ScheduledCycle(PlannedCycle):
    """A coming cycle and what is to be collected."""

    amount: Money | None
    """Null while it must still be set, and where nothing is collected."""
    skipped: bool
    """Nothing is collected: it was skipped, or its charge canceled."""


@router.get("/{agreement_id}/schedule")
async def schedule(
    agreement_id: str,
    caller: Caller,
    inside: Inside,
    count: Annotated[Whole, Query(ge=1, le=500, description="How many cycles.")] = 24,
    cursor: Cursor = None,
) -> ListView[ScheduledCycle]:
    """The next dates, each with the rules that acted on it."""
    async with inside.database.transaction() as session:
        agreement = await _found(session, caller, agreement_id)
        found = await reads.upcoming(session, agreement, count=count, after=cursor)
        written = await reads.of_cycles(session, agreement, [cycle.cycle for cycle in found.rows])
    amount = Terms.model_validate(agreement.terms).amount
    return shown.page(found, [_scheduled(cycle, written.get(cycle.cycle), amount) for cycle in found.rows])


@router.get("/{agreement_id}/timeline", name="timeline")
async def history(
    agreement_id: str, caller: Caller, inside: Inside, limit: Limit = PAGE, cursor: Cursor = None
) -> ListView[TimelineEntry]:
    """What happened and why, oldest first."""
    async with inside.database.transaction() as session:
        agreement = await _found(session, caller, agreement_id)
        found = await timeline.read(session, agreement.id, limit=limit, after=cursor)
        cycles = await timeline.cycles(session, found.rows)
    return shown.page(found, [shown.timeline_entry(row, cycles) for row in found.rows])


def _scheduled(cycle: PlannedCycle, row: Charge | None, usual: Money | None) -> ScheduledCycle:
    skipped = row is not None and row.status in (ChargeStatus.SKIPPED, ChargeStatus.CANCELED)
    own = usual if row is None else None if row.amount is None else row.money
    return ScheduledCycle(**dict(cycle), amount=None if skipped else own, skipped=skipped)


async def _found(session: AsyncSession, caller: Principal, agreement_id: str) -> Agreement:
    agreement = await reads.find(session, Agreement, caller, agreement_id)
    if agreement is None:
        raise not_found("agreement")
    return agreement
