"""Refunds at Pivot's sandbox (gateways/pay-and-save.md §3.5, §6.4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.sandbox.pivot_support import Callbacks, Data, Shop

MINUTE = timedelta(minutes=1)


def refund_body(session: Data, reference: str = "rfd1", value: str | None = "50000", **change: Any) -> Data:
    usual = {"clientReferenceId": reference, "paymentSessionId": session["id"], "reason": "REQUESTED_BY_CUSTOMER"}
    return usual | ({"amount": {"value": value, "currency": "IDR"}} if value else {}) | change


async def paid(shop: Shop, **change: Any) -> Data:
    session = await shop.create(**change)
    await shop.decide(session)
    return await shop.read(session["id"])


async def test_a_refund_is_pending_and_then_done(shop: Shop, callbacks: Callbacks) -> None:
    session = await paid(shop)
    refund = await shop.ok("POST", "/v1/refunds", refund_body(session))
    assert refund["amount"] == {"currency": "IDR", "value": "50000.00"}
    assert refund["capturedAmount"]["value"] == "150000.00"
    assert (refund["status"], refund["isFullAmount"], refund["method"]) == ("PENDING", False, "AUTO")
    assert refund["chargeId"] == session["chargeDetails"][0]["id"]
    assert "destinationType" not in refund
    assert await shop.movements() == [("debit", "succeeded"), ("refund", "processing")]
    await shop.quiet()
    await shop.advance(timedelta(seconds=30))
    done = await shop.ok("GET", f"/v1/refunds/{refund['id']}")
    assert (done["status"], done["destinationType"]) == ("SUCCESS", "CHANNEL")
    assert await shop.ok("GET", "/v1/refunds") == [done]
    assert callbacks.events[-2:] == ["REFUND.PENDING", "REFUND.SUCCESS"]
    assert callbacks.of("REFUND.SUCCESS") == [done]
    entry = (await shop.ledger())[1]
    assert (entry["request_id"], entry["amount"], entry["status"]) == ("rfd1", 5_000_000, "succeeded")
    assert entry["merchant_reference"] == "INV-77"
    assert (await shop.read(session["id"]))["status"] == "PAID"


async def test_refunds_never_exceed_the_capture(shop: Shop) -> None:
    session = await paid(shop)
    charge = {"paymentSessionId": None, "chargeId": session["chargeDetails"][0]["id"]}
    await shop.ok("POST", "/v1/refunds", refund_body(session, "rfd1", "100000.00", **charge))
    for change in ({"value": "50001"}, {"value": None, "isFullAmount": True}):
        refused = await shop.refused("POST", "/v1/refunds", refund_body(session, "rfd2", **change))
        assert refused == (400, "api_validation_error")
    await shop.ok("POST", "/v1/refunds", refund_body(session, "rfd3"))
    assert (await shop.refused("POST", "/v1/refunds", refund_body(session, "rfd4", "1")))[0] == 400


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"value": 50000, "currency": "IDR"}},
        {"amount": {"value": "50000.5", "currency": "IDR"}},
        {"amount": None},
        {"reason": "BORED"},
        {"paymentSessionId": None},
        {"description": "x" * 51},
        {"method": "TRANSFER_ONLY"},
    ],
)
async def test_a_refund_checks_its_fields(shop: Shop, change: Data) -> None:
    session = await paid(shop)
    assert (await shop.refused("POST", "/v1/refunds", refund_body(session) | change))[0] == 400
    assert await shop.movements() == [("debit", "succeeded")]


async def test_only_what_was_paid_is_refunded_and_a_reference_once(shop: Shop) -> None:
    session = await paid(shop)
    unpaid = await shop.create("ord2")
    assert await shop.refused("POST", "/v1/refunds", refund_body(unpaid)) == (422, "invalid_state")
    assert (await shop.refused("POST", "/v1/refunds", refund_body({"id": "none"})))[0] == 404
    request_id = uuid4().hex
    first = await shop.ok("POST", "/v1/refunds", refund_body(session), request_id=request_id)
    assert await shop.ok("POST", "/v1/refunds", refund_body(session), request_id=request_id) == first
    assert await shop.refused("POST", "/v1/refunds", refund_body(session)) == (409, "duplicate_error")


TO_ACCOUNT = {"channelCode": "BCA", "channelInformation": {"accountNumber": "999966660001", "accountName": "Sari"}}


def to_account(number: str) -> Data:
    return TO_ACCOUNT | {"channelInformation": {"accountNumber": number, "accountName": "Sari"}}


@pytest.mark.parametrize(
    ("reference", "change", "states"),
    [
        ("rfd1", {"method": "TRANSFER_ONLY", "transferDestination": TO_ACCOUNT}, ["WAITING_BANK_TRANSFER", "SUCCESS"]),
        ("1001-a", {"transferDestination": TO_ACCOUNT}, ["WAITING_BANK_TRANSFER", "SUCCESS"]),
        ("2001-a", {"transferDestination": to_account("999966660008")}, ["WAITING_BANK_TRANSFER", "FAILED"]),
        (
            "2002-a",
            {"method": "TRANSFER_ONLY", "transferDestination": to_account("999966660002")},
            ["WAITING_BANK_TRANSFER", "FAILED"],
        ),
        ("1001-b", {}, ["FAILED"]),
    ],
)
async def test_refunds_that_do_not_go_to_the_card(
    shop: Shop, callbacks: Callbacks, reference: str, change: Data, states: list[str]
) -> None:
    session = await paid(shop)
    refund = await shop.ok("POST", "/v1/refunds", refund_body(session, reference, **change))
    await shop.quiet()
    for state in states:
        await shop.advance(timedelta(seconds=30))
        assert (await shop.ok("GET", f"/v1/refunds/{refund['id']}"))["status"] == state
    told = [event for event in callbacks.events if event.startswith("REFUND.")]
    spelled = [f"REFUND.{state}".replace("TRANSFER", "TRANFER") for state in states]  # Pivot's spelling
    assert told == ["REFUND.PENDING", *spelled]
    assert (await shop.movements())[1] == ("refund", "succeeded" if states[-1] == "SUCCESS" else "failed")
    if states[-1] == "FAILED":
        await shop.ok("POST", "/v1/refunds", refund_body(session, "again", "150000"))


async def test_the_customers_preferred_account_is_used(shop: Shop) -> None:
    preference = {"method": "TRANSFER_ONLY", "transferDestination": TO_ACCOUNT}
    session = await paid(shop, customer={"email": "s@example.test", "refundPreference": preference})
    refund = await shop.ok("POST", "/v1/refunds", refund_body(session, method="TRANSFER_ONLY"))
    await shop.advance(MINUTE)
    assert (await shop.ok("GET", f"/v1/refunds/{refund['id']}"))["status"] == "SUCCESS"
