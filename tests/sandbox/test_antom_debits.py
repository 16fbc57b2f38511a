"""Debits, cancels and refunds at the Antom sandbox, and every word of the scripts (gateways/antom.md §3.4-3.8, §8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from gateways.antom.signing import BadSignature
from sandbox.antom.scripts import REFUSALS, VOCABULARY
from tests.sandbox.support import IMPATIENCE, START, Inbox, Merchant, code, until

DAY = timedelta(days=1)
CONFIRMED = {
    "insufficient_funds": "USER_BALANCE_NOT_ENOUGH",
    "limit_exceeded": "USER_AMOUNT_EXCEED_LIMIT",
    "do_not_honor": "PROCESS_FAIL",
    "issuer_unavailable": "UNAVAILABLE_PAYMENT_METHOD",
    "expired_card": "USER_STATUS_ABNORMAL",
    "lost_card": "USER_STATUS_ABNORMAL",
    "stolen_card": "USER_STATUS_ABNORMAL",
    "closed_account": "USER_NOT_EXIST",
    "invalid_token": "INVALID_ACCESS_TOKEN",
    "revoked_by_payer": "INVALID_ACCESS_TOKEN",
    "authentication_required": "AUTHENTICATION_REQUIRED",
    "risk_reject": "RISK_REJECT",
}


async def statuses(merchant: Merchant) -> list[tuple[str, str]]:
    return [(entry["kind"], entry["status"]) for entry in await merchant.ledger()]


async def test_a_debit_is_answered_told_and_booked(merchant: Merchant, inbox: Inbox) -> None:
    token = (await merchant.token())["accessToken"]
    paid = await merchant.pay(token)
    assert code(paid) == "SUCCESS"
    assert paid["paymentAmount"] == paid["actualPaymentAmount"] == {"currency": "PHP", "value": "49900"}
    assert paid["paymentTime"] == "2027-01-31T09:00:00+08:00"
    assert paid["paymentId"].startswith("20270131")
    await until(lambda: inbox.of("PAYMENT_RESULT"))
    told = inbox.of("PAYMENT_RESULT")[0]
    assert (told["paymentId"], told["result"]["resultStatus"]) == (paid["paymentId"], "S")
    assert await merchant.ledger() == [
        {
            "request_id": "pr_1",
            "kind": "debit",
            "amount": 49900,
            "currency": "PHP",
            "status": "succeeded",
            "virtual_time": "2027-01-31T01:00:00+00:00",
            "credential": (await merchant.admin("credentials"))["data"][0]["id"],
            "merchant_reference": "inv_1",
        }
    ]


async def test_a_repeat_is_answered_like_the_first_and_debits_nothing(merchant: Merchant) -> None:
    token = (await merchant.token("success,insufficient_funds,success"))["accessToken"]
    assert await merchant.pay(token, "pr_1") == await merchant.pay(token, "pr_1")
    assert code(await merchant.pay(token, "pr_2")) == "USER_BALANCE_NOT_ENOUGH"
    assert code(await merchant.pay(token, "pr_2")) == "USER_BALANCE_NOT_ENOUGH"
    assert await statuses(merchant) == [("debit", "succeeded"), ("debit", "failed")]


async def test_a_repeat_with_other_parameters_is_refused(merchant: Merchant) -> None:
    token = (await merchant.token())["accessToken"]
    other = (await merchant.token(state="as_2"))["accessToken"]
    await merchant.pay(token, "pr_1")
    assert code(await merchant.pay(token, "pr_1", value="100")) == "REPEAT_REQ_INCONSISTENT"
    assert code(await merchant.pay(other, "pr_1")) == "REPEAT_REQ_INCONSISTENT"
    assert len(await merchant.ledger()) == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"productCode": "CASHIER_PAYMENT"}, "PARAM_ILLEGAL"),
        ({"paymentRequestId": ""}, "PARAM_ILLEGAL"),
        ({"paymentRequestId": "x" * 65}, "PARAM_ILLEGAL"),
        ({"env": None}, "PARAM_ILLEGAL"),
        ({"env": {"terminalType": "FRIDGE"}}, "PARAM_ILLEGAL"),
        ({"order": {"referenceOrderId": "inv_1"}}, "PARAM_ILLEGAL"),
        ({"paymentNotifyUrl": "not a url"}, "PARAM_ILLEGAL"),
        ({"paymentExpiryTime": "2027-01-31T09:01:00+08:00"}, "PARAM_ILLEGAL"),
        ({"paymentExpiryTime": "2027-01-31T09:00:59+08:00"}, "SUCCESS"),
        ({"paymentAmount": {"currency": "PHP", "value": "0"}}, "PARAM_ILLEGAL"),
        ({"paymentAmount": {"currency": "PHP", "value": "-1"}}, "PARAM_ILLEGAL"),
        ({"paymentAmount": {"currency": "PHP", "value": "499.00"}}, "PARAM_ILLEGAL"),
        ({"paymentAmount": {"currency": "PHP", "value": 499.5}}, "PARAM_ILLEGAL"),
        ({"paymentAmount": {"currency": "PHP", "value": True}}, "PARAM_ILLEGAL"),
        ({"paymentAmount": {"currency": "PHP", "value": "1" * 17}}, "PARAM_ILLEGAL"),
        ({"paymentAmount": {"currency": "XXX", "value": "49900"}}, "PARAM_ILLEGAL"),
        ({"paymentAmount": {"currency": "USD", "value": "49900"}}, "CURRENCY_NOT_SUPPORT"),
        ({"paymentAmount": {"currency": "PHP", "value": "99"}}, "INVALID_AMOUNT"),
    ],
)
async def test_pay_checks_its_fields(merchant: Merchant, change: dict[str, Any], expected: str) -> None:
    token = (await merchant.token())["accessToken"]
    answer = await merchant.call("payments/pay", **merchant.payment(token, "pr_1") | change)
    assert code(answer) == expected
    assert len(await merchant.ledger()) == (expected == "SUCCESS")


async def test_a_rupiah_has_no_fraction(merchant: Merchant) -> None:
    token = (await merchant.token(wallet="DANA"))["accessToken"]
    rupiah = {"currency": "IDR", "wallet": "DANA"}
    assert code(await merchant.pay(token, "pr_1", value="3000050", **rupiah)) == "PARAM_ILLEGAL"
    assert code(await merchant.pay(token, "pr_1", value="3000000", **rupiah)) == "SUCCESS"


async def test_a_token_of_another_wallet_is_illegal_and_an_unknown_one_invalid(merchant: Merchant) -> None:
    token = (await merchant.token())["accessToken"]
    assert code(await merchant.pay(token, "pr_1", wallet="MAYA")) == "PARAM_ILLEGAL"
    assert code(await merchant.pay("at_unknown", "pr_2")) == "INVALID_ACCESS_TOKEN"
    assert [entry["credential"] for entry in await merchant.ledger()] == [None]


# Scripts


@pytest.mark.parametrize(("word", "expected"), CONFIRMED.items())
async def test_a_decline_is_answered_with_antoms_code_and_told_when_the_order_closes(
    merchant: Merchant, inbox: Inbox, word: str, expected: str
) -> None:
    token = (await merchant.token(word))["accessToken"]
    declined = await merchant.pay(token)
    assert declined["result"]["resultStatus"] == "F"
    assert code(declined) == expected
    truth = await merchant.inquire()
    assert (truth["paymentStatus"], truth["paymentResultCode"]) == ("FAIL", expected)
    assert await statuses(merchant) == [("debit", "failed")]

    await merchant.quiet()
    assert inbox.of("PAYMENT_RESULT") == []
    await merchant.advance(START + timedelta(seconds=60))
    assert code(inbox.of("PAYMENT_RESULT")[0]) == expected


@pytest.mark.parametrize("expected", sorted(REFUSALS))
async def test_any_code_of_pay_can_be_scripted(merchant: Merchant, expected: str) -> None:
    token = (await merchant.token(f"{expected},success"))["accessToken"]
    declined = await merchant.pay(token, "pr_1")
    assert (code(declined), declined["result"]["resultStatus"]) == (expected, "F")
    assert code(await merchant.pay(token, "pr_2")) == "SUCCESS"


async def test_a_throttled_debit_did_not_happen(merchant: Merchant) -> None:
    token = (await merchant.token("REQUEST_TRAFFIC_EXCEED_LIMIT,success"))["accessToken"]
    throttled = await merchant.pay(token)
    assert (code(throttled), throttled["result"]["resultStatus"]) == ("REQUEST_TRAFFIC_EXCEED_LIMIT", "U")
    assert await merchant.ledger() == []
    assert code(await merchant.pay(token)) == "SUCCESS"


def test_the_vocabulary_is_that_of_the_design() -> None:
    elsewhere = {"success", "processing_then_success", "processing_then_failure", "timeout", "http_500", "garbage"}
    wire = {"lost_answer_success", "lost_answer_failure", "bad_signature"}
    news = {"double_notification", "late_notification", "shuffled_notifications"}
    assert set(VOCABULARY) == set(CONFIRMED) | elsewhere | wire | news


async def test_a_script_is_used_up_in_order_and_its_last_word_repeats(merchant: Merchant) -> None:
    token = (await merchant.token("insufficient_funds, success"))["accessToken"]
    got = [code(await merchant.pay(token, f"pr_{number}")) for number in range(4)]
    assert got == ["USER_BALANCE_NOT_ENOUGH", "SUCCESS", "SUCCESS", "SUCCESS"]

    credential = (await merchant.admin("credentials"))["data"][0]
    await merchant.admin(f"credentials/{credential['id']}/script", {"script": "risk_reject,success"})
    assert code(await merchant.pay(token, "pr_4")) == "RISK_REJECT"
    unknown = await merchant.http.post(
        f"{merchant.base_url}/_sandbox/credentials/{credential['id']}/script", json={"script": "win"}
    )
    assert unknown.status_code == 422


async def test_a_payer_who_revokes_during_a_debit_kills_the_token(merchant: Merchant, inbox: Inbox) -> None:
    token = (await merchant.token("revoked_by_payer"))["accessToken"]
    assert code(await merchant.pay(token)) == "INVALID_ACCESS_TOKEN"
    await until(lambda: inbox.of("TOKEN_CANCELED"))
    assert (await merchant.admin("credentials"))["data"][0]["status"] == "revoked"


@pytest.mark.parametrize(
    ("word", "status", "final"),
    [("processing_then_success", "S", "SUCCESS"), ("processing_then_failure", "F", "FAIL")],
)
async def test_a_debit_in_process_settles_thirty_seconds_later(
    merchant: Merchant, inbox: Inbox, word: str, status: str, final: str
) -> None:
    token = (await merchant.token(word))["accessToken"]
    first = await merchant.pay(token)
    assert (code(first), first["result"]["resultStatus"]) == ("PAYMENT_IN_PROCESS", "U")
    assert code(await merchant.pay(token)) == "PAYMENT_IN_PROCESS"
    assert await statuses(merchant) == [("debit", "processing")]
    state = await merchant.advance(START + timedelta(seconds=29))
    assert datetime.fromisoformat(state["next_due_at"]) == START + timedelta(seconds=30)
    assert (await merchant.inquire())["paymentStatus"] == "PROCESSING"

    state = await merchant.advance(START + timedelta(seconds=30))
    assert state["next_due_at"] is None
    assert [body["result"]["resultStatus"] for body in inbox.of("PAYMENT_RESULT")] == [status]
    assert (await merchant.inquire())["paymentStatus"] == final
    assert await statuses(merchant) == [("debit", "succeeded" if status == "S" else "failed")]


async def test_an_order_closes_at_its_expiry_if_it_is_not_paid(merchant: Merchant, inbox: Inbox) -> None:
    token = (await merchant.token("processing_then_success"))["accessToken"]
    body = merchant.payment(token, "pr_1") | {"paymentExpiryTime": (START + timedelta(seconds=20)).isoformat()}
    assert code(await merchant.call("payments/pay", **body)) == "PAYMENT_IN_PROCESS"
    state = await merchant.advance(START + timedelta(minutes=5))
    assert state["next_due_at"] is None
    assert [code(told) for told in inbox.of("PAYMENT_RESULT")] == ["ORDER_IS_CLOSED"]
    assert (await merchant.inquire())["paymentStatus"] == "FAIL"
    assert await statuses(merchant) == [("debit", "failed")]


@pytest.mark.parametrize(("word", "final"), [("lost_answer_success", "SUCCESS"), ("lost_answer_failure", "FAIL")])
async def test_a_lost_answer_leaves_the_truth_to_be_inquired(merchant: Merchant, word: str, final: str) -> None:
    token = (await merchant.token(f"{word},risk_reject"))["accessToken"]
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await merchant.pay(token)
    assert (await merchant.inquire())["paymentStatus"] == final
    assert code(await merchant.pay(token)) == ("SUCCESS" if final == "SUCCESS" else "USER_BALANCE_NOT_ENOUGH")
    assert len(await merchant.ledger()) == 1


async def test_a_timed_out_debit_never_happened(merchant: Merchant) -> None:
    token = (await merchant.token("timeout,success"))["accessToken"]
    impatient = httpx.AsyncClient(timeout=IMPATIENCE, trust_env=False)
    patient, merchant.http = merchant.http, impatient
    with pytest.raises(httpx.ReadTimeout):
        await merchant.pay(token)
    merchant.http = patient
    await impatient.aclose()
    assert code(await merchant.inquire()) == "ORDER_NOT_EXIST"
    assert await merchant.ledger() == []
    assert code(await merchant.pay(token)) == "SUCCESS"


async def test_a_patient_caller_is_cut_off_after_the_hold(merchant: Merchant) -> None:
    token = (await merchant.token("timeout"))["accessToken"]
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await merchant.pay(token)
    assert await merchant.ledger() == []


async def test_http_500_means_no_debit(merchant: Merchant) -> None:
    token = (await merchant.token("http_500,success"))["accessToken"]
    body = httpx.Request("POST", "http://x", json=merchant.payment(token, "pr_1")).content
    assert (await merchant.send("payments/pay", body)).status_code == 500
    assert await merchant.ledger() == []
    assert code(await merchant.pay(token)) == "SUCCESS"


async def test_garbage_is_signed_and_no_json(merchant: Merchant) -> None:
    token = (await merchant.token("garbage"))["accessToken"]
    body = httpx.Request("POST", "http://x", json=merchant.payment(token, "pr_1")).content
    answer = await merchant.send("payments/pay", body)
    assert answer.status_code == 200
    merchant.check(answer)
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()
    assert (await merchant.inquire())["paymentStatus"] == "SUCCESS"


async def test_a_wrong_signature_hides_a_success(merchant: Merchant) -> None:
    token = (await merchant.token("bad_signature"))["accessToken"]
    with pytest.raises(BadSignature):
        await merchant.pay(token)
    assert (await merchant.inquire())["paymentStatus"] == "SUCCESS"


async def test_double_news_arrives_twice(merchant: Merchant, inbox: Inbox) -> None:
    await merchant.pay((await merchant.token("double_notification"))["accessToken"])
    await merchant.quiet()
    first, second = inbox.of("PAYMENT_RESULT")
    assert first == second


async def test_late_news_arrives_an_hour_later(merchant: Merchant, inbox: Inbox) -> None:
    await merchant.pay((await merchant.token("late_notification"))["accessToken"])
    state = await merchant.quiet()
    assert datetime.fromisoformat(state["next_due_at"]) == START + timedelta(hours=1)
    assert inbox.of("PAYMENT_RESULT") == []
    await merchant.advance(START + timedelta(hours=1))
    assert code(inbox.of("PAYMENT_RESULT")[0]) == "SUCCESS"


async def test_shuffled_news_ends_with_a_stale_pending(merchant: Merchant, inbox: Inbox) -> None:
    await merchant.pay((await merchant.token("shuffled_notifications"))["accessToken"])
    await merchant.quiet()
    assert [body["notifyType"] for body in inbox.received[1:]] == ["PAYMENT_RESULT", "PAYMENT_PENDING"]


# Cancels and refunds


async def test_a_cancel_gives_everything_back_and_is_repeatable(merchant: Merchant) -> None:
    token = (await merchant.token())["accessToken"]
    paid = await merchant.pay(token)
    canceled = await merchant.call("payments/cancel", paymentRequestId="pr_1")
    assert code(canceled) == "SUCCESS"
    assert await merchant.call("payments/cancel", paymentId=paid["paymentId"]) == canceled
    assert (await merchant.inquire())["paymentStatus"] == "CANCELLED"
    assert code(await merchant.pay(token)) == "ORDER_IS_CANCELED"
    assert await statuses(merchant) == [("debit", "succeeded"), ("cancel", "succeeded")]
    assert code(await merchant.call("payments/cancel", paymentRequestId="pr_9")) == "ORDER_NOT_EXIST"


async def test_a_cancel_ends_a_debit_in_process(merchant: Merchant, inbox: Inbox) -> None:
    await merchant.pay((await merchant.token("processing_then_success"))["accessToken"])
    assert code(await merchant.call("payments/cancel", paymentRequestId="pr_1")) == "SUCCESS"
    assert await statuses(merchant) == [("debit", "failed"), ("cancel", "succeeded")]
    await merchant.advance(START + DAY)
    assert inbox.of("PAYMENT_RESULT") == []
    assert (await merchant.inquire())["paymentStatus"] == "CANCELLED"


async def test_a_failed_debit_cannot_be_cancelled(merchant: Merchant) -> None:
    await merchant.pay((await merchant.token("insufficient_funds"))["accessToken"])
    assert code(await merchant.call("payments/cancel", paymentRequestId="pr_1")) == "ORDER_STATUS_INVALID"


@pytest.mark.parametrize(("time", "expected"), [("16:14:59", "SUCCESS"), ("16:15:00", "CANCEL_WINDOW_EXCEED")])
async def test_cancels_end_a_quarter_past_midnight_in_gmt_8(merchant: Merchant, time: str, expected: str) -> None:
    await merchant.pay((await merchant.token())["accessToken"])
    merchant.now = datetime.fromisoformat(f"2027-01-31T{time}+00:00")
    answer = await merchant.call("payments/cancel", paymentRequestId="pr_1")
    assert code(answer) == (expected)


async def refund(merchant: Merchant, paid: dict[str, Any], request_id: str, value: str, **more: Any) -> dict[str, Any]:
    return await merchant.call(
        "payments/refund",
        refundRequestId=request_id,
        paymentId=paid["paymentId"],
        refundAmount={"currency": "PHP", "value": value},
        **more,
    )


async def test_refunds_never_exceed_the_payment(merchant: Merchant, inbox: Inbox) -> None:
    paid = await merchant.pay((await merchant.token())["accessToken"])
    first = await refund(merchant, paid, "rf_1", "40000")
    assert code(first) == "SUCCESS"
    await merchant.quiet()
    assert await refund(merchant, paid, "rf_1", "40000") == first
    assert code(await refund(merchant, paid, "rf_1", "100")) == "REPEAT_REQ_INCONSISTENT"
    assert code(await refund(merchant, paid, "rf_2", "9901")) == "REFUND_AMOUNT_EXCEED"
    assert code(await refund(merchant, paid, "rf_3", "9900")) == "SUCCESS"
    assert code(await merchant.call("payments/cancel", paymentRequestId="pr_1")) == "PROCESS_FAIL"

    await merchant.quiet()
    assert [(told["refundRequestId"], told["refundStatus"]) for told in inbox.of("REFUND_RESULT")] == [
        ("rf_1", "SUCCESS"),
        ("rf_3", "SUCCESS"),
    ]
    inquired = await merchant.call("payments/inquiryRefund", refundRequestId="rf_1")
    assert (inquired["refundStatus"], inquired["refundAmount"]["value"]) == ("SUCCESS", "40000")
    assert code(await merchant.call("payments/inquiryRefund", refundRequestId="rf_9")) == "REFUND_NOT_EXIST"
    entries = [(e["kind"], e["request_id"], e["amount"], e["status"]) for e in await merchant.ledger()]
    assert entries == [
        ("debit", "pr_1", 49900, "succeeded"),
        ("refund", "rf_1", 40000, "succeeded"),
        ("refund", "rf_2", 9901, "failed"),
        ("refund", "rf_3", 9900, "succeeded"),
        ("cancel", "pr_1", 49900, "failed"),
    ]


async def test_refunds_are_refused_for_what_was_not_paid_or_too_long_ago(merchant: Merchant) -> None:
    token = (await merchant.token("insufficient_funds,success"))["accessToken"]
    await merchant.pay(token, "pr_1")
    failed = await merchant.inquire("pr_1")
    assert code(await refund(merchant, failed, "rf_1", "100")) == "ORDER_STATUS_INVALID"
    assert code(await refund(merchant, {"paymentId": "1"}, "rf_2", "100")) == "ORDER_NOT_EXIST"
    paid = await merchant.pay(token, "pr_2")
    assert code(await refund(merchant, paid, "rf_3", "99")) == "PARAM_ILLEGAL"
    canceled = await merchant.pay(token, "pr_3")
    await merchant.call("payments/cancel", paymentRequestId="pr_3")
    assert code(await refund(merchant, canceled, "rf_4", "100")) == "ORDER_IS_CANCELED"
    merchant.now = START + 365 * DAY
    assert code(await refund(merchant, paid, "rf_5", "100")) == "SUCCESS"
    merchant.now += timedelta(seconds=1)
    assert code(await refund(merchant, paid, "rf_6", "100")) == "REFUND_WINDOW_EXCEED"


async def test_an_asynchronous_refund_is_accepted_first(merchant: Merchant, inbox: Inbox) -> None:
    paid = await merchant.pay((await merchant.token())["accessToken"])
    assert code(await refund(merchant, paid, "rf_1", "100", isAsyncRefund="true")) == "REFUND_IN_PROCESS"
    assert (await merchant.call("payments/inquiryRefund", refundRequestId="rf_1"))["refundStatus"] == "PROCESSING"
    await merchant.advance(START + timedelta(seconds=30))
    assert (await merchant.call("payments/inquiryRefund", refundRequestId="rf_1"))["refundStatus"] == "SUCCESS"
    assert len(inbox.of("REFUND_RESULT")) == 1
