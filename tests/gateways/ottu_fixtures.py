"""A merchant's account at Ottu, requests on it, and messages signed as Ottu signs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from agreements.money import Money
from agreements.terms import AgreementType, Frequency, Seller, Terms
from gateways.http import client
from gateways.ottu.connector import Ottu
from gateways.ottu.signing import sign
from gateways.port import (
    Account,
    AuthorizationRequest,
    Call,
    ChargeRequest,
    FirstPayment,
    Payer,
    RefundRequest,
)

API_KEY, HMAC_KEY = "DESERTBK.s3cret", "local-sandbox-hmac-key"
START = datetime(2026, 11, 20, 9, 15, 2, tzinfo=UTC)
CALL = Call(timedelta(seconds=30), "clk_1", START)
AMOUNT = Money(currency="KWD", value=12_500)
SESSION = "9be27d4b6f8a5d90c1e4b7723a6d58f0e13f1c0a"
ORDER = "agr_1-c2-a1"
TERMS = Terms(
    type=AgreementType.RECURRING,
    amount=AMOUNT,
    frequency=Frequency.MONTHLY,
    cycle_interval_days=25,
    payment_processing_day=20,
    start_date=date(2026, 11, 20),
    expiry_date=date(2027, 11, 20),
    total_cycles=12,
    timezone="Asia/Kuwait",
    seller=Seller(name="Desert Books", short_name="DBK", category_code="5942"),
)
PAGE = AuthorizationRequest(
    state="as_1",
    payment_method="mpgs-kwd",
    return_url="https://engine.example/returns/ottu/as_1",
    notify_url="https://engine.example/notifications/ottu/gwa_1",
    region="KW",
    agreement_id="agr_1",
    terms=TERMS,
    payer=Payer("cust_7781", "Noor A", "noor@example.test", "+9651234567"),
    payment=FirstPayment("agr_1-c1-a1", "agr_1-c1", "Desert Books, cycle 1", AMOUNT),
)
CHARGE = ChargeRequest(
    request_id=ORDER,
    order_id="agr_1-c2",
    description="Desert Books, cycle 2",
    amount=AMOUNT,
    payment_method="mpgs-kwd",
    token="9400112233445566",
    notify_url="https://engine.example/notifications/ottu/gwa_1",
    customer_id="cust_7781",
    agreement_id="agr_1",
    terms=TERMS,
    token_reference="mpgs-kwd",
    handle=SESSION,
)
REFUND = RefundRequest("rfd_1", SESSION, AMOUNT, "goodwill", "https://engine.example/n")
PAID: dict[str, Any] = {
    "amount": "12.500",
    "currency_code": "KWD",
    "customer_id": "cust_7781",
    "gateway_account": "mpgs-kwd",
    "gateway_name": "mpgs",
    "order_no": ORDER,
    "paid_amount": "12.500",
    "settled_amount": "12.500",
    "reference_number": "sandboxQ7K2M",
    "result": "success",
    "state": "paid",
    "session_id": SESSION,
}
REFUNDED: dict[str, Any] = {
    "amount": "12.500",
    "operation": "refund",
    "order_no": ORDER,
    "reference_number": "sandboxR9T4W",
    "result": "success",
    "session_id": SESSION,
    "success": True,
    "txn": {"amount": "12.500", "currency_code": "KWD", "order_no": "", "session_id": "child-1", "state": "refunded"},
}


def declined(code: str | None = None, issuer: str | None = None, **changes: Any) -> dict[str, Any]:
    """A payment that failed, with MPGS's code and the issuer's."""
    response = {name: value for name, value in (("gatewayCode", code), ("acquirerCode", issuer)) if value}
    return {
        **{name: value for name, value in PAID.items() if name not in ("paid_amount", "settled_amount")},
        "result": "failed",
        "state": "attempted",
        "remaining_amount": "12.500",
        "gateway_response": {"result": "FAILURE", "response": response} if response else {},
        **changes,
    }


def signed(body: dict[str, Any], key: str = HMAC_KEY) -> dict[str, Any]:
    """The message with its signature."""
    return {**body, "signature": sign(body, key)}


def account(sandbox: bool = False, base_url: str = "https://desert.ottu.example", **keys: str) -> Account:
    """An account; nobody answers at its base URL."""
    return Account("gwa_1", False, base_url, {"api_key": API_KEY, "hmac_key": HMAC_KEY} | keys, sandbox)


def connector(handler: Callable[[httpx.Request], httpx.Response]) -> Ottu:
    """The connector over a network that is `handler`."""
    return Ottu(client(httpx.MockTransport(handler)))


def answers(*bodies: tuple[int, Any]) -> Callable[[httpx.Request], httpx.Response]:
    """Answers to the calls in their order, each a status and a body."""
    left = list(bodies)

    def handler(_: httpx.Request) -> httpx.Response:
        status, body = left.pop(0)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content)

    return handler
