"""Pure translation between the port and Antom's JSON. Source: gateways/antom.md sections 3 to 6.

Requests follow the documentation's typing rule: every scalar is a JSON string and optional fields are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agreements.money import Money
from gateways.antom import codes
from gateways.antom.messages import Message
from gateways.port import (
    AuthorizationAnswer,
    AuthorizationRequest,
    ChargeAnswer,
    ChargeRequest,
    RefundRequest,
    ReversalAnswer,
    Token,
    TokenAnswer,
    Verdict,
)

_ENV = {"terminalType": "WEB"}

PAYMENT_STATUS = {
    "SUCCESS": Verdict.SUCCEEDED,
    "FAIL": Verdict.DECLINED,
    "PROCESSING": Verdict.PROCESSING,
    "PENDING": Verdict.PROCESSING,
    "CANCELLED": Verdict.CANCELED,
}
REFUND_STATUS = {"SUCCESS": Verdict.SUCCEEDED, "FAIL": Verdict.DECLINED, "PROCESSING": Verdict.PROCESSING}


def consult(request: AuthorizationRequest, keys: Mapping[str, str]) -> dict[str, Any]:
    """The body of consult. Older pages want `terminalType` on top, newer ones inside `env`: both are sent."""
    return {
        "customerBelongsTo": request.payment_method,
        "authRedirectUrl": request.return_url,
        "scopes": ["AGREEMENT_PAY"],
        "authState": request.state,
        "terminalType": _ENV["terminalType"],
        "env": _ENV,
        "authNotifyUrl": request.notify_url,
        **_merchant_region(keys),
    }


def apply_code(payment_method: str, code: str, keys: Mapping[str, str]) -> dict[str, Any]:
    """The body of applyToken for a customer's code."""
    return {
        "grantType": "AUTHORIZATION_CODE",
        "customerBelongsTo": payment_method,
        "authCode": code,
        **_merchant_region(keys),
    }


def apply_refresh(payment_method: str, refresh_token: str, keys: Mapping[str, str]) -> dict[str, Any]:
    """The body of applyToken for a new pair of tokens."""
    return {
        "grantType": "REFRESH_TOKEN",
        "customerBelongsTo": payment_method,
        "refreshToken": refresh_token,
        **_merchant_region(keys),
    }


def pay(request: ChargeRequest, keys: Mapping[str, str]) -> dict[str, Any]:
    """The body of pay. Without `paymentExpiryTime` Antom closes an unfinished payment after one minute."""
    amount = amount_of(request.amount)
    order: dict[str, Any] = {
        "referenceOrderId": request.order_id,
        "orderDescription": request.description[:256],
        "orderAmount": amount,
    }
    if len(request.customer_id) <= 64:
        order["buyer"] = {"referenceBuyerId": request.customer_id}
    body: dict[str, Any] = {
        "productCode": "AGREEMENT_PAYMENT",
        "paymentRequestId": request.request_id,
        "order": order,
        "paymentAmount": amount,
        "paymentMethod": {"paymentMethodType": request.payment_method, "paymentMethodId": request.token},
        "env": _ENV,
        "paymentNotifyUrl": request.notify_url,
        **_merchant_region(keys),
    }
    if currency := keys.get("settlement_currency"):
        body["settlementStrategy"] = {"settlementCurrency": currency}
    return body


def refund(request: RefundRequest) -> dict[str, Any]:
    """The body of refund."""
    body: dict[str, Any] = {
        "refundRequestId": request.request_id,
        "paymentId": request.payment_id,
        "refundAmount": amount_of(request.amount),
        "refundNotifyUrl": request.notify_url,
    }
    if request.reason:
        body["refundReason"] = request.reason[:256]
    return body


def authorization(answer: Message) -> AuthorizationAnswer:
    """Reads consult's answer. Antom hands out up to three single-use links to one page; the web one comes first."""
    verdict = verdict_of(answer)
    if verdict is Verdict.DECLINED:
        return AuthorizationAnswer(verdict, decline=codes.decline(answer.code), evidence=answer.code)
    if verdict is not Verdict.SUCCEEDED:
        return AuthorizationAnswer(Verdict.UNKNOWN, evidence=answer.code)
    links = (answer.text(name, 2048) for name in ("normalUrl", "applinkUrl", "schemeUrl"))
    url = next((link for link in links if link), None)
    if url is None:
        return AuthorizationAnswer(Verdict.UNKNOWN, evidence="no_url")
    return AuthorizationAnswer(verdict, url=url, evidence=answer.code)


def token(answer: Message) -> TokenAnswer:
    """Reads applyToken's answer. Without a refresh token the access token is long-lived and cannot be refreshed."""
    verdict = verdict_of(answer)
    if verdict is Verdict.DECLINED:
        refusal = codes.decline(answer.code, call="grant")
        return TokenAnswer(verdict, decline=refusal, evidence=answer.code)
    if verdict is not Verdict.SUCCEEDED:
        return TokenAnswer(verdict, evidence=answer.code)
    access_token = answer.text("accessToken", 128)
    if access_token is None:
        return TokenAnswer(Verdict.UNKNOWN, evidence="no_token")
    issued = Token(
        access_token=access_token,
        expires_at=answer.time("accessTokenExpiryTime"),
        refresh_token=answer.text("refreshToken", 128),
        refresh_expires_at=answer.time("refreshTokenExpiryTime"),
        label=answer.text("userLoginId") or answer.inner_text("pspCustomerInfo", "displayCustomerId"),
    )
    return TokenAnswer(verdict, token=issued, evidence=answer.code)


def charge(answer: Message, request: ChargeRequest) -> ChargeAnswer:
    """Reads pay's answer. Only a success for exactly our id and amount counts as one."""
    if answer.fields.get("paymentRequestId", request.request_id) != request.request_id:
        # The signature does not tie an answer to its request: this one is about another debit.
        return ChargeAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    verdict, evidence = verdict_of(answer), answer.code
    payment_id, amount = answer.text("paymentId"), answer.money("paymentAmount")
    if verdict is Verdict.DECLINED and answer.code in codes.PAY_INQUIRE_FIRST:
        verdict = Verdict.UNKNOWN
    if verdict is Verdict.DECLINED:
        return ChargeAnswer(verdict, payment_id, codes.decline(answer.code), amount, evidence)
    if verdict is Verdict.SUCCEEDED and amount != request.amount:
        verdict, evidence = Verdict.UNKNOWN, "amount_mismatch" if amount else "amount_missing"
    if verdict is Verdict.PROCESSING and any(answer.text(n, 2048) for n in ("normalUrl", "applinkUrl", "schemeUrl")):
        # Nobody is there to follow the link: the payment closes unpaid or is canceled, until then it is unfinished.
        evidence = "customer_action_required"
    return ChargeAnswer(verdict, payment_id, None, amount, evidence)


def inquiry(answer: Message, request_id: str) -> ChargeAnswer:
    """Reads inquiryPayment's answer: `result` is about the query, `paymentStatus` about the money.

    As of pay's, a success that does not say of how much is none; whether it is the attempt's amount is judged later.
    """
    verdict = verdict_of(answer)
    if verdict is Verdict.DECLINED and answer.code == "ORDER_NOT_EXIST":
        return ChargeAnswer(Verdict.NOT_FOUND, evidence=answer.code)
    if verdict is not Verdict.SUCCEEDED:
        return ChargeAnswer(Verdict.UNKNOWN, evidence=answer.code)
    if answer.fields.get("paymentRequestId", request_id) != request_id:
        return ChargeAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    status = answer.code_of("paymentStatus") or "missing"
    found = PAYMENT_STATUS.get(status, Verdict.UNKNOWN)
    reason, amount = answer.code_of("paymentResultCode"), answer.money("paymentAmount")
    evidence = f"payment_status_{status}" if found is Verdict.UNKNOWN else reason or status
    if found is Verdict.SUCCEEDED and amount is None:
        found, evidence = Verdict.UNKNOWN, "amount_missing"
    refusal = codes.decline(reason) if found is Verdict.DECLINED else None
    return ChargeAnswer(found, answer.text("paymentId"), refusal, amount, evidence)


def canceled(answer: Message) -> ReversalAnswer:
    """Reads cancel's answer. DECLINED tells by its raw code whether a refund is the way (CANCEL_WINDOW_EXCEED, ...)."""
    if answer.status == "F" and answer.code == "ORDER_NOT_EXIST":
        return ReversalAnswer(Verdict.NOT_FOUND, evidence=answer.code)
    return _reversal(answer, verdict_of(answer), None)


def refunded(answer: Message, request: RefundRequest) -> ReversalAnswer:
    """Reads refund's answer. REFUND_IN_PROCESS is decided by its code: its status letter is not published."""
    if answer.fields.get("refundRequestId", request.request_id) != request.request_id:
        return ReversalAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    verdict, refund_id = verdict_of(answer), answer.text("refundId")
    if verdict is Verdict.DECLINED and answer.code in codes.REFUND_INQUIRE_FIRST:
        verdict = Verdict.UNKNOWN
    amount = answer.money("refundAmount")
    if verdict is Verdict.SUCCEEDED and amount != request.amount:
        return ReversalAnswer(Verdict.UNKNOWN, refund_id, None, "amount_mismatch" if amount else "amount_missing")
    return _reversal(answer, verdict, refund_id)


def refund_inquiry(answer: Message, request_id: str) -> ReversalAnswer:
    """Reads inquiryRefund's answer: `result` is about the query, `refundStatus` about the money."""
    verdict = verdict_of(answer)
    if verdict is Verdict.DECLINED and answer.code in codes.REFUND_NOT_FOUND:
        return ReversalAnswer(Verdict.NOT_FOUND, evidence=answer.code)
    if verdict is not Verdict.SUCCEEDED:
        return ReversalAnswer(Verdict.UNKNOWN, evidence=answer.code)
    if answer.fields.get("refundRequestId", request_id) != request_id:
        return ReversalAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
    status = answer.code_of("refundStatus") or "missing"
    found = REFUND_STATUS.get(status, Verdict.UNKNOWN)
    refusal = codes.decline(None) if found is Verdict.DECLINED else None
    evidence = f"refund_status_{status}" if found is Verdict.UNKNOWN else status
    return ReversalAnswer(found, answer.text("refundId"), refusal, evidence)


def revoked(answer: Message) -> ReversalAnswer:
    """Reads revoke's answer. A token Antom no longer knows is as dead as one it just revoked."""
    if answer.status == "F" and answer.code == "INVALID_ACCESS_TOKEN":
        return ReversalAnswer(Verdict.SUCCEEDED, evidence=answer.code)
    return _reversal(answer, verdict_of(answer), None)


def _reversal(answer: Message, verdict: Verdict, reversal_id: str | None) -> ReversalAnswer:
    refusal = codes.decline(answer.code) if verdict is Verdict.DECLINED else None
    return ReversalAnswer(verdict, reversal_id, refusal, answer.code)


def verdict_of(answer: Message) -> Verdict:
    """What `result` says about the call. A status and a code that contradict each other say nothing."""
    if answer.code in codes.OUTCOME_UNKNOWN:
        return Verdict.UNKNOWN
    if answer.code in codes.IN_PROGRESS or answer.status == "A":
        return Verdict.PROCESSING
    if answer.status == "S" and answer.code == "SUCCESS":
        return Verdict.SUCCEEDED
    return Verdict.DECLINED if answer.status == "F" and answer.code != "SUCCESS" else Verdict.UNKNOWN


def amount_of(money: Money) -> dict[str, str]:
    """An Amount object; values are strings on the wire."""
    return {"currency": money.currency, "value": str(money.value)}


def _merchant_region(keys: Mapping[str, str]) -> dict[str, str]:
    region = keys.get("merchant_region")
    return {"merchantRegion": region} if region else {}
