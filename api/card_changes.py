"""Card changes: asked for by merchants, and followed by customers to the provider's page."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import JSONResponse, Response

from agreements.card_changes import OPEN, Initiator
from agreements.consents import Seen
from api import card_pages, commands, pages, telling, urls
from api.languages import Voice, Wish
from api.peers import Peer
from api.problems import invalid
from api.services import Services
from store import card_requests, changes, clocks, consents, trail, views
from store.card_changes import Links
from store.changes import Change
from store.idempotency import Call
from store.tables import Agreement, Authorization, CardChange

_FIRST_LOOK, _SLOWEST_LOOK = 0.025, 0.2  # seconds


async def ask(
    inside: Services, call: Call, agreement_id: str, initiator: Initiator, return_url: str | None
) -> JSONResponse:
    """The answer to a request for a link, first or repeated. Raises Problem."""
    refused = urls.refuse(return_url, livemode=call.principal.livemode) if return_url else None
    if refused:
        raise invalid("/return_url", refused)
    made: list[CardChange] = []

    async def act(change: Change) -> None:
        links = Links(inside.vault, inside.settings.public_url)
        made.append(await card_requests.request(change, links, initiator, return_url))

    async def show(_: Change) -> dict[str, Any]:
        return views.card_change(made[0]).model_dump(mode="json")

    change, answer = await commands.once(inside, call, agreement_id, act, show, 201)
    if change is not None:
        await telling.look(inside, change.standing, change.delivery_ids)
    return answer


async def show(inside: Services, token: str, wish: Wish) -> Response:
    """The customer's page. Changes nothing: mail scanners open links too."""
    async with inside.database.transaction() as session:
        card_change = await card_requests.find(session, inside.vault, token)
        if card_change is None:
            return pages.said(wish.voice(), "unknown", 404)
        agreement = await session.get_one(Agreement, card_change.agreement_id)
        now = await clocks.now_for(session, agreement.test_clock_id)
        voice = wish.voice(agreement.customer.get("region"))
        if card_change.status not in OPEN or (card_change.expires_at <= now):
            return card_pages.ended(voice, card_change)
        return await card_pages.offer(session, voice, agreement, card_change)


async def follow(inside: Services, token: str, wish: Wish, visitor: Peer) -> Response:
    """The customer presses the page's button."""
    async with inside.database.transaction() as session:
        found = await card_requests.find(session, inside.vault, token)
    if found is None:
        return pages.said(wish.voice(), "unknown", 404)
    async with changes.change(inside.database, found.agreement_id) as change:
        card_change = await change.session.get_one(CardChange, found.id)
        page = await card_requests.open_page(change, inside.vault, card_change)
        voice = wish.voice(change.agreement.customer.get("region"))
        if page is not None:
            seen = visitor.seen(Seen.CARD_CHANGE_LINK, voice.language)
            await consents.seen(change.session, inside.vault, page.id, seen)
            trail.by_customer(change.session, change.agreement, "POST /card-changes/{token}", card_change.id)
    if page is None:
        return card_pages.ended(voice, card_change)
    await telling.look(inside, change.standing, change.delivery_ids)
    return await onward(inside, voice, page.id, card_change.id)


async def onward(
    inside: Services, voice: Voice, authorization_id: str, card_change_id: str, back: str | None = None
) -> Response:
    """Sends the customer to the provider's page once its address is known, within 5 s. `back` is the portal's path."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + inside.patience.authorization.total_seconds(), _FIRST_LOOK
    while True:
        async with inside.database.transaction() as session:
            page = await session.get_one(Authorization, authorization_id)
            card_change = await session.get_one(CardChange, card_change_id)
        if card_change.status not in OPEN:
            return card_pages.ended(voice, card_change, back)
        if page.status == "open" and page.url is not None:
            return pages.onward(page.url)
        if page.status == "granted":
            return pages.said(voice, "busy", back=back)
        if loop.time() + pause > deadline:
            return pages.said(voice, "wait", 503, again=True, back=back)
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, _SLOWEST_LOOK)
