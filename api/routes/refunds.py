"""`/v1/refunds`."""

from __future__ import annotations

from fastapi import APIRouter

from agreements.views import RefundView
from api.auth import Caller
from api.bodies import StrictRoute
from api.problems import not_found
from api.services import Inside
from store import reads, views

router = APIRouter(prefix="/v1/refunds", tags=["refunds"], route_class=StrictRoute)


@router.get("/{refund_id}")
async def read(refund_id: str, caller: Caller, inside: Inside) -> RefundView:
    """One refund; its charge lists all of them."""
    async with inside.database.transaction() as session:
        row = await reads.find_refund(session, caller, refund_id)
        if row is None:
            raise not_found("refund")
        return views.refund(row)
