"""`/notifications/{gateway}/{account}`: what providers tell us."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from api import inbox
from api.guarded import GuardedRoute
from api.limits import Arrival
from api.peers import Visitor
from api.problems import not_found
from api.services import Inside, Services
from gateways import notifications
from gateways.notifications import INBOXES
from gateways.port import Account, BadNotification, News
from store import journal
from store.journal import JournalledMessage
from store.tables import GatewayAccount

router = APIRouter(tags=["providers"], route_class=GuardedRoute)


@router.post("/notifications/{gateway}/{account_id}", include_in_schema=False)
async def notify(gateway: str, account_id: str, request: Request, inside: Inside, sender: Visitor) -> Response:
    """Journals, verifies, matches, signals, and only then acknowledges, in the provider's own format."""
    path = _path(request, inside.settings.public_url)
    message = inbox.message(request.method, path, request.headers, await request.body(), {})
    async with inside.database.transaction() as session:
        account = await _account(session, gateway, account_id)
        if account is not None:
            arrival = inside.limits.arrived(request, sender.ip, account.id)
            read = partial(_read, gateway, message, arrival)
            if not arrival.may_be_kept:
                _prove(inside, account, arrival, read)
            notification_id = await journal.write(session, inside.vault, account.id, "notification", message)
    if account is None:
        raise not_found("notification address")
    provider = INBOXES[gateway]
    try:
        await inbox.accept(inside, account, notification_id, read)
    except BadNotification as error:
        status, refusal = provider.refusal(error.code)
        return Response(refusal, status, media_type="application/json")
    return Response(provider.ACKNOWLEDGED, media_type="application/json")


def _read(gateway: str, message: JournalledMessage, arrival: Arrival, account: Account) -> list[News]:
    news = notifications.read(gateway, account, source="notification", message=message)
    arrival.genuine()
    return news


def _prove(inside: Services, account: GatewayAccount, arrival: Arrival, read: inbox.Read) -> None:
    """Where too much came that was forged, only what is genuine is journalled. Raises Problem."""
    try:
        inbox.verified(inside, account, read)
    except BadNotification:
        raise arrival.too_many() from None


def _path(request: Request, public_url: str) -> str:
    """Path and query as the provider knows them, and signs them."""
    path = urlsplit(public_url).path + request.url.path
    return f"{path}?{request.url.query}" if request.url.query else path


async def _account(session: AsyncSession, gateway: str, account_id: str) -> GatewayAccount | None:
    if gateway not in INBOXES or not account_id.isprintable():
        return None
    account = await session.get(GatewayAccount, account_id)
    return account if account is not None and account.gateway == gateway else None
