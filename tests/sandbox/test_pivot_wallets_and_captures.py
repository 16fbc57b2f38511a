"""E-wallets and captures at Pivot's sandbox (gateways/pay-and-save.md §3.4, §3.11, §6.4)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.pivot_support import (
    Callbacks,
    Data,
    Shop,
    a_pivot_sandbox,
    shape_of,
)

MINUTE = timedelta(minutes=1)


# E-wallets


WALLET: Data = {"paymentMethod": {"type": "EWALLET"}, "paymentMethodOptions": {"ewallet": {"channel": "DANA"}}}


@pytest.mark.parametrize("mode", ["API", "REDIRECT"])
@pytest.mark.parametrize(
    ("phone", "status", "charge"),
    [
        ("08111111001", "PAID", "SUCCESS"),
        ("08111111002", "PROCESSING", "PROCESSING"),
        ("08111111003", "CANCELLED", "FAILED"),
        ("08111111004", "EXPIRED", "EXPIRED"),
    ],
)
async def test_a_wallet_does_what_the_phone_number_says(
    shop: Shop, mode: str, phone: str, status: str, charge: str
) -> None:
    session = await shop.create(mode=mode, **WALLET)
    assert session["chargeDetails"][0]["ewallet"]["channel"] == "DANA"
    assert (await shop.http.get(session["paymentUrl"])).status_code == 200
    await shop.decide(session, phone=phone)
    ended = await shop.read(session["id"])
    assert (ended["status"], ended["chargeDetails"][0]["status"]) == (status, charge)
    stored = (await shop.ok("GET", f"/v1/customers/{session['customerId']}"))["storedPaymentMethods"]
    shown = [(method["paymentMethod"], method["paymentChannel"]) for method in stored]
    assert shown == ([("ewallet", "dana")] if status == "PAID" else [])


async def test_the_simulation_call_stands_in_for_the_wallet_and_not_for_cards(shop: Shop) -> None:
    path = "/v2/payments/simulations"
    for number, (wanted, status) in enumerate({"SUCCESS": "PAID", "EXPIRED": "EXPIRED"}.items()):
        session = await shop.create(f"ord{number}", mode="API", **WALLET)
        body = {"paymentSessionId": session["id"], "chargeStatus": wanted}
        assert await shop.ok("POST", path, body) == {"updated": "true"}
        assert (await shop.read(session["id"]))["status"] == status
        assert (await shop.refused("POST", path, body))[0] == 422
    card = await shop.create("ord9")
    refused = await shop.refused("POST", path, {"paymentSessionId": card["id"], "chargeStatus": "SUCCESS"})
    assert refused == (400, "api_validation_error")


async def test_ovo_needs_the_phone_number_beforehand(shop: Shop) -> None:
    ovo = WALLET | {"paymentMethodOptions": {"ewallet": {"channel": "OVO"}}}
    assert (await shop.refused("POST", "/v2/payments", shop.body(mode="API", **ovo)))[0] == 400
    method = {"type": "EWALLET", "ewallet": {"accountIdentifier": "08111111001"}}
    session = await shop.create(mode="API", **ovo | {"paymentMethod": method})
    await shop.decide(session)
    assert (await shop.read(session["id"]))["status"] == "PAID"


async def test_a_wallet_token_is_charged_where_the_switch_is_on(shop: Shop, tmp_path: Path) -> None:
    async def charge(shop: Shop) -> Any:
        session = await shop.create("first1", mode="API", **WALLET)
        await shop.decide(session, script="insufficient_funds")
        stored = await shop.ok("GET", f"/v1/customers/{session['customerId']}")
        token = stored["storedPaymentMethods"][0]["token"]
        method = {"type": "EWALLET", "ewallet": {"token": token}}
        body = shop.debit({"customerId": session["customerId"], "token": ""}, "ren1", paymentMethod=method)
        return await shop.send("POST", "/v2/payments", body)

    assert shape_of(await charge(shop)) == (400, "api_validation_error")
    async with a_pivot_sandbox(tmp_path, wallet_tokens=True) as (other, _):
        session = (await charge(other)).json()["data"]
        assert session["status"] == "PROCESSING"
        assert (await other.read(session["id"]))["chargeDetails"][0]["failureCode"] == "INSUFFICIENT_FUND"


# Captures


async def authorized(shop: Shop, reference: str = "ord1") -> Data:
    session = await shop.create(reference, paymentMethodOptions={"card": {"captureMethod": "manual"}})
    await shop.decide(session)
    return session


async def test_an_authorization_is_captured_in_part(shop: Shop, callbacks: Callbacks) -> None:
    session = await authorized(shop)
    held = await shop.read(session["id"])
    charge = held["chargeDetails"][0]
    assert (held["status"], charge["status"]) == ("PROCESSING", "WAITING_FOR_CAPTURE")
    assert charge["authorizedAmount"] == {"value": 150000, "currency": "IDR"}
    assert (charge["capturedAmount"], charge["isCaptured"]) == (None, False)
    assert await shop.movements() == [("debit", "processing")]
    assert (await shop.admin("credentials"))["data"] == []  # not before the money is taken

    path = f"/v2/payments/{session['id']}/capture"
    too_much = {"releaseRemainingAmount": True, "amount": {"value": 150001, "currency": "IDR"}}
    assert (await shop.refused("POST", path, too_much))[0] == 400
    body = {"releaseRemainingAmount": True, "amount": {"value": 120000, "currency": "IDR"}}
    capture = await shop.ok("POST", path, body)
    assert (capture["status"], capture["amount"]["value"]) == ("PENDING", 120000)
    await shop.quiet()
    paid = callbacks.of("PAYMENT.PAID")[0]
    assert paid["chargeDetails"][0]["capturedAmount"]["value"] == 120000
    assert paid["chargeDetails"][0]["captureHistories"][0]["status"] == "SUCCESS"
    entry = (await shop.ledger())[0]
    assert (entry["status"], entry["amount"]) == ("succeeded", 12_000_000)
    assert (await shop.refused("POST", path, body))[0] == 422


async def test_what_is_not_released_can_be_captured_later(shop: Shop) -> None:
    session = await authorized(shop)
    path = f"/v2/payments/{session['id']}/capture"
    part = {"releaseRemainingAmount": False, "amount": {"value": 100000, "currency": "IDR"}}
    await shop.ok("POST", path, part)
    assert (await shop.read(session["id"]))["status"] == "PROCESSING"
    assert (await shop.ok("POST", path, {"releaseRemainingAmount": False}))["amount"]["value"] == 50000
    assert (await shop.read(session["id"]))["chargeDetails"][0]["capturedAmount"]["value"] == 150000


async def test_an_authorization_that_is_not_captured_expires(shop: Shop) -> None:
    session = await authorized(shop)
    await shop.advance(15 * MINUTE)
    assert (await shop.read(session["id"]))["status"] == "EXPIRED"
    assert await shop.movements() == [("debit", "failed")]


async def test_many_calls_at_once_are_all_answered(shop: Shop) -> None:
    sessions = await asyncio.gather(*(shop.create(f"ord{number}") for number in range(20)))
    assert len({session["id"] for session in sessions}) == 20
