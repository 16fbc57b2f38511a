"""Antom's messages to us, and the customer who comes back. Source: gateways/antom.md section 4.

The API imports this module; it stays free of the HTTP client.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from gateways.antom import codes, keys, messages, signing
from gateways.antom.messages import Message
from gateways.antom.transformers import REFUND_STATUS
from gateways.port import Account, BadNotification, News, NewsKind, Verdict

ACKNOWLEDGED = b'{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"success"}}'
"""The body Antom wants with HTTP 200; after anything else it sends the message again, up to 8 times in a day."""

_REFUSALS = {
    "unsigned": (401, "INVALID_SIGNATURE"),
    "wrong_client": (401, "INVALID_CLIENT"),
    "bad_signature": (401, "INVALID_SIGNATURE"),
    "account_keys": (503, "SYSTEM_ERROR"),
}


def parse(account: Account, method: str, path: str, headers: Mapping[str, str], body: bytes) -> list[News]:
    """Verifies and reads one notification; an empty list is a message to acknowledge and ignore.

    `path` is path and query of the notify URL as Antom was given it, unchanged by proxies on our side. Raises
    BadNotification with `unsigned`, `wrong_client`, `bad_signature`, `account_keys` or `unreadable`.
    """
    _verify(account, method, path, {name.lower(): value for name, value in headers.items()}, body)
    try:
        message = messages.read(body)
    except messages.Unreadable as error:
        raise BadNotification("unreadable") from error
    news = _authorization(message) or _payment(message) or _refund(message)
    return [news] if news else []


def refusal(code: str) -> tuple[int, bytes]:
    """HTTP status and body for a BadNotification with this code, in Antom's own format."""
    status, result_code = _REFUSALS.get(code, (400, "PARAM_ILLEGAL"))
    result = {"resultCode": result_code, "resultStatus": "F", "resultMessage": code}
    return status, json.dumps({"result": result}, separators=(",", ":")).encode()


def from_return(query: Mapping[str, str]) -> News:
    """The customer came back from the wallet with a code: the same news as AUTHCODE_CREATED, which may come first.

    Nothing here is signed: `authorization_state` must be one we handed out. Raises BadNotification with `no_code` when
    the customer comes back without one (Antom has no redirect for "declined") and `unreadable` when it is malformed.
    """
    code, state = query.get("authCode", ""), query.get("authState", "")
    if not code:
        raise BadNotification("no_code")
    if not (state and len(code) <= 128 and len(state) <= 256 and (code + state).isprintable()):
        raise BadNotification("unreadable")
    return _authorization_code(code, state)


def _verify(account: Account, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
    client_id, sent, signature = (headers.get(name) for name in ("client-id", "request-time", "signature"))
    if not (client_id and sent and signature):
        raise BadNotification("unsigned")
    try:
        if client_id != keys.client_id(account):
            raise BadNotification("wrong_client")
        signing.verify(keys.public_key(account), method, path, client_id, sent, body, signature)
    except keys.BadKeys as error:
        raise BadNotification("account_keys") from error
    except signing.BadSignature as error:
        raise BadNotification("bad_signature") from error


def _authorization(message: Message) -> News | None:
    kind = message.code_of("authorizationNotifyType")
    if kind is None or message.status != "S":
        return None
    code, state, token = message.text("authCode", 128), message.text("authState", 256), message.text("accessToken", 128)
    if kind == "AUTHCODE_CREATED":
        return _authorization_code(_needed(code), _needed(state))
    if kind == "TOKEN_CREATED":
        token, state = _needed(token), _needed(state)
        return News(NewsKind.TOKEN_CREATED, _key(kind, _digest(token)), authorization_state=state, token=token)
    if kind == "TOKEN_CANCELED":
        token = _needed(token)
        reason = message.text("reason", 256)
        return News(NewsKind.TOKEN_CANCELED, _key(kind, _digest(token)), token=token, reason=reason)
    return None


def _authorization_code(code: str, state: str) -> News:
    key = _key("AUTHCODE_CREATED", _digest(state, code))
    return News(NewsKind.AUTHORIZATION_CODE, key, authorization_state=state, code=code)


def _payment(message: Message) -> News | None:
    kind = message.code_of("notifyType")
    if kind not in ("PAYMENT_RESULT", "PAYMENT_PENDING"):
        return None
    request_id = _needed(message.text("paymentRequestId"))
    payment_id, amount = message.text("paymentId"), message.money("paymentAmount")
    verdict = _payment_verdict(message) if kind == "PAYMENT_RESULT" else Verdict.PROCESSING
    if verdict is Verdict.SUCCEEDED and amount is None:
        raise BadNotification("unreadable")
    return News(
        NewsKind.PAYMENT,
        _key(kind, payment_id or request_id, message.status),
        request_id=request_id,
        payment_id=payment_id,
        verdict=verdict,
        amount=amount,
        decline=codes.decline(message.code) if verdict in (Verdict.DECLINED, Verdict.CANCELED) else None,
        reason=message.code,
    )


def _payment_verdict(message: Message) -> Verdict:
    """Paid is PAYMENT_RESULT with S and nothing weaker; what is neither paid nor failed is worth an inquiry."""
    if message.status == "F" and message.code == "ORDER_IS_CANCELED":
        return Verdict.CANCELED
    if message.status == "S":
        return Verdict.SUCCEEDED
    undecided = codes.IN_PROGRESS | codes.OUTCOME_UNKNOWN
    return Verdict.DECLINED if message.status == "F" and message.code not in undecided else Verdict.UNKNOWN


def _refund(message: Message) -> News | None:
    if message.code_of("notifyType") != "REFUND_RESULT":
        return None
    request_id = _needed(message.text("refundRequestId"))
    status = _needed(message.code_of("refundStatus"))
    verdict = REFUND_STATUS.get(status, Verdict.UNKNOWN)
    return News(
        NewsKind.REFUND,
        _key("REFUND_RESULT", message.text("refundId") or request_id, status),
        request_id=request_id,
        payment_id=message.text("paymentId"),
        verdict=verdict,
        amount=message.money("refundAmount"),
        decline=codes.decline(message.code) if verdict is Verdict.DECLINED else None,
        reason=message.code,
    )


def _needed(value: str | None) -> str:
    if value is None:
        raise BadNotification("unreadable")
    return value


def _key(*parts: str) -> str:
    return ":".join(parts)


def _digest(*secrets: str) -> str:
    return hashlib.sha256("\0".join(secrets).encode()).hexdigest()
