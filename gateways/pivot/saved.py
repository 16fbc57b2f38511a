"""The token a customer's payment left. Source: gateways/pay-and-save.md §3.7."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateways.pivot import messages
from gateways.pivot.messages import mapping, objects, text, time
from gateways.pivot.sessions import PaidCard
from gateways.port import Card, Token

_BRANDS = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "jcb": "JCB",
    "amex": "American Express",
    "unionpay": "UnionPay",
    "diners": "Diners Club",
    "discover": "Discover",
}
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def card_token(customer: object, paid: PaidCard, customer_id: str) -> Token | None:
    """The active token of the card a payment was made with: by fingerprint, else by what is visible of its number."""
    for entry in _active(customer, "card"):
        card = mapping(entry.get("card"))
        if _same(card, paid) and (token := text(entry.get("token"), 512)):
            facts = _facts(card, entry, paid)
            return Token(
                access_token=token,
                expires_at=_end_of(facts),
                label=f"•••• {facts.last4}" if facts.last4 else None,
                card=facts,
                reference=customer_id,
            )
    return None


def wallet_token(customer: object, channel: str, customer_id: str) -> Token | None:
    """The newest active token of a wallet."""
    for entry in _active(customer, "ewallet"):
        named = (text(entry.get("paymentChannel")) or "").lower()
        if named == channel.lower() and (token := text(entry.get("token"), 512)):
            return Token(access_token=token, expires_at=None, reference=customer_id)
    return None


def _active(customer: object, kind: str) -> list[Mapping[str, Any]]:
    fields = mapping(customer)
    stored = objects(fields.get("storedPaymentMethods")) or objects(fields.get("storePaymentMethods"))
    usable = [
        entry for entry in stored if _lower(entry, "paymentMethod") == kind and _lower(entry, "status") == "active"
    ]
    return sorted(usable, key=lambda entry: time(entry.get("createdAt")) or _BEGINNING, reverse=True)


def _lower(entry: Mapping[str, Any], name: str) -> str:
    return (text(entry.get(name)) or "").lower()


def _same(card: Mapping[str, Any], paid: PaidCard) -> bool:
    if paid.fingerprint:
        return card.get("fingerprint") == paid.fingerprint
    visible = (paid.first8, paid.last4, paid.month, paid.year)
    return None not in visible and visible == tuple(
        card.get(name) for name in ("first8", "last4", "expMonth", "expYear")
    )


def _facts(card: Mapping[str, Any], entry: Mapping[str, Any], paid: PaidCard) -> Card:
    network = (text(card.get("network")) or text(entry.get("paymentChannel")) or "").lower()
    month, year = _number(card.get("expMonth")), _number(card.get("expYear"))
    return Card(
        brand=_BRANDS.get(network, network or "card"),
        network=network or None,
        last4=messages.text(card.get("last4"), 4),
        expiry_month=month if month and 1 <= month <= 12 else None,
        expiry_year=None if year is None else year + 2000 if year < 100 else year,
        fingerprint=text(card.get("fingerprint")),
        marks=("prepaid",) if paid.prepaid else (),
    )


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 4 else None


def _end_of(card: Card) -> datetime | None:
    """A card is good to the end of its month."""
    if card.expiry_month is None or card.expiry_year is None or not 2000 <= card.expiry_year < 9999:
        return None
    year, month = divmod(card.expiry_year * 12 + card.expiry_month, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)
