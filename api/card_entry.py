"""Our own page for typing a card, where an account's keys ask for it: the browser encrypts, we only hand on.

The page belongs to one payment session at the provider. Its address holds the state of the authorization, as the way
back from the provider's page does.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs

import structlog
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response
from temporalio.exceptions import TemporalError

from agreements.consents import Seen
from agreements.status import ChargePurpose
from agreements.terms import Terms
from api import inbox, pages
from api.languages import Voice, Wish
from api.peers import Peer
from api.services import Services
from gateways.notifications import card_entered
from gateways.port import BadNotification, News
from store import clocks, consents, first_payments, statements
from store.tables import Agreement, Authorization, Charge, GatewayAccount, Notification

_SCRIPT = (Path(__file__).parent / "templates" / "card_entry.js").read_text()
_FIRST_LOOK, _SLOWEST_LOOK = 0.025, 0.2  # seconds

_log = structlog.get_logger(__name__)


async def show(inside: Services, state: str, wish: Wish, visitor: Peer) -> Response:
    """The page while it waits for a card; later the way on."""
    async with inside.database.transaction() as session:
        page = await _found(session, inside, state)
        if page is None:
            return pages.said(wish.voice(), "unknown", 404)
        return await _shown(session, inside, page, state, wish, visitor)


async def take(inside: Services, state: str, body: bytes, wish: Wish, visitor: Peer) -> Response:
    """The encrypted card: kept sealed, handed to the agreement's workflow, and the customer sent on to their bank."""
    posted = parse_qs(body.decode(errors="replace")).get("encrypted_card", [""])[0]
    async with inside.database.transaction() as session:
        page = await _found(session, inside, state)
        if page is None:
            return pages.said(wish.voice(), "unknown", 404)
        agreement = await session.get_one(Agreement, page.agreement_id)
        account = await session.get_one(GatewayAccount, agreement.account_id)
        now = await clocks.now_for(session, agreement.test_clock_id)
        if not _waits(page, now):
            return await _shown(session, inside, page, state, wish, visitor)
        language = wish.voice(agreement.customer.get("region")).language
        await consents.seen(session, inside.vault, page.id, visitor.seen(Seen.CARD_PAGE, language))
    try:
        [card] = inbox.verified(inside, account, lambda _: [card_entered(state, posted)])
    except inbox.UnusableKeys:
        # The merchant's own keys do not open: nobody could hand the card on.
        _log.error("card_not_taken", account=account.id)
        return pages.said(await _voice(inside, page, wish), "away", 503)
    except BadNotification:
        # It may be a card in clear: it is neither kept nor logged.
        return await _again(inside, page.id, wish, visitor)
    if page.code_notification_id is not None:
        # One at a time: this one would only be forgotten.
        return await _onward(inside, page.id, page.code_notification_id, state, wish, visitor)
    if not inside.limits.may_try_card(page.state_hash):
        return pages.said(await _voice(inside, page, wish), "too_many", 429)
    notification_id = await _handed_on(inside, account, state, card)
    return await _onward(inside, page.id, notification_id, state, wish, visitor)


async def _handed_on(inside: Services, account: GatewayAccount, state: str, card: News) -> str:
    """Keeps the card, sealed, and tells the agreement's workflow; the journal's id of it."""
    message = inbox.message("POST", "", {}, (card.code or "").encode(), {"state": state})
    notification_id = await inbox.journalled(inside, account, "card", message)
    try:
        await inbox.accept(inside, account, notification_id, lambda _: [card])
    except (TemporalError, RuntimeError) as error:
        _log.warning("temporal_not_told", notification=notification_id, error=str(error))
    return notification_id


async def _onward(
    inside: Services, page_id: str, notification_id: str, state: str, wish: Wish, visitor: Peer
) -> Response:
    """Where the customer goes once the provider has answered, within 5 s."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + inside.patience.authorization.total_seconds(), _FIRST_LOOK
    while True:
        async with inside.database.transaction() as session:
            page = await session.get_one(Authorization, page_id)
            journalled = await session.get_one(Notification, notification_id)
            if page.status != "open" or page.card_key is None:
                return await _shown(session, inside, page, state, wish, visitor)
        if journalled.status == "refused":
            return await _again(inside, page_id, wish, visitor)
        if loop.time() + pause > deadline:
            return pages.said(await _voice(inside, page, wish), "wait", 503)
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, _SLOWEST_LOOK)


async def _shown(
    session: AsyncSession, inside: Services, page: Authorization, state: str, wish: Wish, visitor: Peer
) -> Response:
    agreement = await session.get_one(Agreement, page.agreement_id)
    voice = wish.voice(agreement.customer.get("region"))
    if _waits(page, await clocks.now_for(session, agreement.test_clock_id)):
        if page.code_notification_id is not None:
            return pages.said(voice, "wait", 503)
        return await _form(session, page, agreement, voice, visitor)
    if page.status == "open" and page.card_key is None and page.url is not None:
        return pages.onward(page.url)
    if page.status in ("granted", "completed"):
        return pages.onward(f"{inside.settings.public_url}/returns/{agreement.gateway}/{state}")
    return pages.said(voice, "expired", 410)


async def _again(inside: Services, page_id: str, wish: Wish, visitor: Peer) -> Response:
    async with inside.database.transaction() as session:
        page = await session.get_one(Authorization, page_id)
        agreement = await session.get_one(Agreement, page.agreement_id)
        voice = wish.voice(agreement.customer.get("region"))
        return await _form(session, page, agreement, voice, visitor, refused=True)


async def _form(
    session: AsyncSession,
    page: Authorization,
    agreement: Agreement,
    voice: Voice,
    visitor: Peer,
    *,
    refused: bool = False,
) -> Response:
    payment = await first_payments.of(session, page)
    if payment is None:
        return pages.said(voice, "expired", 410)
    charge = await session.get_one(Charge, payment.charge_id)
    values = {
        "seller": await statements.seller(session, agreement, Terms.model_validate(agreement.terms)),
        "amount": voice.money(payment.money),
        "goes_back": charge.purpose is ChargePurpose.VERIFICATION,
        "key": page.card_key,
        "address": visitor.ip or "",
        "country": agreement.customer.get("region") or "",
        "refused": refused,
    }
    return pages.page("card_entry.html", voice, values, 422 if refused else 200, leads_away=True, script=_SCRIPT)


async def _voice(inside: Services, page: Authorization, wish: Wish) -> Voice:
    async with inside.database.transaction() as session:
        agreement = await session.get_one(Agreement, page.agreement_id)
        return wish.voice(agreement.customer.get("region"))


async def _found(session: AsyncSession, inside: Services, state: str) -> Authorization | None:
    query = select(Authorization).where(Authorization.state_hash == inside.vault.fingerprint(state))
    return (await session.exec(query)).first()


def _waits(page: Authorization, now: datetime) -> bool:
    """Whether a card is wanted here."""
    in_time = page.expires_at is None or now < page.expires_at
    return page.status == "open" and page.card_key is not None and in_time
