"""`/v1/agreements/{id}/card-changes`, and the customer's page behind a link."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from agreements.card_changes import Initiator
from agreements.views import CardChangeView
from api import card_changes, urls
from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.idempotency import Starred
from api.languages import Wished
from api.pages import PageRoute
from api.peers import Visitor
from api.problems import not_found
from api.routes.parameters import PAGE, Cursor, Limit
from api.services import Inside
from api.views import ListView
from store import reads, views

router = APIRouter(prefix="/v1/agreements", tags=["card changes"], route_class=StrictRoute)
pages = APIRouter(tags=["customers"], route_class=PageRoute)


class CardChangeBody(BaseModel):
    """Who wants another card or wallet, and where the customer goes afterwards."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    initiator: Literal[Initiator.CUSTOMER, Initiator.MERCHANT]
    return_url: Annotated[str, Field(min_length=1, max_length=urls.LONGEST)] | None = None
    """The agreement's own unless given; `agreement` is appended to its query."""


@router.post("/{agreement_id}/card-changes", status_code=201, response_model=CardChangeView)
async def ask(agreement_id: str, body: CardChangeBody, call: Starred, inside: Inside) -> JSONResponse:
    """Makes a link by which the customer gives another card or wallet; one that is open stops working."""
    return await card_changes.ask(inside, call, agreement_id, body.initiator, body.return_url)


@router.get("/{agreement_id}/card-changes")
async def list_(
    agreement_id: str, caller: Caller, inside: Inside, limit: Limit = PAGE, cursor: Cursor = None
) -> ListView[CardChangeView]:
    """Newest first."""
    async with inside.database.transaction() as session:
        if not await reads.owns_agreement(session, caller, agreement_id):
            raise not_found("agreement")
        found = await reads.card_changes(session, caller, agreement_id, limit=limit, after=cursor)
    return shown.page(found, [views.card_change(row) for row in found.rows])


@pages.get("/card-changes/{token}", include_in_schema=False)
async def show(token: str, inside: Inside, wish: Wished) -> Response:
    """What the link is for, with one button."""
    return await card_changes.show(inside, token, wish)


@pages.post("/card-changes/{token}", include_in_schema=False)
async def follow(token: str, inside: Inside, wish: Wished, visitor: Visitor) -> Response:
    """The button."""
    return await card_changes.follow(inside, token, wish, visitor)
