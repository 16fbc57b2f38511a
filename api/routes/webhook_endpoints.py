"""`/v1/webhook-endpoints`: where a merchant wants events, and what became of them there."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from agreements.deliveries import DeliveryStatus, DisabledReason
from api import redelivery, urls
from api import views as shown
from api import webhook_views as views
from api.auth import Caller
from api.bodies import StrictRoute
from api.description.events import EVENTS
from api.problems import Problem, invalid, not_found
from api.routes.parameters import PAGE, Cursor, Limit
from api.services import Inside
from api.views import ListView
from api.webhook_views import DeliveryView, WebhookEndpointView, WebhookEndpointWithSecret
from store import delivery_log, ids, reads, trail, webhook_endpoints
from store.merchants import Principal
from store.tables import WebhookEndpoint
from store.tables.columns import utcnow

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhook endpoints"], route_class=StrictRoute)

EVENT_TYPES = frozenset(EVENTS)

_OVERLAP = 24 * 60 * 60
_LONGEST_OVERLAP = 30 * _OVERLAP


def _known(type_: str) -> str:
    if type_ != "*" and type_ not in EVENT_TYPES:
        raise ValueError('not an event type; "*" stands for all of them')
    return type_


Url = Annotated[str, Field(min_length=1, max_length=urls.LONGEST)]
Types = Annotated[list[Annotated[str, AfterValidator(_known)]], Field(min_length=1, max_length=64)]
Description = Annotated[str, Field(max_length=256)]


class WebhookEndpointBody(BaseModel):
    """An endpoint to be made."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    event_types: Types = ["*"]
    description: Description | None = None


def _without_defaults(schema: dict[str, Any]) -> None:
    for member in schema["properties"].values():
        member.pop("default", None)


class WebhookEndpointChange(BaseModel):
    """What is to change; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, json_schema_extra=_without_defaults)

    url: Url = ""
    """What waits for another attempt is sent to the new address soon."""
    event_types: Types = []
    """Of events from here on."""
    description: Description | None = None
    disabled: StrictBool = False
    """True parks what is still to be sent, and what happens from here on. False sends it, in order."""


class RotationBody(BaseModel):
    """How long the secrets before the new one sign as well."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    overlap: Annotated[StrictInt, Field(ge=0, le=_LONGEST_OVERLAP)] = _OVERLAP
    """Seconds: a day by default, 30 at most; 0 for a secret that has leaked."""


@router.post("", status_code=201)
async def create(body: WebhookEndpointBody, caller: Caller, inside: Inside) -> WebhookEndpointWithSecret:
    """Makes an endpoint; its `secret` is shown this once. It gets what happens from here on."""
    _check(body.url, caller)
    secret, sealed = webhook_endpoints.new_secret(inside.vault)
    row = WebhookEndpoint(
        id=ids.new("whe"),
        merchant_id=caller.merchant_id,
        livemode=caller.livemode,
        url=body.url,
        event_types=list(dict.fromkeys(body.event_types)),
        description=body.description,
        sealed_secret=sealed,
    )
    async with inside.database.transaction() as session:
        session.add(row)
        _note(session, caller, row.id)
    return WebhookEndpointWithSecret(**dict(views.webhook_endpoint(row, waiting=0)), secret=secret)


@router.get("")
async def list_(
    caller: Caller, inside: Inside, limit: Limit = PAGE, cursor: Cursor = None
) -> ListView[WebhookEndpointView]:
    """Newest first."""
    async with inside.database.transaction() as session:
        found = await reads.webhook_endpoints(session, caller, limit=limit, after=cursor)
        waiting = await delivery_log.waiting(session, [row.id for row in found.rows])
    return shown.page(found, [views.webhook_endpoint(row, waiting[row.id]) for row in found.rows])


@router.get("/{endpoint_id}")
async def read(endpoint_id: str, caller: Caller, inside: Inside) -> WebhookEndpointView:
    """One endpoint, and whether it is well."""
    async with inside.database.transaction() as session:
        return await _view(session, await _find(session, caller, endpoint_id))


@router.patch("/{endpoint_id}")
async def change(endpoint_id: str, body: WebhookEndpointChange, caller: Caller, inside: Inside) -> WebhookEndpointView:
    """Changes an endpoint, disables it, or enables it again: what was parked meanwhile is sent in order."""
    given = body.model_fields_set
    if "url" in given:
        _check(body.url, caller)
    async with inside.database.transaction() as session:
        row = await _find(session, caller, endpoint_id, lock=True)
        moved = "url" in given and body.url != row.url
        row.url = body.url if "url" in given else row.url
        row.event_types = list(dict.fromkeys(body.event_types)) if "event_types" in given else row.event_types
        row.description = body.description if "description" in given else row.description
        disabled = body.disabled if "disabled" in given else row.disabled_at is not None
        if disabled and row.disabled_at is None:
            await webhook_endpoints.disable(session, row, DisabledReason.MERCHANT, utcnow())
        elif not disabled and (moved or row.disabled_at is not None):
            await webhook_endpoints.enable(session, row)
        _note(session, caller, row.id)
    await redelivery.catch_up(inside, row)
    async with inside.database.transaction() as session:
        return await _view(session, row)


@router.post("/{endpoint_id}/rotate-secret")
async def rotate_secret(
    endpoint_id: str, caller: Caller, inside: Inside, body: RotationBody | None = None
) -> WebhookEndpointWithSecret:
    """Makes a new secret, shown this once. Until `overlap` has passed those before it sign as well, so that the
    receiver can be given the new one meanwhile.
    """
    overlap = timedelta(seconds=(body or RotationBody()).overlap)
    async with inside.database.transaction() as session:
        row = await _find(session, caller, endpoint_id, lock=True)
        try:
            secret = await webhook_endpoints.rotate_secret(session, inside.vault, row, overlap, utcnow())
        except webhook_endpoints.TooManySecrets:
            detail = f"{webhook_endpoints.MOST_SECRETS} secrets sign already; end some by a shorter overlap"
            raise Problem("state_conflict", detail) from None
        _note(session, caller, row.id)
        return WebhookEndpointWithSecret(**dict(await _view(session, row)), secret=secret)


@router.delete("/{endpoint_id}", status_code=204, response_class=Response)
async def delete(endpoint_id: str, caller: Caller, inside: Inside) -> None:
    """Nothing is sent there any more; what was still to be sent is dropped."""
    async with inside.database.transaction() as session:
        row = await _find(session, caller, endpoint_id, lock=True)
        await webhook_endpoints.drop(session, row, utcnow())
        _note(session, caller, row.id)


@router.get("/{endpoint_id}/deliveries")
async def deliveries(
    endpoint_id: str,
    caller: Caller,
    inside: Inside,
    status: DeliveryStatus | None = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> ListView[DeliveryView]:
    """What was sent there and what came back, newest first."""
    async with inside.database.transaction() as session:
        row = await _find(session, caller, endpoint_id)
        found = await delivery_log.of_endpoint(session, row.id, status=status, limit=limit, after=cursor)
    return shown.page(found, [views.delivery(one) for one in found.rows])


def _check(url: str, caller: Principal) -> None:
    if refused := urls.refuse(url, livemode=caller.livemode):
        raise invalid("/url", refused)


async def _find(session: AsyncSession, caller: Principal, endpoint_id: str, *, lock: bool = False) -> WebhookEndpoint:
    """The caller's endpoint, locked on request. Raises a 404 problem, also after it was deleted."""
    row = await reads.find(session, WebhookEndpoint, caller, endpoint_id)
    if row is not None and lock:
        row = await webhook_endpoints.lock(session, row.id)
    if row is None or row.deleted_at is not None:
        raise not_found("webhook endpoint")
    return row


async def _view(session: AsyncSession, row: WebhookEndpoint) -> WebhookEndpointView:
    await session.flush()
    return views.webhook_endpoint(row, (await delivery_log.waiting(session, [row.id]))[row.id])


def _note(session: AsyncSession, caller: Principal, endpoint_id: str) -> None:
    trail.note(session, caller.by, merchant_id=caller.merchant_id, livemode=caller.livemode, object_id=endpoint_id)
