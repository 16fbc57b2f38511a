"""Agreements, credentials and declines as customers read them."""

from __future__ import annotations

from markupsafe import Markup

from agreements import amounts, catalog
from agreements.declines import DeclineCategory
from agreements.money import Money
from agreements.terms import AmountVariability, Frequency, Terms
from api.languages import Voice
from store.tables import Credential

_EXPLAINED = {
    DeclineCategory.EXPIRED_CARD: "why.expired_card",
    DeclineCategory.LOST_OR_STOLEN: "why.lost_or_stolen",
    DeclineCategory.CLOSED_ACCOUNT: "why.closed_account",
    DeclineCategory.AUTHENTICATION_REQUIRED: "why.authentication_required",
    DeclineCategory.INSUFFICIENT_FUNDS: "why.insufficient_funds",
    DeclineCategory.LIMIT_EXCEEDED: "why.limit_exceeded",
}
"""What customers can do something about; of the rest they learn that it was not accepted."""


def amount(voice: Voice, terms: Terms, currency: str | None) -> str:
    """What is collected each time. `currency` is the agreement's own, known once it has collected anything."""
    if terms.amount_variability is AmountVariability.FIXED and terms.amount is not None:
        return voice.money(terms.amount)
    known = amounts.currency_of(terms, currency)
    if terms.max_amount_per_cycle is None or known is None:
        return voice.say("terms.differs")
    cap = Money(currency=known, value=terms.max_amount_per_cycle)
    return voice.say("terms.up_to", amount=voice.money(cap))


def often(voice: Voice, terms: Terms) -> str:
    """How often it is collected."""
    if terms.frequency is Frequency.OTHER and terms.cycle_interval_days is not None:
        return voice.say("often.days", n=terms.cycle_interval_days)
    return voice.say(f"often.{terms.frequency or Frequency.IRREGULAR}")


def credential(voice: Voice, found: Credential) -> Markup:
    """The masked card, wallet or account."""
    wallet = catalog.method(found.gateway, found.brand)
    name = Markup("<bdi>{}</bdi>").format(wallet.name if wallet else found.brand)
    return name + " " + voice.say("portal.ending", last4=found.last4) if found.last4 else name


def valid_until(voice: Voice, found: Credential) -> Markup | None:
    """The expiry printed on a card."""
    if found.expiry_year is None or found.expiry_month is None:
        return None
    return voice.say("portal.valid_until", month=voice.month(found.expiry_year, found.expiry_month))


def why(voice: Voice, category: str | None) -> Markup:
    """Why a debit was declined."""
    return voice.say(_EXPLAINED.get(DeclineCategory(category), "why.not_accepted") if category else "why.not_accepted")
