"""Debits of saved cards at the Ottu sandbox, in two steps and in one (gateways/ottu.md §3)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.ottu_support import AGREEMENT, START, VISA, Merchant, debits, gateway_code, said
from tests.sandbox.support import PATIENCE

PAID = ("success", "paid")
UNPAID = ("failed", "attempted")


@pytest.mark.parametrize("path", ["/b/pbl/v2/auto-debit/", "/b/pbl/v2/payment/auto-debit/", "/b/pbl/v2/auto-debit"])
async def test_a_debit_is_answered_like_a_webhook_and_not_told(ottu: Merchant, path: str) -> None:
    token = await ottu.agree()
    session = await ottu.create(order_no="INV-2026-12-0042")
    body = await ottu.call(path, {"session_id": session["session_id"], "token": token})
    assert said(body) == PAID
    assert (body["session_id"], body["order_no"]) == (session["session_id"], "INV-2026-12-0042")
    assert body["token"]["token"] == token
    assert body["agreement"]["expiry_date"] == "2027-11-20"
    assert await ottu.state(session["session_id"]) == "paid"
    assert (await ottu.retrieve(session["session_id"]))["settled_pg_code"] == "mpgs-kwd"
    await ottu.quiet()
    assert len(ottu.inbox.received) == 1
    entry = (await ottu.ledger())[-1]
    assert (entry["request_id"], entry["kind"], entry["status"]) == ("INV-2026-12-0042", "debit", "succeeded")
    assert entry["credential"] == (await ottu.credential())["id"]


async def test_a_paid_session_is_never_charged_again(ottu: Merchant) -> None:
    token = await ottu.agree()
    paid = await ottu.debit(token)
    refused = await ottu.charge(paid["session_id"], token, expect=400)
    assert refused["result"] == "failed"
    assert await debits(ottu) == ["succeeded"]


async def test_a_declined_session_can_be_charged_again_and_paid_by_hand(ottu: Merchant) -> None:
    token = await ottu.agree("insufficient_funds,insufficient_funds")
    session = await ottu.create(order_no="INV-2")
    assert said(await ottu.charge(session["session_id"], token)) == UNPAID
    assert said(await ottu.charge(session["session_id"], token)) == UNPAID
    await ottu.pay(session["checkout_url"], card=VISA)
    assert said(ottu.inbox.received[-1]) == PAID
    assert ottu.inbox.received[-1]["token"]["token"] != token
    assert await debits(ottu) == ["failed", "failed", "succeeded"]


async def test_a_first_call_in_flight_does_not_stop_a_second_one(ottu: Merchant) -> None:
    token = await ottu.agree("processing_then_success,success")
    session = await ottu.create(order_no="INV-2")
    await ottu.charge(session["session_id"], token)
    assert said(await ottu.charge(session["session_id"], token)) == PAID
    await ottu.advance(timedelta(minutes=11))
    assert await debits(ottu) == ["succeeded", "succeeded"]


async def test_the_session_must_exist_be_payable_and_for_auto_debit(ottu: Merchant) -> None:
    token = await ottu.agree()
    assert list(await ottu.charge("nothing", token, expect=400)) == ["session_id"]
    required = ["This field is required."]
    empty = await ottu.call("/b/pbl/v2/auto-debit/", {}, expect=400)
    assert empty == {"session_id": required, "token": required}
    plain = await ottu.create(payment_type="one_off", agreement=None)
    expired = await ottu.create(expiration_time="00:01:00")
    unable = await ottu.create(pg_codes=["checkout-usd"], currency_code="USD")
    ottu.now = START + timedelta(minutes=1)
    for session in (plain, expired, unable):
        assert (await ottu.charge(session["session_id"], token, expect=400))["result"] == "failed"
    assert (await ottu.charge(unable["session_id"], token, expect=400))["detail"] == (
        "Payment gateway does not support auto debit."
    )
    assert await ottu.state(expired["session_id"]) == "expired"
    assert await debits(ottu) == []


async def test_the_token_must_be_the_customers_the_gateways_and_the_agreements(ottu: Merchant) -> None:
    token = await ottu.agree()
    other = await ottu.agree(card=VISA, agreement=AGREEMENT | {"id": "AGR-2"})
    foreign = await ottu.agree(customer_id="cust_2")
    session_id = (await ottu.create())["session_id"]
    for wrong in ("9400000000000000", foreign):
        assert list(await ottu.charge(session_id, wrong, expect=400)) == ["token"]
    assert (await ottu.charge(session_id, other, expect=400))["result"] == "failed"
    elsewhere = (await ottu.create(pg_codes=["tap-kwd"]))["session_id"]
    assert (await ottu.charge(elsewhere, token, expect=400))["result"] == "failed"
    await ottu.register(instance={"only_linked_card": False})
    assert said(await ottu.charge(session_id, other)) == PAID


async def test_a_deleted_cards_token_is_none(ottu: Merchant) -> None:
    old = await ottu.agree()
    await ottu.agree(card=VISA)
    await ottu.call(f"/b/pbl/v2/card/{old}/?customer_id=cust_7781&type=sandbox", method="DELETE", expect=204)
    session_id = (await ottu.create())["session_id"]
    assert list(await ottu.charge(session_id, old, expect=400)) == ["token"]


async def test_an_expired_card_is_declined_whatever_the_script_says(ottu: Merchant) -> None:
    session = await ottu.create()
    await ottu.pay(session["checkout_url"], "risk_reject,success", expiry="01/27")
    token = ottu.inbox.received[-1]["token"]["token"]
    ottu.now = datetime.fromisoformat("2027-02-01T00:00:00+00:00")
    assert gateway_code(await ottu.debit(token)) == ("EXPIRED_CARD", "54")
    card = (await ottu.create(order_no="INV-2"))["checkout_url"]
    await ottu.pay(card, "risk_reject,success")
    assert gateway_code(await ottu.debit(token)) == ("BLOCKED", "")


async def test_a_payer_who_revokes_at_the_bank_is_declined_from_then_on(ottu: Merchant) -> None:
    token = await ottu.agree()
    await ottu.admin(f"credentials/{(await ottu.credential())['id']}/revoke", {})
    assert (await ottu.credential())["status"] == "revoked"
    assert gateway_code(await ottu.debit(token)) == ("DECLINED_DO_NOT_CONTACT", "R1")


async def test_with_authorization_first_a_debit_is_not_yet_money(ottu: Merchant) -> None:
    token = await ottu.agree(pg_codes=["mpgs-kwd-auth"])
    body = await ottu.debit(token, pg_codes=["mpgs-kwd-auth"])
    assert said(body) == ("success", "authorized")
    assert "paid_amount" not in body
    assert body["settled_amount"] == "12.500"
    assert await debits(ottu) == ["processing"]


async def test_where_one_attempt_is_all_a_decline_is_final(ottu: Merchant) -> None:
    token = await ottu.agree("insufficient_funds", pg_codes=["mpgs-kwd-single"])
    assert said(await ottu.debit(token, pg_codes=["mpgs-kwd-single"])) == ("failed", "failed")


# One step


def at_once(token: str, **changes: Any) -> dict[str, Any]:
    return {"payment_instrument": {"instrument_type": "token", "payload": {"token": token}}} | changes


async def test_one_step_creates_and_charges(ottu: Merchant) -> None:
    token = await ottu.agree("success,insufficient_funds")
    paid = await ottu.create(**at_once(token, order_no="INV-2"))
    assert said(paid) == PAID
    assert "checkout_url" not in paid
    declined = await ottu.create(**at_once(token, order_no="INV-3", agreement={"id": "AGR-0042", "type": "recurring"}))
    assert said(declined) == UNPAID
    assert await debits(ottu) == ["succeeded", "failed"]
    await ottu.register(instance={"one_step_declined_status": 400})
    refused = await ottu.call("/b/checkout/v1/pymt-txn/", ottu.checkout(**at_once(token)), expect=400)
    assert refused == {"detail": "Insufficient funds", "result": "failed"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"payment_instrument": {"instrument_type": "apple_pay", "payload": {}}}, "payment_instrument"),
        ({"payment_instrument": {"instrument_type": "token", "payload": {}}}, "payment_instrument"),
        (at_once("9400000000000000"), "token"),
        (at_once("1", pg_codes=["mpgs-kwd", "tap-kwd"]), "pg_codes"),
        (at_once("1", agreement={"id": "AGR-9", "type": "recurring"}), "agreement"),
    ],
)
async def test_a_refused_step_leaves_no_session(ottu: Merchant, changes: dict[str, Any], field: str) -> None:
    path = "/b/checkout/v1/pymt-txn/"
    assert list(await ottu.call(path, ottu.checkout(**changes), expect=400)) == [field]
    await ottu.call("/b/pbl/v2/inquiry/", {"order_no": "INV-2026-11-0042"}, expect=404)


async def test_without_a_clock_real_time_counts(ottu: Merchant) -> None:
    ottu.clock = None
    token = await ottu.agree()
    session = await ottu.create(expiration_time="00:00:30")  # at fifty times the speed
    async with asyncio.timeout(PATIENCE):
        while await ottu.state(session["session_id"]) != "expired":
            await asyncio.sleep(0.02)
    assert (await ottu.charge(session["session_id"], token, expect=400))["result"] == "failed"
    taken = datetime.fromisoformat((await ottu.ledger())[0]["virtual_time"])
    assert abs(datetime.now(UTC) - taken) < timedelta(minutes=3)
