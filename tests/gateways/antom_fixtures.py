"""A merchant's account at Antom with real keys, and messages signed as Antom signs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from agreements.money import Money
from gateways.antom import signing
from gateways.antom.connector import Antom
from gateways.http import client
from gateways.port import Account, AuthorizationRequest, Call, ChargeRequest, RefundRequest

CLIENT_ID = "SANDBOX_5X00000000000001"
MERCHANT_KEY = rsa.generate_private_key(65537, 2048)
ANTOM_KEY = rsa.generate_private_key(65537, 2048)
FORGER_KEY = rsa.generate_private_key(65537, 2048)
CALL = Call(timedelta(seconds=30))
AMOUNT = Money(currency="PHP", value=49900)
CHARGE = ChargeRequest(
    request_id="att_1",
    order_id="chg_1",
    description="Monthly plan, August",
    amount=AMOUNT,
    payment_method="GCASH",
    token="at_secret",
    notify_url="https://engine.example/notifications/antom/gwa_1",
    customer_id="cus-7",
)
CONSULT = AuthorizationRequest("as_1", "GCASH", "https://e.example/returns/antom/as_1", "https://e.example/n", "PH")
REFUND = RefundRequest("rfd_1", "2025080119401080", AMOUNT, "goodwill", "https://engine.example/n")


def private_text(key: rsa.RSAPrivateKey) -> str:
    """The key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_text(key: rsa.RSAPrivateKey) -> str:
    """The public half as PEM."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def account(client_id: str = CLIENT_ID, sandbox: bool = False, **keys: str) -> Account:
    """An account whose base URL nobody answers."""
    known = {"client_id": client_id, "private_key": private_text(MERCHANT_KEY), "public_key": public_text(ANTOM_KEY)}
    return Account("gwa_1", False, "https://antom.example", known | keys, sandbox)


def result(code: str = "SUCCESS", status: str = "S", **fields: Any) -> dict[str, Any]:
    """A body as Antom writes it."""
    return {"result": {"resultCode": code, "resultStatus": status, "resultMessage": "text"}, **fields}


def answer(path: str, body: bytes, key: rsa.RSAPrivateKey = ANTOM_KEY, client_id: str = CLIENT_ID) -> httpx.Response:
    """A signed answer to a POST of `path`."""
    time = "2025-08-01T08:00:00+08:00"
    signature = signing.sign(key, "POST", path, client_id, time, body)
    headers = {"client-id": client_id, "response-time": time, "signature": signature}
    return httpx.Response(200, headers=headers, content=body)


def connector(handler: Callable[[httpx.Request], httpx.Response]) -> Antom:
    """The connector over a network that is `handler`."""
    return Antom(client(httpx.MockTransport(handler)))


def signed_answers(body: dict[str, Any]) -> Antom:
    """The connector against an Antom that answers every call with `body`, rightly signed."""
    return connector(lambda request: answer(request.url.path, json.dumps(body).encode()))
