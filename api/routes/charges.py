"""`/v1/charges`."""

from __future__ import annotations

from fastapi import APIRouter
from sqlmodel import col, select

from agreements.status import ChargeStatus
from agreements.views import ChargeView
from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.problems import not_found
from api.routes.parameters import PAGE, Cursor, Limit, Text
from api.services import Inside
from api.views import ChargeDetail, ListView
from store import reads, views
from store.tables import Charge, DecisionRecord

router = APIRouter(prefix="/v1/charges", tags=["charges"], route_class=StrictRoute)


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
