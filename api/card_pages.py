"""The customer's pages of a card change: plain words, no script, nothing that could be kept or passed on."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import HTMLResponse, RedirectResponse, Response

from agreements.card_changes import CardChangeStatus
from agreements.declines import DeclineCategory
from agreements.status import ChargeStatus
from agreements.terms import Terms
from store.tables import Agreement, Attempt, CardChange, Charge, Credential, Merchant

_FOLDER = Path(__file__).parent / "templates"
_TEMPLATES = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True)
_STYLE = (_FOLDER / "card_change.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_HEADERS = {
    "Cache-Control": "no-store",
    # Without form-action: browsers apply it to the redirect after the form too, which leads to any provider's address.
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}

_UNPAID = (ChargeStatus.RETRYING, ChargeStatus.ACTION_REQUIRED)
_WHY: dict[str, str] = {
    DeclineCategory.EXPIRED_CARD: "The card or wallet you pay with has expired.",
    DeclineCategory.LOST_OR_STOLEN: "The card you pay with was reported as lost or stolen.",
    DeclineCategory.CLOSED_ACCOUNT: "The account you pay from is closed or blocked.",
    DeclineCategory.AUTHENTICATION_REQUIRED: "Your bank or wallet wants you to confirm your payments again.",
}
_NOT_ACCEPTED = "The last payment was not accepted."


async def offer(session: AsyncSession, card_change: CardChange) -> Response:
    """What is agreed, what is owed, and one button."""
    agreement = await session.get_one(Agreement, card_change.agreement_id)
    credential = await session.get_one(Credential, agreement.credential_id)
    terms = Terms.model_validate(agreement.terms)
    query = select(Charge).where(
        Charge.agreement_id == agreement.id, col(Charge.status).in_(_UNPAID), col(Charge.amount).is_not(None)
    )
    overdue = await session.exec(query.order_by(col(Charge.due_at), Charge.id))
    return _page(
        "card_change.html",
        seller=terms.seller.name if terms.seller else (await session.get_one(Merchant, agreement.merchant_id)).name,
        why=_why(card_change, await _category(session, card_change)),
        reference=agreement.reference,
        amount=_regularly(terms),
        credential=f"{credential.brand} {_ending(credential)}".strip(),
        overdue=[str(charge.money) for charge in overdue],
        until=f"{card_change.expires_at:%d %B %Y, %H:%M} UTC",
    )


def ended(card_change: CardChange) -> Response:
    """Why the link does nothing any more."""
    if card_change.status is CardChangeStatus.COMPLETED:
        return said("Already done", "Your new way to pay is in use. There is nothing else to do.")
    if card_change.status is CardChangeStatus.FAILED:
        return said("This did not work", "Your provider refused. Please ask the shop for a new link.", 410)
    return said("This link can no longer be used", "It has run out or was replaced. Please ask for a new one.", 410)


def unknown() -> Response:
    """No link of ours."""
    return said("This link is not known", "It may be incomplete. Please open it again from the message you got.", 404)


def wait() -> Response:
    """The provider has not given its page yet."""
    return said("One moment", "Your provider has not answered yet. Please try again shortly.", 503, again=True)


def busy() -> Response:
    """The customer has agreed, and the provider is being asked for the credential."""
    return said("Almost done", "You have agreed, and your new way to pay is being set up.")


def onward(url: str) -> Response:
    """To the provider, which must not see the link."""
    return RedirectResponse(url, 303, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def said(title: str, text: str, status: int = 200, *, again: bool = False) -> Response:
    """A page that only says something."""
    return _page("card_change_said.html", status, title=title, text=text, again=again)


def _page(template: str, status: int = 200, **values: object) -> Response:
    shown = _TEMPLATES.get_template(template).render(values, style=_STYLE)
    return HTMLResponse(shown, status, _HEADERS)


async def _category(session: AsyncSession, card_change: CardChange) -> str | None:
    """What was wrong with the last attempt of the charge that waits."""
    query = select(Attempt.decline).where(Attempt.charge_id == card_change.charge_id, col(Attempt.decline).is_not(None))
    decline = (await session.exec(query.order_by(col(Attempt.number).desc()).limit(1))).first()
    return decline["category"] if decline else None


def _why(card_change: CardChange, category: str | None) -> str:
    if card_change.reason is None:
        return "Here you can choose another card, wallet or account for your payments."
    if card_change.reason == "token_expired":
        return "Your permission to collect these payments has run out."
    return f"{_WHY.get(category or '', _NOT_ACCEPTED)} Please agree to another way to pay."


def _regularly(terms: Terms) -> str:
    return f"{terms.amount}, {terms.frequency}".replace("_", " ") if terms.amount else "the amount differs each time"


def _ending(credential: Credential) -> str:
    return f"ending in {credential.last4}" if credential.last4 else ""
