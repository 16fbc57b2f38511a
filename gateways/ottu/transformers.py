"""Pure translation of Ottu's answers into the port's. Source: gateways/ottu.md §2.7, §3, §6, §8.

Payments are decided by `result` and `state` together, never by the HTTP status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agreements.declines import Decline
from gateways.ottu import codes, sessions
from gateways.ottu.messages import Answer, Message, NoAnswer
from gateways.port import Card, ChargeAnswer, ChargeRequest, RefundRequest, ReversalAnswer, Token, TokenAnswer, Verdict

OPEN = frozenset({"created", "pending", "attempted"})
"""The session can still be paid."""
UNPAID = frozenset({"attempted", "failed", "expired"})
"""No money moved as far as Ottu knows; it may learn better (gateways/ottu.md §2.7)."""
CLOSED = {
    "canceled": Verdict.SUCCEEDED,
    **dict.fromkeys(("paid", "failed", "expired"), Verdict.DECLINED),
}
"""What a wish to cancel comes to in states in which nothing can be canceled any more."""
_REFUND_STATE = {
    "refunded": Verdict.SUCCEEDED,
    "refund_queued": Verdict.PROCESSING,
    "refund_rejected": Verdict.DECLINED,
}
_NETWORKS = {"master card": "mastercard", "mc": "mastercard", "american express": "amex"}


def verdict(result: str | None, state: str | None) -> Verdict:
    """What an attempt came to. What does not fit together, and every error, is to be asked about."""
    if (result, state) == ("success", "paid"):
        return Verdict.SUCCEEDED
    if (result, state) == ("success", "authorized") or (result == "pending" and state in OPEN):
        return Verdict.PROCESSING
    if result in ("failed", "canceled") and state in UNPAID:
        return Verdict.DECLINED
    if state == "canceled" and result in ("failed", "canceled"):
        return Verdict.CANCELED
    return Verdict.UNKNOWN


@dataclass(frozen=True)
class Opened:
    """A session just made, for a page or for a debit."""

    verdict: Verdict
    handle: str | None = None
    url: str | None = None
    decline: Decline | None = None
    evidence: str = ""


def opened(answer: Answer | NoAnswer, sent: Mapping[str, Any]) -> Opened:
    """Reads the answer to a session's creation. No money has moved, so a refusal is one."""
    if isinstance(answer, NoAnswer):
        return Opened(Verdict.UNKNOWN, evidence=answer.evidence)
    if not answer.accepted:
        evidence = ":".join(filter(None, (f"http_{answer.status}", codes.field_names(answer.body))))
        return Opened(Verdict.DECLINED, decline=codes.refused_request(answer.status, answer.body), evidence=evidence)
    session = Message(answer.body if isinstance(answer.body, dict) else {})
    handle = session.handle("session_id")
    if handle is None or session.state is None:
        return Opened(Verdict.UNKNOWN, evidence="unreadable")
    echoed = ("currency_code", "order_no", "customer_id")
    other = any(session.value(name) not in (None, sent[name]) for name in echoed)
    if other or session.money() not in (None, Message(sent).money()):
        return Opened(Verdict.UNKNOWN, evidence="not_what_was_asked")
    if session.value("operation") == codes.AUTHORIZE_ONLY:
        return Opened(Verdict.DECLINED, handle, decline=codes.decline(codes.AUTHORIZE_ONLY), evidence="authorize")
    return Opened(Verdict.SUCCEEDED, handle, session.text("checkout_url", limit=2048), evidence=session.state)


def charged(message: Message, request: ChargeRequest) -> ChargeAnswer:
    """Reads a verified answer to auto-debit. Only a success of exactly our session and amount counts as one."""
    if not is_about(message, request.request_id, request.handle):
        return ChargeAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    found = payment(message)
    if found.verdict is Verdict.SUCCEEDED and found.amount != request.amount:
        return ChargeAnswer(Verdict.UNKNOWN, found.payment_id, amount=found.amount, evidence="amount_mismatch")
    return found


def payment(message: Message) -> ChargeAnswer:
    """Reads a verified payment, answer or webhook, that is about the right session."""
    found, session_id = verdict(message.result, message.state), message.handle("session_id")
    evidence = f"{message.result}:{message.state}"
    if found is Verdict.SUCCEEDED:
        taken = message.taken()
        if taken is None:
            return ChargeAnswer(Verdict.UNKNOWN, session_id, evidence="amount_mismatch")
        return ChargeAnswer(found, session_id, amount=taken, evidence=evidence)
    if found is Verdict.DECLINED and codes.gateway_code(message) in codes.UNDECIDED:
        return ChargeAnswer(Verdict.UNKNOWN, session_id, evidence=f"{evidence}:{codes.gateway_code(message)}")
    refusal = codes.refusal(message) if found in (Verdict.DECLINED, Verdict.CANCELED) else None
    return ChargeAnswer(found, session_id, refusal, message.money(), evidence)


def inquired(message: Message, request_id: str, handle: str | None) -> ChargeAnswer:
    """Reads a verified status query, for which Ottu asked the gateway: a failure it still reports is one."""
    if not is_about(message, request_id, handle):
        return ChargeAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    found = payment(message)
    if found.verdict is Verdict.UNKNOWN and message.result in ("failed", "error") and message.state in UNPAID:
        return ChargeAnswer(Verdict.DECLINED, found.payment_id, codes.refusal(message), message.money(), found.evidence)
    return found


def retrieved(session: Message, request_id: str, handle: str) -> ChargeAnswer:
    """Reads a session, which is not signed and knows no attempts. UNKNOWN, with the state for evidence, where only a
    status query can tell (gateways/ottu.md §3.5).
    """
    if not is_about(session, request_id, handle):
        return ChargeAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    state, amount = session.state or "missing", session.taken()
    if state == "paid":
        if amount is None:
            return ChargeAnswer(Verdict.UNKNOWN, handle, evidence="amount_mismatch")
        return ChargeAnswer(Verdict.SUCCEEDED, handle, amount=amount, evidence=state)
    if state == "created":
        return ChargeAnswer(Verdict.NOT_FOUND, handle, evidence=state)
    if state == "canceled":
        return ChargeAnswer(Verdict.CANCELED, handle, codes.decline("canceled"), amount, state)
    return ChargeAnswer(Verdict.PROCESSING if state == "authorized" else Verdict.UNKNOWN, handle, None, amount, state)


def refused_debit(session: Message, request: ChargeRequest, fields: Mapping[str, Any]) -> ChargeAnswer:
    """Reads the session after auto-debit was refused with HTTP 400, which tells a wrong state from a decline."""
    found = retrieved(session, request.request_id, request.handle or "")
    if found.evidence in ("created", "canceled") or found.evidence in UNPAID:
        refusal = codes.refused_request(400, fields)
        return ChargeAnswer(Verdict.DECLINED, found.payment_id, refusal, found.amount, f"http_400:{found.evidence}")
    if found.verdict is Verdict.SUCCEEDED and found.amount != request.amount:
        return ChargeAnswer(Verdict.UNKNOWN, found.payment_id, amount=found.amount, evidence="amount_mismatch")
    return found


def first_payment(session: Message, handle: str) -> ChargeAnswer:
    """What the customer's own payment came to. A failed try is not the end as long as the page can be paid: NOT_FOUND,
    and the customer may go on there.
    """
    if session.value("session_id") not in (None, handle):
        return ChargeAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    state, amount = session.state or "missing", session.taken()
    if state == "paid" and amount is not None:
        return ChargeAnswer(Verdict.SUCCEEDED, handle, amount=amount, evidence=state)
    if state in ("created", "attempted"):
        return ChargeAnswer(Verdict.NOT_FOUND, handle, amount=amount, evidence=state)
    if state in OPEN or state == "authorized":
        return ChargeAnswer(Verdict.PROCESSING, handle, amount=amount, evidence=state)
    if state == "canceled":
        return ChargeAnswer(Verdict.CANCELED, handle, codes.decline("canceled"), amount, state)
    if state in ("failed", "expired", "invalided"):
        refusal = codes.decline("failed" if state == "failed" else "canceled")
        return ChargeAnswer(Verdict.DECLINED, handle, refusal, amount, state)
    return ChargeAnswer(Verdict.UNKNOWN, handle, amount=amount, evidence=state)


def token(cards: object, agreement_id: str, paid: ChargeAnswer) -> TokenAnswer:
    """Reads the list of cards for an agreement: the one Ottu linked to it, at most."""
    if not isinstance(cards, list):
        return TokenAnswer(Verdict.UNKNOWN, payment=paid, evidence="unreadable")
    for card in [Message(each) for each in cards if isinstance(each, dict)]:
        linked = card.value("agreements")
        value, pg_code = card.text("token", limit=50), card.text("pg_code")
        if value and pg_code and (not isinstance(linked, list) or agreement_id in linked):
            return TokenAnswer(Verdict.SUCCEEDED, _token(card, value, pg_code), paid, evidence=paid.evidence)
    return TokenAnswer(Verdict.DECLINED, payment=paid, decline=codes.decline("no_token"), evidence="no_token")


def refunded(message: Message, request: RefundRequest) -> ReversalAnswer:
    """Reads a verified answer to a refund: of the operation, or, for a repeated tracking key, its child payment."""
    txn = message.value("txn")
    child = Message(txn) if isinstance(txn, dict) else message
    state, refund_id = child.state or "missing", child.handle("session_id")
    parent = message.value("session_id")
    about_another = child is not message and parent not in (None, request.payment_id)
    if about_another or child.money() not in (None, request.amount):
        return ReversalAnswer(
            Verdict.UNKNOWN, refund_id, evidence="id_mismatch" if about_another else "amount_mismatch"
        )
    found = refund_verdict(message.result, state)
    refusal = codes.decline("failed") if found is Verdict.DECLINED else None
    return ReversalAnswer(found, refund_id, refusal, f"{message.result}:{state}")


def refund_verdict(result: str | None, state: str) -> Verdict:
    """What a refund came to, by the state of its child; `result` may be missing or, of a queued one, either word."""
    found = _REFUND_STATE.get(state, Verdict.UNKNOWN)
    return Verdict.UNKNOWN if found is Verdict.SUCCEEDED and result not in ("success", None) else found


def closed(answer: Answer | NoAnswer) -> ReversalAnswer:
    """Reads the answer to a cancel. A refusal means that the state has just changed: look again."""
    if isinstance(answer, NoAnswer):
        return ReversalAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
    done = answer.accepted and isinstance(answer.body, dict) and answer.body.get("result") == "success"
    return ReversalAnswer(Verdict.SUCCEEDED if done else Verdict.UNKNOWN, evidence=f"http_{answer.status}")


def voided(message: Message | NoAnswer) -> ReversalAnswer:
    """Reads a verified answer to a void, or to its repeat."""
    if isinstance(message, NoAnswer):
        return ReversalAnswer(Verdict.UNKNOWN, evidence=message.evidence)
    state = message.code("txn", "state") or message.state or "missing"
    return ReversalAnswer(Verdict.SUCCEEDED if state == "voided" else Verdict.UNKNOWN, evidence=state)


def is_about(message: Message, request_id: str, handle: str | None) -> bool:
    """Whether a message is about our session: what it says of its names, one at least, is what we call it."""
    names = {"session_id": handle, "order_no": sessions.order_no(request_id)}
    said = {name: message.text(name) for name in names if message.value(name) is not None}
    return bool(said) and all(names[name] in (None, value) for name, value in said.items())


def _token(card: Message, value: str, pg_code: str) -> Token:
    month, year = _number(card.value("expiry_month")), _number(card.value("expiry_year"))
    year = year + 2000 if year is not None and year < 100 else year
    dated = month is not None and year is not None and 1 <= month <= 12 and 2000 <= year <= 2999
    digits = "".join(each for each in card.text("number") or "" if each in "0123456789")
    brand = card.text("brand", limit=32) or "card"
    return Token(
        access_token=value,
        expires_at=_end_of(year, month) if dated and month and year else None,
        label=card.text("number", limit=32),
        card=Card(
            brand=brand,
            network=_NETWORKS.get(brand.lower(), brand.lower()),
            last4=digits[-4:] if len(digits) >= 4 else None,
            expiry_month=month if dated else None,
            expiry_year=year if dated else None,
        ),
        reference=pg_code,
    )


def _end_of(year: int, month: int) -> datetime:
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


def _number(value: object) -> int | None:
    text = str(value) if not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None
