"""`/v1/webhook-endpoints`: where a merchant wants events."""

from __future__ import annotations

import base64
import secrets
from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import urls
from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.problems import invalid, not_found
from api.routes.parameters import PAGE, Cursor, Limit
from api.services import Inside
from api.views import ListView, NewWebhookEndpoint, WebhookEndpointView
from store import ids, reads
from store.tables import WebhookEndpoint
from store.tables.columns import utcnow

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhook endpoints"], route_class=StrictRoute)

_TYPES: dict[str, str] = {
    "agreement": "authorization_requested authorized activated past_due action_required paused resumed amended"
    " completed expired revoked authorization_failed",
    "cycle": "upcoming skipped",
    "charge": "succeeded failed retry_scheduled action_required unknown canceled reversed",
    "refund": "succeeded failed",
    "credential": "refreshed refresh_failed expiring",
    "card_change": "requested completed failed expired",
}
EVENT_TYPES = frozenset(f"{noun}.{verb}" for noun, verbs in _TYPES.items() for verb in verbs.split())
"""Every event type of design §4."""

_SECRET_BYTES = 32


def _known(type_: str) -> str:
    if type_ != "*" and type_ not in EVENT_TYPES:
        raise ValueError('not an event type; "*" stands for all of them')
    return type_


class WebhookEndpointBody(BaseModel):
    """An endpoint to be made."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=urls.LONGEST)]
    event_types: Annotated[list[Annotated[str, AfterValidator(_known)]], Field(min_length=1, max_length=64)] = ["*"]
    description: Annotated[str, Field(max_length=256)] | None = None


@router.post("", status_code=201)
async def create(body: WebhookEndpointBody, caller: Caller, inside: Inside) -> NewWebhookEndpoint:
    """Makes an endpoint; its `secret` is shown this once."""
    if refused := urls.refuse(body.url, livemode=caller.livemode):
        raise invalid("/url", refused)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    row = WebhookEndpoint(
        id=ids.new("whe"),
        merchant_id=caller.merchant_id,
        livemode=caller.livemode,
        url=body.url,
        event_types=list(dict.fromkeys(body.event_types)),
        description=body.description,
        sealed_secret=inside.vault.seal("webhook_secret", secret),
    )
    async with inside.database.transaction() as session:
        session.add(row)
    return NewWebhookEndpoint(**dict(shown.webhook_endpoint(row)), secret=secret)


@router.get("")
async def list_(
    caller: Caller, inside: Inside, limit: Limit = PAGE, cursor: Cursor = None
) -> ListView[WebhookEndpointView]:
    """Newest first."""
    async with inside.database.transaction() as session:
        found = await reads.webhook_endpoints(session, caller, limit=limit, after=cursor)
    return shown.page(found, [shown.webhook_endpoint(row) for row in found.rows])


@router.get("/{endpoint_id}")
async def read(endpoint_id: str, caller: Caller, inside: Inside) -> WebhookEndpointView:
    """One endpoint."""
    async with inside.database.transaction() as session:
        row = await reads.find(session, WebhookEndpoint, caller, endpoint_id)
    if row is None or row.deleted_at is not None:
        raise not_found("webhook endpoint")
    return shown.webhook_endpoint(row)


@router.delete("/{endpoint_id}", status_code=204, response_class=Response)
async def delete(endpoint_id: str, caller: Caller, inside: Inside) -> None:
    """Nothing is sent there any more; what was still to be sent is dropped."""
    async with inside.database.transaction() as session:
        row = await reads.find(session, WebhookEndpoint, caller, endpoint_id)
        if row is None or row.deleted_at is not None:
            raise not_found("webhook endpoint")
        row.deleted_at = utcnow()
