"""`/v1/charges`."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlmodel import col, select
from starlette.responses import JSONResponse

from agreements.money import Money
from agreements.status import ChargeStatus
from agreements.views import ChargeView, RefundView
from api import money_back
from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.idempotency import Starred
from api.problems import not_found
from api.reasons import Reason
from api.routes.parameters import PAGE, Cursor, Limit, Text
from api.services import Inside
from api.views import ChargeDetail, ListView
from store import reads, views
from store.tables import Charge, DecisionRecord

router = APIRouter(prefix="/v1/charges", tags=["charges"], route_class=StrictRoute)


class RefundBody(BaseModel):
    """How much goes back, by default all that is left, and why."""

    model_config = ConfigDict(extra="forbid")

    amount: Money | None = None
    reason: Reason | None = None


class CancelBody(BaseModel):
    """Nothing to say; the body may also be left out."""

    model_config = ConfigDict(extra="forbid")


@router.get("")
async def list_(
    caller: Caller,
    inside: Inside,
    agreement: Text = None,
    status: ChargeStatus | None = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> ListView[ChargeView]:
    """Newest first."""
    async with inside.database.transaction() as session:
        found = await reads.charges(session, caller, agreement_id=agreement, status=status, limit=limit, after=cursor)
        return shown.page(found, [await views.charge(session, row) for row in found.rows])


@router.get("/{charge_id}")
async def read(charge_id: str, caller: Caller, inside: Inside) -> ChargeDetail:
    """One charge with its attempts, refunds and decisions."""
    async with inside.database.transaction() as session:
        row = await reads.find(session, Charge, caller, charge_id)
        if row is None:
            raise not_found("charge")
        view = await views.charge(session, row)
        query = select(DecisionRecord).where(DecisionRecord.charge_id == row.id)
        decisions = await session.exec(query.order_by(col(DecisionRecord.id)))
        return ChargeDetail(**dict(view), decisions=[shown.decision(found) for found in decisions])


@router.post("/{charge_id}/refunds", status_code=201, response_model=RefundView)
async def refund(charge_id: str, call: Starred, inside: Inside, body: RefundBody | None = None) -> JSONResponse:
    """Sends back all or part of a paid charge. The answer is `pending`; an event tells the end."""
    asked = body or RefundBody()
    return await money_back.refund(inside, call, charge_id, asked.amount, asked.reason)


@router.post("/{charge_id}/cancel", response_model=ChargeView)
async def cancel(charge_id: str, call: Starred, inside: Inside, body: CancelBody | None = None) -> JSONResponse:
    """Nobody owes it any more; a failed one is written off, a paid one is given back in full."""
    return await money_back.cancel(inside, call, charge_id)
