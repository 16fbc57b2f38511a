"""The customer's own page: what they agreed to and what was collected, another card, and the end of it.

Whoever has the link may do what the page offers. What a button does goes the same way as the merchant's call for it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import JSONResponse, Response

from agreements.card_changes import OPEN, Initiator
from agreements.consents import Seen
from agreements.status import AgreementStatus
from api import card_changes, commands, in_words, pages, telling, urls
from api import idempotency as keys
from api.languages import Voice, Wish
from api.peers import Peer
from api.portal_page import Shown
from api.problems import Problem, invalid
from api.services import Services
from store import card_requests, changes, clocks, consents, lifecycle, open_links, portal_links, statements, trail
from store.card_changes import Links
from store.changes import Change
from store.idempotency import Call
from store.lifecycle import Conflict
from store.portal_links import Wanted
from store.tables import Agreement, CardChange, PortalLink
from workflows.messages import Command

_FIRST_LOOK, _SLOWEST_LOOK = 0.05, 0.3  # seconds


@dataclass(frozen=True)
class Visit:
    """Somebody with a link: its token, and the language they wish for."""

    token: str
    wish: Wish

    def address(self, inside: Services) -> str:
        """Where the page is."""
        return self._path(inside) + self._query

    def places(self, inside: Services, link: PortalLink) -> dict[str, object]:
        """What the pages' links are made of."""
        return {"path": self._path(inside), "query": self._query, "return_url": link.return_url}

    def voice(self, link: PortalLink, agreement: Agreement) -> Voice:
        """The page's language."""
        return self.wish.voice(agreement.customer.get("region"), usual=link.language)

    def _path(self, inside: Services) -> str:
        """Without the host: it is the one the browser knows already."""
        return f"{urlsplit(inside.settings.public_url).path.rstrip('/')}/portal/{self.token}"

    @property
    def _query(self) -> str:
        """What keeps the language from page to page."""
        return f"?lang={self.wish.explicit}" if self.wish.explicit else ""


async def make_link(inside: Services, call: Call, agreement_id: str, wanted: Wanted) -> JSONResponse:
    """The answer to a request for a link, first or repeated. Raises Problem.

    The kept answer has no address: with the token in it whoever reads it could open the page. A repeat is given the
    address as long as there is the link.
    """
    refused = urls.refuse(wanted.return_url, livemode=call.principal.livemode) if wanted.return_url else None
    if refused:
        raise invalid("/return_url", refused)
    made: list[dict[str, Any]] = []

    async def act(change: Change) -> None:
        link = await portal_links.make(change, inside.vault, wanted)
        expires_at = link.expires_at.isoformat().replace("+00:00", "Z")
        made.append({"id": link.id, "url": None, "expires_at": expires_at})

    async def show(_: Change) -> dict[str, Any]:
        return made[0]

    change, answer = await commands.once(inside, call, agreement_id, act, show, 201)
    if change is not None:
        await telling.look(inside, change.standing, change.delivery_ids)
    return await _with_address(inside, answer) if answer.status_code == 201 else answer


async def _with_address(inside: Services, answer: JSONResponse) -> JSONResponse:
    kept = json.loads(bytes(answer.body))
    if kept["url"] is None:  # answers that 0.3.0 kept have it
        async with inside.database.transaction() as session:
            token = await portal_links.token_of(session, inside.vault, kept["id"])
        if token is None:
            raise Problem("state_conflict", "the link has run out; ask for another under a new key")
        kept["url"] = f"{inside.settings.public_url}/portal/{token}"
    replayed = {name: value for name, value in keys.REPLAYED.items() if name in answer.headers}
    return JSONResponse(kept, answer.status_code, headers=replayed)


async def show(inside: Services, visit: Visit, *, came_back: bool) -> Response:
    """The page. Who comes back from the provider's waits a moment for what follows from it."""
    if came_back:
        await _settled(inside, visit)
    async with inside.database.transaction() as session:
        found = await _open(inside, session, visit)
        if isinstance(found, Response):
            return found
        link, agreement = found
        shown = Shown(await _statement(session, agreement), visit.voice(link, agreement))
        values = shown.values() | visit.places(inside, link) | {"notice": None}
        changed = await statements.changed_from(session, link.id) if came_back else None
        if changed is not None:
            moving = not await statements.at_rest(session, agreement, shown.statement.now)
            values["notice"] = shown.notice(changed, await _hopes(session, changed), moving=moving)
    return pages.page("portal.html", shown.voice, values, leads_away=True)


async def change_card(inside: Services, visit: Visit, visitor: Peer) -> Response:
    """Sends the customer to the provider's page, from which they come back to this one."""
    async with inside.database.transaction() as session:
        found = await _open(inside, session, visit)
    if isinstance(found, Response):
        return found
    link, agreement = found
    try:
        async with changes.change(inside.database, agreement.id) as change:
            if visit.wish.explicit:
                (await change.session.get_one(PortalLink, link.id)).language = visit.wish.explicit
            card_change = await _card_change(change, inside, link)
            page = await card_requests.open_page(change, inside.vault, card_change)
            if page is not None:
                seen = visitor.seen(Seen.PORTAL, visit.voice(link, agreement).language)
                await consents.seen(change.session, inside.vault, page.id, seen)
                trail.by_customer(change.session, agreement, "POST /portal/{token}/card-change", link.id)
    except Conflict:
        return pages.onward(visit.address(inside))
    await telling.look(inside, change.standing, change.delivery_ids)
    voice, back = visit.voice(link, agreement), visit.address(inside)
    if page is None:
        return pages.said(voice, "used_up", 410, back=back)
    return await card_changes.onward(inside, voice, page.id, card_change.id, back)


async def ask_to_cancel(inside: Services, visit: Visit) -> Response:
    """What cancelling means, and whether it is meant."""
    async with inside.database.transaction() as session:
        found = await _open(inside, session, visit)
        if isinstance(found, Response):
            return found
        link, agreement = found
        statement = await _statement(session, agreement)
    if agreement.ended or statement.credential is None:
        return pages.onward(visit.address(inside))
    voice = visit.voice(link, agreement)
    values = {
        "seller": statement.seller,
        "credential": in_words.credential(voice, statement.credential),
        "owes": bool(statement.owed),
    }
    return pages.page("portal_cancel.html", voice, values | visit.places(inside, link))


async def cancel(inside: Services, visit: Visit) -> Response:
    """The customer revokes; whatever has ended the agreement before stands."""
    async with inside.database.transaction() as session:
        found = await _open(inside, session, visit)
    if isinstance(found, Response):
        return found
    link, agreement = found
    if not agreement.ended:
        await _revoke(inside, agreement.id, link.id)
    return pages.onward(visit.address(inside))


async def _revoke(inside: Services, agreement_id: str, link_id: str) -> None:
    try:
        async with changes.change(inside.database, agreement_id) as change:
            await lifecycle.revoke(change, initiator="customer", reason=None)
            trail.by_customer(change.session, change.agreement, "POST /portal/{token}/cancel", link_id)
    except Conflict:
        return  # it ended by itself a moment ago
    # An agreement is revoked once, so a repeat of the command is the same command.
    command_id = f"cmd_portal_{agreement_id}"
    await telling.changed(inside, change.standing, change.delivery_ids, Command.REVOKE, command_id)


async def _open(inside: Services, session: AsyncSession, visit: Visit) -> tuple[PortalLink, Agreement] | Response:
    """The link and its agreement, or the page that says why there is none."""
    link = await portal_links.find(session, inside.vault, visit.token)
    if link is None:
        return pages.said(visit.wish.voice(), "unknown", 404)
    agreement = await session.get_one(Agreement, link.agreement_id)
    if not await portal_links.works(session, link):
        return pages.said(visit.voice(link, agreement), "expired", 410)
    return link, agreement


async def _statement(session: AsyncSession, agreement: Agreement) -> statements.Statement:
    return await statements.read(session, agreement, await clocks.now_for(session, agreement.test_clock_id))


async def _card_change(change: Change, inside: Services, link: PortalLink) -> CardChange:
    """The one that is open, whoever asked for it: its own link, which the customer may have, goes on working."""
    found = await open_links.of(change.session, change.agreement.id)
    if found is None:
        links = Links(inside.vault, inside.settings.public_url)
        found = await card_requests.request(change, links, Initiator.CUSTOMER, None)
    found.portal_link_id = link.id
    return found


async def _hopes(session: AsyncSession, card_change: CardChange) -> set[str]:
    """How far the provider's pages have come that may still bring another card."""
    return {page.status for page in await open_links.pages(session, card_change)}


async def _settled(inside: Services, visit: Visit) -> None:
    """Waits until the card is changed and what was owed is collected, for as long as customers are kept waiting."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + inside.patience.authorization.total_seconds(), _FIRST_LOOK
    while loop.time() < deadline:
        async with inside.database.transaction() as session:
            found = await _open(inside, session, visit)
            if isinstance(found, Response) or await _at_rest(session, *found):
                return
        await asyncio.sleep(pause)
        pause = min(pause * 1.3, _SLOWEST_LOOK)


async def _at_rest(session: AsyncSession, link: PortalLink, agreement: Agreement) -> bool:
    card_change = await statements.changed_from(session, link.id)
    if card_change is None or agreement.ended is AgreementStatus.REVOKED:
        return True
    if card_change.status in OPEN and await _hopes(session, card_change):
        return False
    now = await clocks.now_for(session, agreement.test_clock_id)
    return await statements.at_rest(session, agreement, now)
