"""Pivot's simulation cards and wallet numbers, and what each of them does (gateways/pay-and-save.md §6.4, §8)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

NAMESPACE = uuid.UUID("7a6c1a52-0f0b-5c86-9d3e-2b6d6f6f7069")
DEFAULT_CARD = "4440000112290002"
"""What the pages pay with when nothing else is entered: success after the challenge."""


@dataclass(frozen=True)
class Outcome:
    """How a charge ends. `failure` is Pivot's failureCode, `issuer` its bank's code, None when not asked."""

    failure: str | None = None
    issuer: str | None = "00"
    review: bool = False
    """The risk engine defers: processing until somebody decides."""
    frictionless: bool = False
    foreign: bool = False
    """Issued abroad: without 3-D Secure it needs a billing address."""


SUCCESS = Outcome()
EXPIRED_CARD = Outcome("DECLINED_BY_CHANNEL", "54")
NOT_AUTHENTICATED = Outcome("AUTHENTICATION_FAILED", None)
CANCELLED_BY_USER = Outcome("CANCELLED_BY_USER", None)
BLOCKED_BY_FDS = Outcome("BLOCKED_BY_FDS", None)
REQUIRE_REVIEW = Outcome(review=True)

_ROWS = (
    (Outcome(frictionless=True), "4440000112200001", "5550000112230001", "3550000112280001"),
    (SUCCESS, "4440000112290002", "5550000112220002", "3550000112270002"),
    (Outcome("DECLINED_BY_CHANNEL", "05"), "4440000334480001", "5550000334410001", "3550000334460001"),
    (EXPIRED_CARD, "4440000334470002", "5550000334400002", "3550000334450002"),
    (Outcome("DECLINED_BY_CHANNEL", "82"), "4440000334460003", "5550000334490003", "3550000334440003"),
    (Outcome("INVALID_ACCOUNT", "14"), "4440000334450004", "5550000334480004", "3550000334430004"),
    (NOT_AUTHENTICATED, "4440000334440005", "5550000334470005", "3550000334420005"),
    (Outcome("SUSPECTED_FRAUD", "43"), "4440000334430006", "5550000334460006", "3550000334410006"),
    (Outcome("SUSPECTED_FRAUD", "59"), "4440000334420007", "5550000334450007", "3550000334400007"),
    (BLOCKED_BY_FDS, "4440000334410008", "5550000334440008", "3550000334490008"),
    (REQUIRE_REVIEW, "4440000334400009", "5550000334430009", "3550000334480009"),
    (Outcome("INSUFFICIENT_FUND", "51"), "4440000334470010", "5550000334400010", "3550000334450010"),
    (Outcome("CHANNEL_UNAVAILABLE", "91"), "4440000334460011", "5550000334490011", "3550000334440011"),
    (CANCELLED_BY_USER, "4440000334450012", "5550000334480012", "3550000334430012"),
    (Outcome(foreign=True), "4448100334430014", "5558100334460014", "3558100334410014"),
)
SIMULATION = {number: outcome for outcome, *numbers in _ROWS for number in numbers}

FAILURES = {
    "DECLINED_BY_CHANNEL": "01 03 05 06 12 13 22 40 54 57 61 62 63 64 65 6P 70 82 92 93 100 101 109 110 115 N7",
    "INVALID_ACCOUNT": "14 15 21 46 52 53 78 79 111",
    "SUSPECTED_FRAUD": "04 07 41 43 200 34 59 83",
    "INSUFFICIENT_FUND": "51 116 121",
    "CHANNEL_UNAVAILABLE": "19 80 90 91 96 911",
    "AUTHENTICATION_FAILED": "",
    "CANCELLED_BY_USER": "",
    "BLOCKED_BY_FDS": "",
}
"""Every failureCode a charge may end with and the issuer codes behind it (§6.3); expiry is not decided by a card."""
USUAL_ISSUER_CODE = {
    "DECLINED_BY_CHANNEL": "05",
    "INVALID_ACCOUNT": "14",
    "SUSPECTED_FRAUD": "43",
    "INSUFFICIENT_FUND": "51",
    "CHANNEL_UNAVAILABLE": "91",
}

WALLET_OUTCOMES = {
    "08111111001": "SUCCESS",
    "08111111002": "PROCESSING",
    "08111111003": "FAILED",
    "08111111004": "EXPIRED",
}
"""Charge status by the phone number entered at the wallet."""
DEFAULT_PHONE = "08111111001"

AVS_BY_STREET = {
    "alpha street": "SERVICE_NOT_AVAILABLE_RET",
    "bravo street": "NOT_AVAILABLE",
    "charlie street": "DEFERRED_TRANSACTION_RECE",
    "delta street": "NO_MATCH",
    "echo street": "ZIP_MATCH",
    "foxtrot street": "ADDRESS_MATCH",
    "golf street": "ADDRESS_ZIP_MATCH",
    "hotel street": "NAME_MATCH",
    "india street": "NAME_ZIP_MATCH",
    "juliett street": "NAME_ADDRESS_MATCH",
    "kilo street": "SERVICE_NOT_SUPPORTED",
    "lima street": "NOT_REQUESTED",
    "mike street": "NOT_VERIFIED",
}


def of_card(number: str, month: str, year: str, now: datetime) -> Outcome:
    """How a charge of this card ends, the customer authenticated: by its number, unless it has expired by now."""
    return EXPIRED_CARD if now >= expires_at(month, year) else SIMULATION.get(number, SUCCESS)


def without_authentication(outcome: Outcome) -> Outcome:
    """The same where 3-D Secure is skipped: what only its page could bring about does not happen (§8)."""
    if outcome in (NOT_AUTHENTICATED, CANCELLED_BY_USER):
        return SUCCESS
    return replace(outcome, frictionless=False)


def expires_at(month: str, year: str) -> datetime:
    """The first instant at which a card valid through MM/YY is expired, UTC."""
    turn, rest = divmod(int(month), 12)
    return datetime(2000 + int(year) + turn, rest + 1, 1, tzinfo=UTC)


def brand(number: str) -> str:
    """The network of a card number, as Pivot spells it."""
    return {"4": "VISA", "5": "MASTERCARD"}.get(number[0], "JCB")


def fingerprint(number: str) -> str:
    """The same for the same card number, also after it was renewed, and no way back to it."""
    return str(uuid.uuid5(NAMESPACE, number))


def is_card_number(text: str) -> bool:
    """13 to 19 digits with a correct check digit."""
    if not (text.isascii() and text.isdigit() and 13 <= len(text) <= 19):
        return False
    digits = [int(digit) for digit in reversed(text)]
    return sum(digits[::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0
