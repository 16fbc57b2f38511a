"""`/v1/events`: the pull feed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.routes.parameters import PAGE, Limit, Text
from api.services import Inside
from api.views import EventView, ListView
from store import reads

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=StrictRoute)


@router.get("")
async def list_(
    caller: Caller,
    inside: Inside,
    after: Annotated[
        str | None, Query(max_length=512, description="`next_cursor` of the page before, or an event's id.")
    ] = None,
    agreement: Text = None,
    limit: Limit = PAGE,
) -> ListView[EventView]:
    """Oldest first. To follow the feed, ask again `after` the id of the last event you have; nothing is skipped."""
    async with inside.database.transaction() as session:
        found = await reads.events(session, caller, agreement_id=agreement, limit=limit, after=after)
    return shown.page(found, [shown.event(row) for row in found.rows])
