"""The customer's pages behind a link for a card change."""

from __future__ import annotations

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from agreements.card_changes import CardChangeStatus
from agreements.terms import Terms
from api import in_words, pages
from api.languages import Voice
from store import clocks, statements
from store.tables import Agreement, CardChange, Credential


async def offer(session: AsyncSession, voice: Voice, agreement: Agreement, card_change: CardChange) -> Response:
    """What is agreed, what is owed, and one button."""
    credential = await session.get_one(Credential, agreement.credential_id)
    terms = Terms.model_validate(agreement.terms)
    now = await clocks.now_for(session, agreement.test_clock_id)
    values = {
        "seller": await statements.seller(session, agreement, terms),
        "why": await _why(session, voice, card_change),
        "reference": agreement.reference,
        "amount": in_words.amount(voice, terms, agreement.currency),
        "often": in_words.often(voice, terms),
        "credential": in_words.credential(voice, credential),
        "overdue": [voice.money(charge.money) for charge in await statements.owed(session, agreement, now)],
        "until": voice.moment(card_change.expires_at, terms.timezone),
    }
    return pages.page("card_change.html", voice, values, leads_away=True)


def ended(voice: Voice, card_change: CardChange, back: str | None = None) -> Response:
    """Why the link does nothing any more."""
    if card_change.status is CardChangeStatus.COMPLETED:
        return pages.said(voice, "done", back=back)
    what = "refused" if card_change.status is CardChangeStatus.FAILED else "used_up"
    return pages.said(voice, what, 410, back=back)


async def _why(session: AsyncSession, voice: Voice, card_change: CardChange) -> list[str]:
    if card_change.reason is None:
        return [voice.say("card.choose")]
    if card_change.reason == "token_expired":
        return [voice.say("why.token_expired"), voice.say("card.agree")]
    declines = await statements.last_declines(session, [card_change.charge_id] if card_change.charge_id else [])
    return [in_words.why(voice, declines.get(card_change.charge_id or "")), voice.say("card.agree")]
