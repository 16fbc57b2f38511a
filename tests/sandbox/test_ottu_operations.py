"""Operations and status queries at the Ottu sandbox (gateways/ottu.md §3.5, §8)."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from tests.sandbox.ottu_support import START, Merchant, said

MINUTE = timedelta(minutes=1)


async def paid(ottu: Merchant, **changes: Any) -> str:
    """A session that a customer paid."""
    await ottu.agree(**changes)
    return str(ottu.inbox.received[-1]["session_id"])


def key(text: str) -> dict[str, Any]:
    return {"headers": {"Tracking-Key": text}}


# Refunds


async def test_a_refund_is_a_child_of_the_payment(ottu: Merchant) -> None:
    session_id = await paid(ottu)
    body = await ottu.operate("refund", session_id, amount="2.5")
    assert body["txn"] == {
        "amount": "2.500",
        "currency_code": "KWD",
        "order_no": "",
        "session_id": body["txn"]["session_id"],
        "state": "refunded",
    }
    assert body["txn"]["session_id"] != body["session_id"] == session_id
    assert (body["operation"], body["result"], body["success"], body["source"]) == ("refund", "success", True, "input")
    assert (body["amount"], body["order_no"], body["pg_code"]) == ("2.500", "INV-2026-11-0042", "mpgs-kwd")
    assert await ottu.state(session_id) == "paid"
    await ottu.quiet()
    assert ottu.inbox.received[-1] == body
    entry = (await ottu.ledger())[-1]
    assert (entry["request_id"], entry["kind"], entry["amount"]) == ("INV-2026-11-0042", "refund", 2500)
    assert entry["credential"] == (await ottu.credential())["id"]


async def test_refunds_never_exceed_the_payment(ottu: Merchant) -> None:
    session_id = await paid(ottu)
    await ottu.operate("refund", session_id, amount="10")
    refused = await ottu.operate("refund", session_id, amount="2.501", expect=400)
    assert (refused["operation"], refused["result"]) == ("refund", "failed")
    assert (await ottu.operate("refund", session_id))["amount"] == "2.500"
    await ottu.operate("refund", session_id, expect=400)
    await ottu.operate("refund", session_id, amount="0", expect=400)
    await ottu.operate("refund", session_id, amount="0.0001", expect=400)
    assert await ottu.movements() == [
        ("debit", "succeeded", 12500),
        ("refund", "succeeded", 10000),
        ("refund", "failed", 2501),
        ("refund", "succeeded", 2500),
        ("refund", "failed", 12500),
        ("refund", "failed", 0),
        ("refund", "failed", 0),
    ]


async def test_a_tracking_key_makes_a_refund_once(ottu: Merchant) -> None:
    session_id = await paid(ottu)
    await ottu.operate("refund", session_id, amount="20", expect=400, **key("k1"))
    first = await ottu.operate("refund", session_id, amount="5", **key("k1"))
    again = await ottu.operate("refund", session_id, amount="7", **key("k1"))
    assert (again["session_id"], again["state"]) == (first["txn"]["session_id"], "refunded")
    assert (again["amount"], again["result"], again["gateway_account"]) == ("5.000", "success", "mpgs-kwd")
    assert "operation" not in again
    await ottu.operate("refund", session_id, amount="5", **key("k2"))
    refunds = [entry for entry in await ottu.ledger() if (entry["kind"], entry["status"]) == ("refund", "succeeded")]
    assert [(entry["request_id"], entry["amount"]) for entry in refunds] == [("k1", 5000), ("k2", 5000)]


@pytest.mark.parametrize(
    ("mode", "state", "result", "booked"),
    [("queued", "refunded", "success", "succeeded"), ("rejected", "refund_rejected", "rejected", "failed")],
)
async def test_a_refund_may_be_queued(ottu: Merchant, mode: str, state: str, result: str, booked: str) -> None:
    await ottu.register(instance={"refunds": mode})
    session_id = await paid(ottu)
    first = await ottu.operate("refund", session_id, **key("k1"))
    assert (first["result"], first["txn"]["state"]) == ("queued", "refund_queued")
    assert (await ottu.movements())[-1] == ("refund", "processing", 12500)
    await ottu.operate("refund", session_id, amount="1", expect=400)
    await ottu.advance(timedelta(hours=1))
    told = ottu.inbox.received[-1]
    assert (told["result"], told["success"], told["txn"]["state"]) == (result, booked == "succeeded", state)
    assert (await ottu.movements())[1] == ("refund", booked, 12500)
    assert (await ottu.operate("refund", session_id, **key("k1")))["state"] == state
    left = 200 if mode == "rejected" else 400
    await ottu.operate("refund", session_id, amount="1", expect=left)


async def test_what_was_not_paid_or_in_another_currency_is_not_refunded(ottu: Merchant) -> None:
    session = await ottu.create()
    assert (await ottu.operate("refund", session["session_id"], expect=400))["result"] == "failed"
    assert await ottu.ledger() == []
    foreign = await paid(ottu, currency_code="SAR", amount="10")
    await ottu.operate("refund", foreign, expect=400)
    await ottu.operate("refund", await paid(ottu), destination="wallet", expect=400)
    assert (await ottu.operate("refund", "nothing", expect=400))["detail"] == "Payment transaction not found."
    required = ["This field is required."]
    assert await ottu.call("/b/pbl/v2/operation/", {}, expect=400) == {"operation": required}
    assert list(await ottu.call("/b/pbl/v2/operation/", {"operation": "void"}, expect=400)) == ["session_id"]


# Authorization first


async def test_captures_take_what_was_authorized_and_refunds_what_was_captured(ottu: Merchant) -> None:
    session_id = await paid(ottu, pg_codes=["mpgs-kwd-auth"])
    await ottu.operate("refund", session_id, expect=400)
    await ottu.operate("capture", session_id, amount="13", expect=400)
    captured = await ottu.operate("capture", session_id, amount="5", **key("c1"))
    assert captured["txn"]["state"] == "paid"
    assert (await ottu.operate("capture", session_id, **key("c1")))["state"] == "paid"
    await ottu.operate("void", session_id, expect=400)
    await ottu.operate("refund", session_id, amount="6", expect=400)
    assert (await ottu.operate("capture", session_id))["amount"] == "7.500"
    await ottu.operate("capture", session_id, expect=400)
    await ottu.operate("refund", session_id, amount="12.5")
    assert await ottu.state(session_id) == "authorized"
    kept = [entry for entry in await ottu.movements() if entry[1] == "succeeded"]
    assert kept == [("debit", "succeeded", 5000), ("debit", "succeeded", 7500), ("refund", "succeeded", 12500)]


async def test_a_void_lets_an_authorization_go(ottu: Merchant) -> None:
    session_id = await paid(ottu, pg_codes=["mpgs-kwd-auth"])
    voided = await ottu.operate("void", session_id, amount="1")
    assert (voided["amount"], voided["txn"]["state"]) == ("12.500", "voided")
    assert await ottu.movements() == [("debit", "failed", 12500), ("cancel", "succeeded", 12500)]
    await ottu.operate("capture", session_id, expect=400)
    await ottu.operate("void", session_id, expect=400)
    await ottu.operate("void", await paid(ottu, order_no="INV-2"), expect=400)


# Inside Ottu


async def test_cancel_expire_and_delete_end_a_session(ottu: Merchant) -> None:
    for operation, state in (("cancel", "canceled"), ("expire", "expired")):
        session_id = (await ottu.create())["session_id"]
        done = await ottu.operate(operation, session_id)
        assert done == {"detail": "Operation done successfully", "operation": operation, "result": "success"}
        assert await ottu.state(session_id) == state
        refused = await ottu.operate(operation, session_id, expect=400)
        assert (refused["operation"], refused["result"]) == (operation, "failed")
        await ottu.charge(session_id, "1", expect=400)
    await ottu.operate("delete", session_id)
    await ottu.call(f"/b/checkout/v1/pymt-txn/{session_id}/", method="GET", expect=404)
    assert await ottu.ledger() == []
    assert (await ottu.quiet())["next_due_at"] is None


async def test_a_canceled_payment_in_process_never_succeeds(ottu: Merchant) -> None:
    token = await ottu.agree("processing_then_success")
    body = await ottu.debit(token)
    await ottu.operate("cancel", body["session_id"])
    await ottu.advance(timedelta(hours=1))
    assert await ottu.state(body["session_id"]) == "canceled"
    assert len(ottu.inbox.received) == 1
    assert (await ottu.movements())[1:] == [("debit", "failed", 12500), ("cancel", "succeeded", 12500)]


async def test_an_expired_payment_in_process_may_still_succeed(ottu: Merchant) -> None:
    body = await ottu.debit(await ottu.agree("processing_then_success"))
    await ottu.operate("expire", body["session_id"])
    await ottu.advance(timedelta(minutes=11))
    assert await ottu.state(body["session_id"]) == "paid"


async def test_a_paid_session_cannot_be_canceled(ottu: Merchant) -> None:
    session_id = await paid(ottu)
    await ottu.operate("cancel", session_id, expect=400)
    assert (await ottu.movements())[1:] == [("cancel", "failed", 12500)]


async def test_each_operation_has_a_permission_of_its_own(ottu: Merchant) -> None:
    session_id = (await ottu.create())["session_id"]
    users = [{"username": "u", "password": "p", "permissions": ["payment.cancel"]}]
    await ottu.register(users=users)
    ottu.authorization = "Basic " + base64.b64encode(b"u:p").decode()
    await ottu.operate("expire", session_id, expect=403)
    await ottu.operate("cancel", session_id)


# Status queries


async def test_a_query_is_blocked_for_ten_minutes_then_allowed_every_thirty_and_three_times_a_day(
    ottu: Merchant,
) -> None:
    session_id = await paid(ottu)
    throttled = await ottu.send("POST", "/b/pbl/v2/inquiry/", {"session_id": session_id})
    assert (throttled.status_code, list(throttled.json())) == (429, ["detail"])
    assert int(throttled.headers["retry-after"]) == 601
    ottu.now = START + 10 * MINUTE - timedelta(seconds=1)
    await ottu.inquire(session_id, expect=429)
    first = ottu.now = START + 10 * MINUTE
    assert said(await ottu.inquire(session_id)) == ("success", "paid")
    ottu.now += 29 * MINUTE
    await ottu.inquire(session_id, expect=429)
    ottu.now += MINUTE
    await ottu.inquire(session_id)
    ottu.now += 30 * MINUTE
    await ottu.inquire(session_id)
    ottu.now += 30 * MINUTE
    await ottu.inquire(session_id, expect=429)
    ottu.now = first + timedelta(days=1)
    await ottu.inquire(session_id)
    await ottu.register(instance={"throttled_status": 400})
    assert (await ottu.inquire(session_id, expect=400))["result"] == "failed"


async def test_thirty_queries_a_minute_are_answered_over_all_sessions(ottu: Merchant) -> None:
    session_ids = [(await ottu.create())["session_id"] for _ in range(31)]
    ottu.now += 10 * MINUTE
    answers = [
        (await ottu.send("POST", "/b/pbl/v2/inquiry/", {"session_id": session_id})).status_code
        for session_id in session_ids
    ]
    assert answers == [400] * 30 + [429]
    ottu.now += MINUTE
    await ottu.inquire(session_ids[-1], expect=400)


async def test_a_query_asks_the_gateway_and_ends_ottus_own_inquiry(ottu: Merchant) -> None:
    body = await ottu.debit(await ottu.agree("processing_then_success"))
    await ottu.advance(10 * MINUTE)
    known = await ottu.inquire(body["session_id"])
    assert (said(known), known["reference_number"]) == (("success", "paid"), body["reference_number"])
    await ottu.advance(timedelta(hours=1))
    assert len(ottu.inbox.received) == 1


async def test_a_query_may_ask_to_be_told(ottu: Merchant) -> None:
    body = await ottu.debit(await ottu.agree("insufficient_funds"))
    await ottu.advance(10 * MINUTE)
    answer = await ottu.inquire(body["session_id"], notify_webhook_url=True)
    assert said(answer) == ("failed", "attempted")
    await ottu.quiet()
    assert ottu.inbox.received[1:] == [answer]


async def test_a_query_finds_a_payment_by_its_order_number(ottu: Merchant) -> None:
    await paid(ottu)
    ottu.now += 10 * MINUTE
    body = await ottu.call("/b/pbl/v2/inquiry/", {"order_no": "INV-2026-11-0042"})
    assert said(body) == ("success", "paid")
    await ottu.call("/b/pbl/v2/inquiry/", {"order_no": "INV-9"}, expect=404)
    assert list(await ottu.call("/b/pbl/v2/inquiry/", {}, expect=400)) == ["session_id"]


async def test_what_was_never_tried_or_was_canceled_cannot_be_inquired(ottu: Merchant) -> None:
    untried = (await ottu.create())["session_id"]
    canceled = (await ottu.debit(await ottu.agree("insufficient_funds")))["session_id"]
    await ottu.operate("cancel", canceled)
    ottu.now += 10 * MINUTE
    for session_id in (untried, canceled):
        assert (await ottu.inquire(session_id, expect=400))["result"] == "failed"


async def test_a_query_tells_what_was_refunded(ottu: Merchant) -> None:
    session_id = await paid(ottu)
    refund = await ottu.operate("refund", session_id, amount="2.5")
    ottu.now += 10 * MINUTE
    body = await ottu.inquire(session_id)
    assert (said(body), body["refunded_amount"]) == (("success", "paid"), "2.500")
    assert body["transactions"] == [refund["txn"]]
