"""`/v1/events`: the pull feed, and what became of each event at the merchant's endpoints."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api import redelivery, webhook_views
from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.problems import not_found
from api.routes.parameters import PAGE, Cursor, Limit, Text
from api.routes.webhook_endpoints import EVENT_TYPES
from api.services import Inside
from api.views import EventView, ListView
from api.webhook_views import DeliveryView
from store import delivery_log, reads
from store.merchants import Principal
from store.tables import Event

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=StrictRoute)


def _known(type_: str) -> str:
    if type_ not in EVENT_TYPES:
        raise ValueError("not an event type")
    return type_


class RedeliverBody(BaseModel):
    """To which endpoint; by default to all that want events of this type."""

    model_config = ConfigDict(extra="forbid")

    endpoint: Annotated[str, Field(min_length=1, max_length=64)] | None = None


@router.get("")
async def list_(
    caller: Caller,
    inside: Inside,
    after: Annotated[
        str | None, Query(max_length=512, description="`next_cursor` of the page before, or an event's id.")
    ] = None,
    agreement: Text = None,
    type: Annotated[  # noqa: A002
        str | None,
        Query(description="Events of this type only.", json_schema_extra={"enum": sorted(EVENT_TYPES)}),
        AfterValidator(lambda type_: type_ if type_ is None else _known(type_)),
    ] = None,
    limit: Limit = PAGE,
) -> ListView[EventView]:
    """Oldest first. To follow the feed, ask again `after` the id of the last event you have; nothing is skipped."""
    async with inside.database.transaction() as session:
        found = await reads.events(session, caller, agreement_id=agreement, type_=type, limit=limit, after=after)
    return shown.page(found, [shown.event(row) for row in found.rows])


@router.get("/{event_id}")
async def read(event_id: str, caller: Caller, inside: Inside) -> EventView:
    """One event, as webhooks bring it."""
    async with inside.database.transaction() as session:
        return shown.event(await _find(session, caller, event_id))


@router.get("/{event_id}/deliveries")
async def deliveries(
    event_id: str, caller: Caller, inside: Inside, limit: Limit = PAGE, cursor: Cursor = None
) -> ListView[DeliveryView]:
    """What became of the event at each endpoint: every attempt, and what came back. Newest delivery first."""
    async with inside.database.transaction() as session:
        event = await _find(session, caller, event_id)
        found = await delivery_log.of_event(session, event.id, limit=limit, after=cursor)
    return shown.page(found, [webhook_views.delivery(one) for one in found.rows])


@router.post("/{event_id}/redeliver", status_code=202)
async def redeliver(
    event_id: str, caller: Caller, inside: Inside, body: RedeliverBody | None = None
) -> ListView[DeliveryView]:
    """Sends the event once more, at once and by the whole plan, also where it has arrived before. Where an endpoint is
    disabled it waits until that is enabled.
    """
    async with inside.database.transaction() as session:
        event = await _find(session, caller, event_id)
    found = await redelivery.redeliver(inside, caller, event, body.endpoint if body else None)
    data = [webhook_views.delivery(one) for one in found]
    return ListView(data=data, has_more=False, next_cursor=None)


async def _find(session: AsyncSession, caller: Principal, event_id: str) -> Event:
    row = await reads.find(session, Event, caller, event_id)
    if row is None:
        raise not_found("event")
    return row
