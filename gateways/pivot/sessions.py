"""Payment sessions and their charges as Pivot shows them. Source: gateways/pay-and-save.md §2.7 to §2.9, §3.2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agreements.money import Money
from gateways.pivot import messages
from gateways.pivot.messages import Unreadable, code, mapping, objects, text, time


@dataclass(frozen=True)
class PaidCard:
    """The card a charge was made with, as far as needed to find its token."""

    fingerprint: str | None
    first8: str | None
    last4: str | None
    month: str | None
    year: str | None
    prepaid: bool = False


@dataclass(frozen=True)
class ChargeOf:
    """One charge of a session. `issuer_code` is the bank's, "00" on approval."""

    status: str
    amount: Money | None
    failure_code: str | None
    issuer_code: str | None
    card: PaidCard | None
    paid_at: datetime | None


@dataclass(frozen=True)
class Session:
    """A payment session; `attended` where the customer pays on a page, Pivot's or ours."""

    id: str
    reference: str
    status: str
    attended: bool
    amount: Money | None
    charges: tuple[ChargeOf, ...]
    cancellation_reason: str | None
    payment_url: str | None
    encryption_key: str | None
    customer_id: str | None
    expires_at: datetime | None
    updated_at: datetime | None
    state: str | None
    """The authorization the page was opened for; we put it into the metadata."""


def read(data: object) -> Session:
    """Raises Unreadable where id, reference or status is missing."""
    fields = mapping(data)
    session_id, reference, status = text(fields.get("id")), text(fields.get("clientReferenceId")), fields.get("status")
    if session_id is None or reference is None or code(status) is None:
        raise Unreadable("not a payment session")
    return Session(
        id=session_id,
        reference=reference,
        status=str(status),
        # Debits are confirmed in the call that creates them; only a page of ours has a session wait for a card.
        attended=fields.get("mode") == "REDIRECT" or fields.get("autoConfirm") is False,
        amount=messages.money(fields.get("amount")),
        charges=tuple(_charge(charge) for charge in objects(fields.get("chargeDetails"))),
        cancellation_reason=code(fields.get("cancellationReason")),
        payment_url=text(fields.get("paymentUrl"), 4096),
        encryption_key=text(fields.get("encryptionKey"), 1024),
        customer_id=text(fields.get("customerId"), 255),
        expires_at=time(fields.get("expiryAt")),
        updated_at=time(fields.get("updatedAt")),
        state=text(mapping(fields.get("metadata")).get("state"), 256),
    )


def _charge(fields: Mapping[str, Any]) -> ChargeOf:
    card = fields.get("card")
    authorization = mapping(mapping(card).get("authorizationResult"))
    taken = messages.money(fields.get("capturedAmount")) or messages.money(fields.get("amount"))
    return ChargeOf(
        status=code(fields.get("status")) or "missing",
        amount=taken,
        failure_code=code(fields.get("failureCode")),
        issuer_code=code(authorization.get("issuerAuthorizationCode")),
        card=_card(card) if isinstance(card, dict) else None,
        paid_at=time(fields.get("paidAt")),
    )


def _card(fields: Mapping[str, Any]) -> PaidCard:
    return PaidCard(
        fingerprint=text(fields.get("fingerprint")),
        first8=text(fields.get("first8")),
        last4=text(fields.get("last4")),
        month=text(fields.get("expMonth")),
        year=text(fields.get("expYear")),
        prepaid=mapping(fields.get("binInformations")).get("type") == "PREPAID",
    )
