"""A merchant's account at Pivot, and messages as Pivot writes them (gateways/pay-and-save.md §2, §3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx

from agreements.money import Money
from gateways.http import client
from gateways.pivot.connector import Pivot
from gateways.port import (
    Account,
    AuthorizationRequest,
    Call,
    ChargeRequest,
    FirstPayment,
    Payer,
    RefundRequest,
)

CLIENT_ID, SECRET, CALLBACK_KEY = "cli_1", "sec_1", "callback-key-1"
CALL = Call(timedelta(seconds=30))
AMOUNT = Money(currency="IDR", value=150_000_00)
REQUEST_ID = "agr_01jd3w-c1-a1"
CHARGE = ChargeRequest(
    request_id=REQUEST_ID,
    order_id="agr_01jd3w-c1",
    description="Monthly plan, August",
    amount=AMOUNT,
    payment_method="CARD",
    token="tok_secret",
    notify_url="https://engine.example/notifications/pivot/gwa_1",
    customer_id="cus-7",
    token_reference="pivot-customer-1",
)
PAYER = Payer("cus-7", "Sari Ayu Wijaya", "sari@example.test", "+62 812-0000-0001")
PAGE = AuthorizationRequest(
    state="as_1",
    payment_method="CARD",
    return_url="https://engine.example/returns/pivot/as_1",
    notify_url="https://engine.example/notifications/pivot/gwa_1",
    region="ID",
    agreement_id="agr_01jd3w",
    payer=PAYER,
    payment=FirstPayment(REQUEST_ID, "agr_01jd3w-c1", "Monthly plan, first month", AMOUNT),
)
REFUND = RefundRequest("rfd_01jd3w", "ses_1", Money(currency="IDR", value=50_000_00), "goodwill", "https://e.example/n")
Data = dict[str, Any]


def account(base_url: str = "https://pivot.example", *, sandbox: bool = False, **keys: str) -> Account:
    """An account that may debit without the customer; nobody answers at its address unless one is given."""
    known = {
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "callback_api_key": CALLBACK_KEY,
        "recurring_profile": "token_never",
    }
    return Account("gwa_1", False, base_url, known | keys, sandbox)


def charge_of(status: str = "SUCCESS", **change: Any) -> Data:
    """One charge of a session."""
    money = {"value": 150000, "currency": "IDR"}
    taken = money if status == "SUCCESS" else None
    card = {
        "first8": "44400001",
        "last4": "0002",
        "expMonth": "01",
        "expYear": "39",
        "fingerprint": "fp_1",
        "binInformations": {"type": "DEBIT", "brand": "VISA"},
        "authorizationResult": {"issuerAuthorizationCode": "00"} if status == "SUCCESS" else None,
    }
    return {"status": status, "amount": money, "capturedAmount": taken, "card": card} | change


def failed(failure: str, issuer: str | None = None) -> Data:
    """A charge that failed."""
    card = {"authorizationResult": {"issuerAuthorizationCode": issuer} if issuer else None}
    return charge_of("FAILED", failureCode=failure, card=card)


def session(status: str = "PAID", *charges: Data, **change: Any) -> Data:
    """A session of an unattended debit under the plain form of REQUEST_ID."""
    shown = list(charges) if charges or status != "PAID" else [charge_of()]
    return {
        "id": "ses_1",
        "clientReferenceId": REQUEST_ID,
        "amount": {"value": 150000, "currency": "IDR"},
        "mode": "API",
        "status": status,
        "chargeDetails": shown or None,
        "customerId": "pivot-customer-1",
        "updatedAt": "2026-01-10T08:02:05.020691396Z",
        "expiryAt": "2026-01-10T08:15:10Z",
    } | change


def ok(data: Any, **more: Any) -> Data:
    """An envelope of success."""
    return {"code": "00", "message": "Success", "data": data} | more


def error(code: str, field: str = "") -> Data:
    """An envelope of an error."""
    details = [{"field": field, "message": "text"}]
    return {"code": code, "message": "text", "error": {"type": "API_ERROR", "details": details, "traceId": "0" * 32}}


def token_answer(bearer: str = "bearer-1", life: str = "900") -> httpx.Response:
    """What the access-token call gets."""
    return httpx.Response(200, json=ok({"accessToken": bearer, "expiresIn": life, "tokenType": "Bearer"}))


def connector(handler: Callable[[httpx.Request], httpx.Response]) -> Pivot:
    """The connector over a network that is `handler`, which is not asked for access tokens."""

    def network(request: httpx.Request) -> httpx.Response:
        return token_answer() if request.url.path == "/v1/access-token" else handler(request)

    return Pivot(client(httpx.MockTransport(network)))


def answers(status: int, body: Any) -> Pivot:
    """The connector against a Pivot that answers every call the same way."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return connector(lambda request: httpx.Response(status, content=content))
