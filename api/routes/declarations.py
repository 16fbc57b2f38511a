"""`/v1/charges/{id}/declarations`: payments declared at customs."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from agreements.money import Money
from agreements.views import DeclarationView
from api import declaring
from api.auth import Caller
from api.bodies import StrictRoute
from api.idempotency import Starred
from api.problems import not_found
from api.services import Inside
from api.views import ListView
from store import declarations, reads, views
from store.declarations import SEALED_AS, Wanted
from store.tables import Charge

router = APIRouter(prefix="/v1/charges", tags=["charges"], route_class=StrictRoute)

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


class BuyerBody(BaseModel):
    """Who bought, where customs check the identity. Kept sealed, and only until the provider has it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    certificate_number: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE, repr=False)]
    """Of the national identity card."""
    name: Annotated[str, Field(min_length=1, max_length=128, pattern=_PRINTABLE, repr=False)]


class DeclarationBody(BaseModel):
    """What to declare, where, and as whose goods."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    amount: Money | None = None
    """By default all that is left of the payment."""
    customs_code: Annotated[str, Field(pattern=r"^[A-Z_]{2,32}$")]
    """The customs office, by the provider's list: ZONGSHU, ZHENGZHOU, NINGBO or SHANGHAI_CBT."""
    merchant_customs_code: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]
    merchant_customs_name: Annotated[str, Field(min_length=1, max_length=256, pattern=_PRINTABLE)]
    """Both as registered at customs."""
    sub_order_id: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)] | None = None
    """Where the order is declared in parts: which part this is. Needed for less than the whole payment."""
    buyer: BuyerBody | None = None


@router.post("/{charge_id}/declarations", status_code=201, response_model=DeclarationView)
async def declare(charge_id: str, call: Starred, inside: Inside, body: DeclarationBody) -> JSONResponse:
    """Declares a paid charge, or part of it, at customs. The answer is `pending`; an event tells the end."""
    buyer = json.dumps(body.buyer.model_dump()) if body.buyer else None
    wanted = Wanted(
        amount=body.amount,
        customs_code=body.customs_code,
        merchant_code=body.merchant_customs_code,
        merchant_name=body.merchant_customs_name,
        sub_order_id=body.sub_order_id,
        sealed_buyer=inside.vault.seal(SEALED_AS, buyer) if buyer else None,
    )
    return await declaring.declare(inside, call, charge_id, wanted)


@router.get("/{charge_id}/declarations")
async def list_(charge_id: str, caller: Caller, inside: Inside) -> ListView[DeclarationView]:
    """Those of one charge, oldest first, in one page."""
    async with inside.database.transaction() as session:
        if await reads.find(session, Charge, caller, charge_id) is None:
            raise not_found("charge")
        found = await declarations.of_charge(session, charge_id)
        return ListView(data=[views.declaration(row) for row in found], has_more=False, next_cursor=None)
