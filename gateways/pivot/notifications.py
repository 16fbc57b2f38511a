"""Pivot's callbacks, and the customer who comes back. Source: gateways/pay-and-save.md §5.

A callback carries a static key and no signature, so it proves nothing about money: all news made of it has the verdict
UNKNOWN and means "look now"; what it says is passed on as a claim. The API imports this module; it stays free of the
HTTP client.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from gateways.pivot import keys, messages, references, sessions
from gateways.pivot.messages import Unreadable
from gateways.port import Account, BadNotification, News, NewsKind, Verdict

ACKNOWLEDGED = b'{"code":"00","message":"Success"}'
"""Pivot looks at HTTP 200 only; after 408, 429 and 5xx it sends the message again, six times in a day."""

_PAYMENTS = {
    "PAYMENT.PROCESSING": Verdict.PROCESSING,
    "PAYMENT.PAID": Verdict.SUCCEEDED,
    "PAYMENT.SUCCESS": Verdict.SUCCEEDED,
    "PAYMENT.CANCELLED": Verdict.DECLINED,
}
_REFUNDS = {
    "REFUND.PENDING": Verdict.PROCESSING,
    "REFUND.WAITING_BANK_TRANFER": Verdict.PROCESSING,
    "REFUND.WAITING_BANK_TRANSFER": Verdict.PROCESSING,
    "REFUND.SUCCESS": Verdict.SUCCEEDED,
    "REFUND.FAILED": Verdict.DECLINED,
}
_REFUSALS = {"unsigned": 401, "bad_signature": 401, "account_keys": 503}
_OUTCOMES = ("success", "failure", "expired")


def parse(account: Account, method: str, path: str, headers: Mapping[str, str], body: bytes) -> list[News]:
    """Verifies and reads one callback; an empty list is one to acknowledge and ignore.

    Raises BadNotification with `unsigned`, `bad_signature`, `account_keys` or `unreadable`.
    """
    _verify(account, {name.lower(): value for name, value in headers.items()})
    try:
        message = messages.parse(body)
        event, data = messages.text(message.get("event")) or "", messages.mapping(message.get("data"))
        if event in _PAYMENTS:
            return _payment(event, data)
        if event in _REFUNDS:
            return [_refund(event, data)]
    except Unreadable as error:
        raise BadNotification("unreadable") from error
    return []


def refusal(code: str) -> tuple[int, bytes]:
    """HTTP status and body for a BadNotification. Pivot does not repeat what we refuse with 4xx."""
    return _REFUSALS.get(code, 400), json.dumps({"code": code}, separators=(",", ":")).encode()


def from_return(query: Mapping[str, str]) -> News:
    """The customer is back from Pivot's page, by whichever of our three addresses: look what became of the session.

    Nothing here is signed and no code comes along: `authorization_state` must be one we handed out, and the session is
    the one whose handle we hold. Raises BadNotification with `no_code` for an address that is not one of the three.
    """
    state, outcome = query.get("state", ""), query.get("pivot", "")
    if outcome not in _OUTCOMES or not state:
        raise BadNotification("no_code")
    if len(state) > 256 or not state.isprintable():
        raise BadNotification("unreadable")
    return News(
        NewsKind.AUTHORIZATION_CODE, f"return:{outcome}:{_digest(state)}", authorization_state=state, reason=outcome
    )


def _verify(account: Account, headers: Mapping[str, str]) -> None:
    given = headers.get("x-api-key", "")
    if not given:
        raise BadNotification("unsigned")
    try:
        expected = keys.callback_api_key(account)
    except keys.BadKeys as error:
        raise BadNotification("account_keys") from error
    if not hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
        raise BadNotification("bad_signature")


def _payment(event: str, data: Mapping[str, Any]) -> list[News]:
    session = sessions.read(data)
    key = _key(event, session.id, session.status, data)
    if session.attended and session.state:
        if _PAYMENTS[event] is Verdict.PROCESSING:
            return []  # the customer is at it; there is nothing to fetch yet
        return [
            News(
                NewsKind.AUTHORIZATION_CODE,
                key,
                authorization_state=session.state,
                code=session.id,
                request_id=references.decoded(session.reference),
                reason=event,
            )
        ]
    return [
        News(
            NewsKind.PAYMENT,
            key,
            request_id=references.decoded(session.reference),
            payment_id=session.id,
            verdict=Verdict.UNKNOWN,
            claims=_PAYMENTS[event],
            reason=event,
        )
    ]


def _refund(event: str, data: Mapping[str, Any]) -> News:
    refund_id, reference = messages.text(data.get("id")), messages.text(data.get("clientReferenceId"))
    status = messages.code(data.get("status"))
    if refund_id is None or reference is None or status is None:
        raise Unreadable("not a refund")
    return News(
        NewsKind.REFUND,
        _key(event, refund_id, status, data),
        request_id=references.decoded(reference),
        payment_id=messages.text(data.get("paymentSessionId")),
        verdict=Verdict.UNKNOWN,
        claims=_REFUNDS[event],
        reason=event,
    )


def _key(event: str, about: str, status: str, data: Mapping[str, Any]) -> str:
    return ":".join((event, about, status, messages.text(data.get("updatedAt")) or ""))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
