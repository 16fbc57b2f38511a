"""`/returns/{gateway}/{state}`: where providers send the customer back."""

from __future__ import annotations

from functools import partial

import structlog
from fastapi import APIRouter, Request
from sqlmodel import col, select
from starlette.responses import Response
from temporalio.exceptions import TemporalError

from agreements.consents import Seen
from api import inbox, pages, urls
from api.languages import Wish
from api.pages import PageRoute
from api.peers import peer
from api.problems import not_found
from api.services import Inside, Services
from gateways import notifications
from gateways.notifications import INBOXES
from gateways.port import BadNotification
from store import consents, portal_links
from store.tables import Agreement, Authorization, CardChange, GatewayAccount

router = APIRouter(tags=["providers"], route_class=PageRoute)

_log = structlog.get_logger(__name__)


@router.get("/returns/{gateway}/{state}", include_in_schema=False)
async def come_back(gateway: str, state: str, request: Request, inside: Inside) -> Response:
    """Takes the code the customer brings along, then sends them on to the merchant without it."""
    found = await _found(inside, gateway, state)
    if found is None:
        if "text/html" in request.headers.get("accept", ""):
            return pages.said(Wish.of(request).voice(), "unknown", 404)
        raise not_found("return address")
    agreement, account, card_change = found
    query = dict(request.query_params)
    async with inside.database.transaction() as session:
        await consents.seen_coming_back(session, inside.vault, state, peer(request).seen(Seen.RETURN))
    if query:
        await _take(inside, account, request, query)
    return pages.onward(await _home(inside, agreement, card_change))


async def _home(inside: Services, agreement: Agreement, card_change: CardChange | None) -> str:
    """The portal's page if the customer came from there, else the merchant's."""
    if card_change is not None:
        async with inside.database.transaction() as session:
            token = await portal_links.token_back(session, inside.vault, card_change)
        if token is not None:
            return f"{inside.settings.public_url}/portal/{token}?back=1"
    target = (card_change and card_change.return_url) or agreement.return_url
    return urls.with_parameter(target, "agreement", agreement.id)


async def _take(inside: Services, account: GatewayAccount, request: Request, query: dict[str, str]) -> None:
    """Whatever is wrong with the query or with Temporal, the customer goes on: the journal has what they brought,
    unless they bring something again and again.
    """
    if not inside.limits.may_return(inside.vault.fingerprint(request.path_params["state"])):
        _log.info("return_not_kept", account=account.id)
        return
    message = inbox.message("GET", request.url.path, {}, b"", query)
    notification_id = await inbox.journalled(inside, account, "return", message)
    try:
        await inbox.accept(
            inside,
            account,
            notification_id,
            partial(notifications.read, account.gateway, source="return", message=message),
        )
    except BadNotification as error:
        _log.info("return_without_code", notification=notification_id, reason=error.code)
    except (TemporalError, RuntimeError) as error:
        _log.warning("temporal_not_told", notification=notification_id, error=str(error))


async def _found(
    inside: Services, gateway: str, state: str
) -> tuple[Agreement, GatewayAccount, CardChange | None] | None:
    query = (
        select(Agreement, GatewayAccount, CardChange)
        .join(Authorization, col(Authorization.agreement_id) == Agreement.id)
        .join(GatewayAccount, col(GatewayAccount.id) == Agreement.account_id)
        .outerjoin(CardChange, col(CardChange.id) == Authorization.card_change_id)
        .where(Authorization.state_hash == inside.vault.fingerprint(state), GatewayAccount.gateway == gateway)
    )
    if gateway not in INBOXES:
        return None
    async with inside.database.transaction() as session:
        return (await session.exec(query)).first()
