"""Ottu's webhooks, and the customer who comes back. Source: gateways/ottu.md §2.1, §7.

The API imports this module; it stays free of the HTTP client. The standard signature covers amount, currency, order
number, result and state, but neither the session nor the token: nothing else here is believed. What a customer's
payment brought is fetched by its session (`exchange`), and a request id must fit the order number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from gateways.ottu import codes, keys, messages, sessions, signing, transformers
from gateways.ottu.messages import Message
from gateways.port import Account, BadNotification, News, NewsKind, Verdict

ACKNOWLEDGED = b"{}"
"""With HTTP 200 the customer is sent back to us. Anything else is final too: Ottu repeats only what timed out."""

_REFUSALS = {"unsigned": 401, "bad_signature": 401, "account_keys": 503}
_OPERATIONS = frozenset({"refund", "refunded", "refund_queued", "refund_rejected"})


def parse(account: Account, method: str, path: str, headers: Mapping[str, str], body: bytes) -> list[News]:
    """Verifies and reads one webhook; an empty list is a message to acknowledge and ignore.

    Raises BadNotification with `unsigned`, `bad_signature`, `account_keys` or `unreadable`.
    """
    message = _verified(account, body)
    if message.value("txn") is not None or message.value("operation") is not None:
        return _operation(message)
    return _payment(message)


def refusal(code: str) -> tuple[int, bytes]:
    """HTTP status and body for a BadNotification with this code."""
    return _REFUSALS.get(code, 400), json.dumps({"detail": code}).encode()


def from_return(query: Mapping[str, str]) -> News:
    """The customer came back from Ottu's page, whatever became of the payment: time to fetch it.

    Nothing here is signed: `authorization_state` must be one we handed out, and `code`, the session's handle, the one
    that was opened for it. Raises BadNotification with `no_code`, `unreadable`.
    """
    if "session_id" not in query:
        raise BadNotification("no_code")
    back = Message(query)
    state, handle = _needed(back.text("state", limit=256)), _needed(back.handle("session_id"))
    return _paid_page(state, handle, back.text("reference_number") or "", None)


def _verified(account: Account, body: bytes) -> Message:
    try:
        parsed = messages.parsed(body)
        if isinstance(parsed, dict) and not parsed.get("signature"):
            raise BadNotification("unsigned")
        return messages.verified(parsed, keys.hmac_key(account))
    except keys.BadKeys as error:
        raise BadNotification("account_keys") from error
    except messages.Unreadable as error:
        raise BadNotification("unreadable") from error
    except signing.BadSignature as error:
        raise BadNotification("bad_signature") from error


def _payment(message: Message) -> list[News]:
    order_no, handle = _needed(message.text("order_no")), _needed(message.handle("session_id"))
    result, state = _needed(message.result), _needed(message.state)
    reference = message.text("reference_number") or ""
    by_customer = message.text("extra", "authorization_state", limit=256)
    answer = transformers.payment(message)
    verdict, decline = answer.verdict, answer.decline
    if by_customer and state in transformers.OPEN:
        # The page can still be paid: a failed try of the customer's is not the end of the payment.
        verdict, decline = Verdict.PROCESSING, None
    request_id = _request_id(message, order_no)
    news = News(
        NewsKind.PAYMENT,
        ":".join(("PAYMENT", handle, reference, result, state)),
        request_id=request_id,
        payment_id=handle,
        verdict=verdict,
        amount=answer.amount,
        decline=decline,
        reason=answer.evidence,
    )
    if not by_customer or state in transformers.OPEN:
        return [news]
    return [_paid_page(by_customer, handle, f"{reference}:{state}", request_id), news]


def _operation(message: Message) -> list[News]:
    """A refund, ours or one made in the dashboard; the parent's state does not change. Other operations are no news:
    we wait for the answers of our own.
    """
    state = message.code("txn", "state") or ""
    if message.code("operation") not in (None, "refund") or state not in _OPERATIONS:
        return []
    handle, refund_id = _needed(message.handle("session_id")), _needed(message.handle("txn", "session_id"))
    verdict = transformers.refund_verdict(message.result, state)
    return [
        News(
            NewsKind.REFUND,
            ":".join(("REFUND", refund_id, message.result or "", state)),
            payment_id=handle,
            reversal_id=refund_id,
            verdict=verdict,
            amount=message.money_of("txn"),
            decline=codes.decline("failed") if verdict is Verdict.DECLINED else None,
            reason=state,
        )
    ]


def _paid_page(state: str, handle: str, moment: str, request_id: str | None) -> News:
    key = hashlib.sha256("\0".join((state, handle, moment)).encode(errors="surrogatepass")).hexdigest()
    return News(
        NewsKind.AUTHORIZATION_CODE,
        f"CHECKOUT:{key}",
        authorization_state=state,
        code=handle,
        request_id=request_id,
    )


def _request_id(message: Message, order_no: str) -> str:
    """Our request id: the order number, or what was shortened to it."""
    sent = message.text("extra", "request_id", limit=256)
    return sent if sent and sessions.order_no(sent) == order_no else order_no


def _needed(value: str | None) -> str:
    if value is None:
        raise BadNotification("unreadable")
    return value
