"""`/v1/agreements/{id}/portal-links`, and the customer's page behind such a link."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StrictInt
from starlette.responses import JSONResponse, Response

from api import portal, urls
from api.bodies import StrictRoute
from api.idempotency import Starred
from api.languages import Language, Wished
from api.pages import PageRoute
from api.peers import Visitor
from api.portal import Visit
from api.services import Inside
from store.portal_links import Wanted

_SHORTEST, _USUAL, _LONGEST = 300, 86_400, 30 * 86_400  # seconds

router = APIRouter(prefix="/v1/agreements", tags=["customers"], route_class=StrictRoute)
pages = APIRouter(prefix="/portal/{token}", tags=["customers"], include_in_schema=False, route_class=PageRoute)


class PortalLinkBody(BaseModel):
    """How long the link works, in which language the page opens, and where it leads back to."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    return_url: Annotated[str, Field(min_length=1, max_length=urls.LONGEST)] | None = None
    """Shown on the page as the way back to the shop; without it there is none."""
    expires_in: Annotated[StrictInt, Field(ge=_SHORTEST, le=_LONGEST)] = _USUAL
    """Seconds, in the agreement's own time."""
    locale: Language | None = None
    """Unless given, the browser's settings decide; customers may choose another on the page."""


class PortalLinkView(BaseModel):
    """A link to the customer's page; it is answered this once."""

    id: str
    url: str
    expires_at: datetime


@router.post("/{agreement_id}/portal-links", status_code=201, response_model=PortalLinkView)
async def make(agreement_id: str, call: Starred, inside: Inside, body: PortalLinkBody | None = None) -> JSONResponse:
    """Makes an expiring link to the customer's page: the agreement in plain words, another card, the end of it."""
    asked = body or PortalLinkBody()
    wanted = Wanted(timedelta(seconds=asked.expires_in), asked.return_url, asked.locale)
    return await portal.make_link(inside, call, agreement_id, wanted)


def _visit(token: str, wish: Wished) -> Visit:
    return Visit(token, wish)


Visiting = Annotated[Visit, Depends(_visit)]


@pages.get("")
async def show(visit: Visiting, inside: Inside, back: str | None = None) -> Response:
    """The page. Changes nothing: mail scanners open links too."""
    return await portal.show(inside, visit, came_back=back is not None)


@pages.post("/card-change")
async def change_card(visit: Visiting, inside: Inside, visitor: Visitor) -> Response:
    """The button for another card or wallet."""
    return await portal.change_card(inside, visit, visitor)


@pages.get("/cancel")
async def ask_to_cancel(visit: Visiting, inside: Inside) -> Response:
    """The question before the end."""
    return await portal.ask_to_cancel(inside, visit)


@pages.post("/cancel")
async def cancel(visit: Visiting, inside: Inside) -> Response:
    """The answer."""
    return await portal.cancel(inside, visit)
