"""Every word of the scripts at the Ottu sandbox, and faults (gateways/ottu.md §3.4, §10; design §8)."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
import pytest

from gateways.ottu.signing import BadSignature
from sandbox.ottu.scripts import GATEWAY_CODES, OTTUS_OWN, VOCABULARY
from tests.sandbox.ottu_support import START, Merchant, debits, gateway_code, said
from tests.sandbox.support import IMPATIENCE

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
    async with httpx.AsyncClient(timeout=IMPATIENCE, trust_env=False) as ottu.http:
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
    declined = await ottu.debit(token)
    await ottu.quiet()
    paid = await ottu.debit(token, "INV-3")
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
