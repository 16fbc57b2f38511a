"""Debits of saved cards at the Ottu sandbox, and every word of the scripts (gateways/ottu.md §3, §10; design §8)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gateways.ottu.signing import BadSignature
from sandbox.ottu.scripts import GATEWAY_CODES, OTTUS_OWN, VOCABULARY
from tests.sandbox.ottu_support import AGREEMENT, START, VISA, Merchant, gateway_code, said

DECLINES = {
    "insufficient_funds": ("INSUFFICIENT_FUNDS", "51"),
    "limit_exceeded": ("DECLINED", "61"),
    "do_not_honor": ("DECLINED", "05"),
    "issuer_unavailable": ("ACQUIRER_SYSTEM_ERROR", "91"),
    "expired_card": ("EXPIRED_CARD", "54"),
    "lost_card": ("DECLINED_DO_NOT_CONTACT", "41"),
    "stolen_card": ("DECLINED_DO_NOT_CONTACT", "43"),
    "closed_account": ("DECLINED_DO_NOT_CONTACT", "46"),
    "revoked_by_payer": ("DECLINED_DO_NOT_CONTACT", "R1"),
    "authentication_required": ("AUTHENTICATION_FAILED", "1A"),
    "risk_reject": ("BLOCKED", ""),
}
CUT = (httpx.RemoteProtocolError, httpx.ReadError)
PAID = ("success", "paid")
UNPAID = ("failed", "attempted")


async def debits(ottu: Merchant) -> list[str]:
    """How the debits after the first payment stand in the ledger."""
    return [entry["status"] for entry in await ottu.ledger() if entry["kind"] == "debit"][1:]


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


# Scripts


def test_the_vocabulary_is_that_of_the_design() -> None:
    elsewhere = {"success", "invalid_token", "processing_then_success", "processing_then_failure", "timeout"}
    wire = {"lost_answer_success", "lost_answer_failure", "http_500", "garbage", "bad_signature"}
    news = {"double_notification", "late_notification", "shuffled_notifications"}
    assert set(VOCABULARY) == set(DECLINES) | elsewhere | wire | news
    assert set(OTTUS_OWN) == {"gateway_error", "late_success", "http_400", "http_429"}


@pytest.mark.parametrize(("word", "codes"), DECLINES.items())
async def test_a_decline_is_http_200_with_the_gateways_codes(ottu: Merchant, word: str, codes: tuple[str, str]) -> None:
    body = await ottu.debit(await ottu.agree(word))
    assert said(body) == UNPAID
    assert gateway_code(body) == codes
    assert body["gateway_response"]["result"] == "FAILURE"
    assert body["pg_params"] == {"result": "DECLINED", "pg_message": body["message"]}
    assert (body["remaining_amount"], body.keys() & {"token", "paid_amount", "timestamp_utc"}) == ("12.500", set())
    assert await debits(ottu) == ["failed"]


@pytest.mark.parametrize("word", sorted(GATEWAY_CODES))
async def test_any_gateway_code_can_be_scripted(ottu: Merchant, word: str) -> None:
    token = await ottu.agree(f"{word},success")
    body = await ottu.debit(token)
    assert (said(body), gateway_code(body)) == (UNPAID, (word, ""))
    assert said(await ottu.debit(token)) == PAID


async def test_a_script_is_used_up_in_order_and_its_last_word_repeats(ottu: Merchant) -> None:
    token = await ottu.agree("insufficient_funds, success")
    assert [said(await ottu.debit(token))[0] for _ in range(4)] == ["failed", "success", "success", "success"]
    card = await ottu.credential()
    assert card["script"] == "insufficient_funds,success"
    await ottu.admin(f"credentials/{card['id']}/script", {"script": "risk_reject,success"})
    assert gateway_code(await ottu.debit(token)) == ("BLOCKED", "")
    url = f"{ottu.base_url}/_sandbox/credentials/{card['id']}/script"
    assert (await ottu.http.post(url, json={"script": "win"})).status_code == 422
    assert (await ottu.http.post(url.replace(card["id"], "x"), json={"script": ""})).status_code == 404


async def test_a_revocation_during_a_debit_lasts(ottu: Merchant) -> None:
    token = await ottu.agree("revoked_by_payer,success")
    await ottu.debit(token)
    assert (await ottu.credential())["status"] == "revoked"
    assert gateway_code(await ottu.debit(token)) == ("DECLINED_DO_NOT_CONTACT", "R1")


async def test_an_invalid_token_is_a_field_error(ottu: Merchant) -> None:
    token = await ottu.agree("invalid_token")
    session_id = (await ottu.create())["session_id"]
    assert await ottu.charge(session_id, token, expect=400) == {"token": ["Invalid token."]}
    assert await ottu.state(session_id) == "created"
    assert await debits(ottu) == ["failed"]


@pytest.mark.parametrize(
    ("word", "result", "state", "booked"),
    [
        ("processing_then_success", "success", "paid", "succeeded"),
        ("processing_then_failure", "failed", "attempted", "failed"),
    ],
)
async def test_a_debit_in_process_is_inquired_by_ottu_and_told(
    ottu: Merchant, word: str, result: str, state: str, booked: str
) -> None:
    token = await ottu.agree(word)
    body = await ottu.debit(token)
    assert said(body) == ("pending", "pending")
    assert body["gateway_response"] == {"result": "PENDING", "response": {"gatewayCode": "PENDING"}}
    assert await debits(ottu) == ["processing"]
    told = len(ottu.inbox.received)
    clock = await ottu.advance(timedelta(minutes=10, seconds=59))
    assert datetime.fromisoformat(clock["next_due_at"]) == START + timedelta(minutes=11)
    assert (await ottu.state(body["session_id"]), len(ottu.inbox.received)) == ("pending", told)

    await ottu.advance(timedelta(seconds=1))
    assert await ottu.state(body["session_id"]) == state
    assert [said(body) for body in ottu.inbox.received[told:]] == [(result, state)]
    assert ottu.inbox.received[-1]["reference_number"] == body["reference_number"]
    assert await debits(ottu) == [booked]


async def test_a_failure_may_turn_into_a_success(ottu: Merchant) -> None:
    token = await ottu.agree("late_success")
    body = await ottu.debit(token, expiration_time="00:05:00")
    assert said(body) == UNPAID
    await ottu.advance(timedelta(minutes=5))
    assert await ottu.state(body["session_id"]) == "expired"
    await ottu.advance(timedelta(minutes=6))
    assert said(ottu.inbox.received[-1]) == PAID
    assert await debits(ottu) == ["succeeded"]


@pytest.mark.parametrize(
    ("word", "state", "booked"),
    [("lost_answer_success", "paid", "succeeded"), ("lost_answer_failure", "attempted", "failed")],
)
async def test_a_lost_answer_leaves_the_truth_to_be_asked_for(
    ottu: Merchant, word: str, state: str, booked: str
) -> None:
    token = await ottu.agree(f"{word},risk_reject")
    session_id = (await ottu.create(order_no="INV-2"))["session_id"]
    with pytest.raises(CUT):
        await ottu.charge(session_id, token)
    assert await ottu.state(session_id) == state
    assert await debits(ottu) == [booked]
    await ottu.quiet()
    assert len(ottu.inbox.received) == 1


async def test_a_timed_out_debit_never_reached_ottu(ottu: Merchant) -> None:
    token = await ottu.agree("timeout,timeout,success")
    session_id = (await ottu.create())["session_id"]
    patient = ottu.http
    async with httpx.AsyncClient(timeout=0.2, trust_env=False) as ottu.http:
        with pytest.raises(httpx.ReadTimeout):
            await ottu.charge(session_id, token)
    ottu.http = patient
    with pytest.raises(CUT):  # a patient caller is cut off after the hold
        await ottu.charge(session_id, token)
    assert await ottu.state(session_id) == "created"
    assert await debits(ottu) == []
    assert said(await ottu.charge(session_id, token)) == PAID


@pytest.mark.parametrize(("word", "status"), [("http_500", 500), ("http_429", 429)])
async def test_an_error_of_the_server_means_no_debit(ottu: Merchant, word: str, status: int) -> None:
    token = await ottu.agree(f"{word},success")
    session_id = (await ottu.create())["session_id"]
    answer = await ottu.send("POST", "/b/pbl/v2/auto-debit/", {"session_id": session_id, "token": token})
    assert answer.status_code == status
    assert await debits(ottu) == []
    assert said(await ottu.charge(session_id, token)) == PAID


async def test_a_refusal_may_come_as_http_400(ottu: Merchant) -> None:
    token = await ottu.agree("http_400")
    session_id = (await ottu.create())["session_id"]
    assert (await ottu.charge(session_id, token, expect=400))["result"] == "failed"
    await ottu.register(instance={"declined_status": 400})
    await ottu.admin(f"credentials/{(await ottu.credential())['id']}/script", {"script": "do_not_honor"})
    refused = await ottu.charge(session_id, token, expect=400)
    assert refused == {"detail": "Do not honour", "result": "failed"}
    assert await ottu.state(session_id) == "attempted"
    assert await debits(ottu) == ["failed", "failed"]


async def test_an_error_at_the_gateway_is_http_200_without_a_reason(ottu: Merchant) -> None:
    body = await ottu.debit(await ottu.agree("gateway_error"))
    assert said(body) == ("error", "attempted")
    assert (body["message"], body["gateway_response"], body["pg_params"]) == ("Unknown Error", {}, {})


async def test_garbage_hides_a_success(ottu: Merchant) -> None:
    token = await ottu.agree("garbage")
    session_id = (await ottu.create())["session_id"]
    answer = await ottu.send("POST", "/b/pbl/v2/auto-debit/", {"session_id": session_id, "token": token})
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()
    assert await ottu.state(session_id) == "paid"


async def test_a_wrong_signature_hides_a_success(ottu: Merchant) -> None:
    token = await ottu.agree("bad_signature")
    session_id = (await ottu.create())["session_id"]
    with pytest.raises(BadSignature):
        await ottu.charge(session_id, token)
    assert await ottu.state(session_id) == "paid"


# News of debits, which by default there is none of


async def test_double_news_arrives_twice(ottu: Merchant) -> None:
    paid = await ottu.debit(await ottu.agree("double_notification"))
    await ottu.quiet()
    first, second = ottu.inbox.received[1:]
    assert first == second == paid


async def test_late_news_arrives_an_hour_later(ottu: Merchant) -> None:
    paid = await ottu.debit(await ottu.agree("late_notification"))
    await ottu.advance(timedelta(minutes=59))
    assert len(ottu.inbox.received) == 1
    await ottu.advance(timedelta(minutes=1))
    assert ottu.inbox.received[1:] == [paid]


async def test_shuffled_news_ends_with_an_earlier_attempts(ottu: Merchant) -> None:
    paid = await ottu.debit(await ottu.agree("shuffled_notifications"))
    await ottu.quiet()
    first, stale = ottu.inbox.received[1:]
    assert first == paid
    assert said(stale) == ("error", "attempted")
    assert (stale["session_id"], stale["order_no"]) == (paid["session_id"], paid["order_no"])
    assert stale["reference_number"] != paid["reference_number"]
    assert await ottu.state(paid["session_id"]) == "paid"


async def test_a_merchant_may_be_told_of_every_debit(ottu: Merchant) -> None:
    await ottu.register(instance={"webhooks_for_debits": True})
    token = await ottu.agree("insufficient_funds,success")
    declined, paid = await ottu.debit(token), await ottu.debit(token, "INV-3")
    await ottu.quiet()
    assert ottu.inbox.received[1:] == [declined, paid]


# Faults


async def test_faults_hit_any_call(ottu: Merchant) -> None:
    token = await ottu.agree()
    session_id = (await ottu.create())["session_id"]
    await ottu.admin("faults", {"http_500": 1})
    assert (await ottu.send("POST", "/b/pbl/v2/inquiry/", {})).status_code == 500
    await ottu.admin("faults", {"lost_answer": 1})
    with pytest.raises(CUT):
        await ottu.charge(session_id, token)
    await ottu.admin("faults", {})
    assert await ottu.state(session_id) == "paid"


async def test_without_a_clock_real_time_counts(ottu: Merchant) -> None:
    ottu.clock = None
    token = await ottu.agree()
    session = await ottu.create(expiration_time="00:00:30")  # at fifty times the speed
    async with asyncio.timeout(5):
        while await ottu.state(session["session_id"]) != "expired":
            await asyncio.sleep(0.02)
    assert (await ottu.charge(session["session_id"], token, expect=400))["result"] == "failed"
    taken = datetime.fromisoformat((await ottu.ledger())[0]["virtual_time"])
    assert abs(datetime.now(UTC) - taken) < timedelta(seconds=30)
