"""`/notifications/{gateway}/{account}`: what providers tell us."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from sqlmodel import select
from starlette.responses import Response

from api import inbox
from api.problems import not_found
from api.services import Inside, Services
from gateways import notifications
from gateways.notifications import INBOXES
from gateways.port import BadNotification
from store.tables import GatewayAccount

router = APIRouter(tags=["providers"])


@router.post("/notifications/{gateway}/{account_id}", include_in_schema=False)
async def notify(gateway: str, account_id: str, request: Request, inside: Inside) -> Response:
    """Journals, verifies, matches, signals, and only then acknowledges, in the provider's own format."""
    account = await _account(inside, gateway, account_id)
    if account is None:
        raise not_found("notification address")
    body = await request.body()
    path = urlsplit(inside.settings.public_url).path + request.url.path
    if request.url.query:
        path += f"?{request.url.query}"
    message = inbox.message(request.method, path, dict(request.headers), body, {})
    notification_id = await inbox.journalled(inside, account, "notification", message)
    provider = INBOXES[gateway]
    try:
        await inbox.accept(
            inside,
            account,
            notification_id,
            partial(notifications.read, gateway, source="notification", message=message),
        )
    except BadNotification as error:
        status, refusal = provider.refusal(error.code)
        return Response(refusal, status, media_type="application/json")
    return Response(provider.ACKNOWLEDGED, media_type="application/json")


async def _account(inside: Services, gateway: str, account_id: str) -> GatewayAccount | None:
    if gateway not in INBOXES or not account_id.isprintable():
        return None
    async with inside.database.transaction() as session:
        query = select(GatewayAccount).where(GatewayAccount.id == account_id, GatewayAccount.gateway == gateway)
        return (await session.exec(query)).first()
