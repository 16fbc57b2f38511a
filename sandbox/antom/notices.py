"""Antom's notifications: bodies, signature, and when they are sent again (gateways/antom.md §4)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sqlalchemy.orm import Session

from gateways.antom.signing import sign
from sandbox.agenda import NOW
from sandbox.antom.answers import amount, iso, result
from sandbox.antom.state import Client, Consult, Credential, Payment, Refund
from sandbox.clocks import Moment
from sandbox.notifier import LATE, OVERTAKEN_BY, Dialect, Notification, Notifier
from sandbox.wire import News

WAITS = tuple(timedelta(minutes=minutes) for minutes in (2, 10, 10, 60, 120, 360, 900))
"""Between the eight sends; the first goes out at once."""
ACKNOWLEDGED = {"result": {"resultCode": "SUCCESS", "resultStatus": "S", "resultMessage": "success"}}
"""The only body that stops the resending."""


def dialect(key: RSAPrivateKey, resend: bool) -> Dialect:
    """How Antom notifies."""

    def headers(message: Notification, path: str, now: datetime) -> dict[str, str]:
        time = iso(now) or ""
        return {
            "content-type": "application/json; charset=UTF-8",
            "client-id": message.client_id,
            "request-time": time,
            "signature": sign(key, "POST", path, message.client_id, time, message.body.encode()),
        }

    return Dialect(WAITS if resend else (), headers, _acknowledges)


def _acknowledges(response: httpx.Response) -> bool:
    try:
        return response.status_code == 200 and response.json() == ACKNOWLEDGED
    except ValueError:
        return False


class Notices:
    """Queues Antom's notifications. A merchant without any notify URL is not notified."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def code_created(self, session: Session, moment: Moment, consult: Consult) -> int | None:
        """AUTHCODE_CREATED, sent without delay since the customer waits; the notification's number."""
        body = {
            "authorizationNotifyType": "AUTHCODE_CREATED",
            "authCode": consult.auth_code,
            "authState": consult.auth_state,
            "result": _success(),
        }
        return self._queue(session, moment, consult.client_id, consult.notify_url, body, hold=NOW)

    def token_canceled(self, session: Session, moment: Moment, credential: Credential, reason: str) -> None:
        """TOKEN_CANCELED: the echo of a revoke, or the payer's own."""
        body = {
            "authorizationNotifyType": "TOKEN_CANCELED",
            "accessToken": credential.access_token,
            "reason": reason,
            "result": _success(),
        }
        self._queue(session, moment, credential.client_id, credential.notify_url, body)

    def payment_result(
        self, session: Session, moment: Moment, payment: Payment, after: timedelta = NOW, code: str | None = None
    ) -> None:
        """PAYMENT_RESULT, travelling as the payment's script says."""
        code = code or payment.code
        body = _payment(payment, "PAYMENT_RESULT", code)
        news = News[payment.news]
        where = session, moment, payment.client_id, payment.notify_url
        if news is News.SHUFFLED:
            # The payment's two messages in the wrong order: a merchant must not fall back to "pending".
            self._queue(*where, body, after=after)
            self._queue(*where, _payment(payment, "PAYMENT_PENDING", "SUCCESS"), after=after, hold=OVERTAKEN_BY)
        else:
            wait = after + LATE if news is News.LATE else after
            self._queue(*where, body, after=wait, copies=2 if news is News.DOUBLE else 1)

    def canceled(self, session: Session, moment: Moment, payment: Payment) -> None:
        """PAYMENT_RESULT of a payment that was paid and is canceled now; whether Antom sends one is unverified."""
        body = _payment(payment, "PAYMENT_RESULT", "ORDER_IS_CANCELED")
        self._queue(session, moment, payment.client_id, payment.notify_url, body)

    def refund_result(self, session: Session, moment: Moment, refund: Refund, *, of_payment: str | None = None) -> None:
        """REFUND_RESULT. `of_payment` says which payment a refund made on the portal is of; invented, since without it
        no merchant could tell, and Antom's page does not mention refunds of the portal."""
        body = {
            "notifyType": "REFUND_RESULT",
            "result": result(refund.code),
            "refundStatus": refund.status,
            "paymentId": of_payment,
            "refundRequestId": refund.request_id,
            "refundId": refund.refund_id,
            "refundAmount": amount(refund.currency, refund.value),
            "refundTime": iso(refund.done),
        }
        self._queue(session, moment, refund.client_id, refund.notify_url, body)

    def _queue(
        self,
        session: Session,
        moment: Moment,
        client_id: str,
        url: str | None,
        body: dict[str, Any],
        *,
        after: timedelta = NOW,
        copies: int = 1,
        hold: timedelta | None = None,
    ) -> int | None:
        target = url or session.get_one(Client, client_id).notify_url
        if not target:
            return None
        kind = str(body.get("notifyType") or body["authorizationNotifyType"])
        text = json.dumps({name: value for name, value in body.items() if value is not None}, separators=(",", ":"))
        message = Notification(kind, client_id, target, text, moment.clock, moment.now)
        return self._notifier.queue(session, moment, message, after=after, copies=copies, hold=hold)


def _success() -> dict[str, str]:
    return result("SUCCESS", "success")


def _payment(payment: Payment, kind: str, code: str) -> dict[str, Any]:
    return {
        "notifyType": kind,
        "result": result(code, "success" if code == "SUCCESS" else None),
        "paymentRequestId": payment.request_id,
        "paymentId": payment.payment_id,
        "paymentAmount": amount(payment.currency, payment.value),
        "paymentCreateTime": iso(payment.created),
        "paymentTime": iso(payment.paid) if kind == "PAYMENT_RESULT" and code == "SUCCESS" else None,
        "customsDeclarationAmount": declarable(payment) if code == "SUCCESS" else None,
    }


def declarable(payment: Payment) -> dict[str, str] | None:
    """`customsDeclarationAmount`, the most that can be declared at customs: of paid payments with ALIPAY_CN."""
    if payment.wallet != "ALIPAY_CN" or payment.status != "SUCCESS":
        return None
    return amount(payment.currency, payment.value)
