"""`/pay/{state}`: our own page for typing a card."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import card_entry
from api.languages import Wished
from api.pages import PageRoute
from api.peers import Visitor
from api.services import Inside

router = APIRouter(tags=["customers"], route_class=PageRoute)


@router.get("/pay/{state}", include_in_schema=False)
async def show(state: str, inside: Inside, wish: Wished, visitor: Visitor) -> Response:
    """The page."""
    return await card_entry.show(inside, state, wish, visitor)


@router.post("/pay/{state}", include_in_schema=False)
async def take(state: str, request: Request, inside: Inside, wish: Wished, visitor: Visitor) -> Response:
    """The card, encrypted by the customer's browser."""
    return await card_entry.take(inside, state, await request.body(), wish, visitor)
