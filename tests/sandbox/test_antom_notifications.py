"""Notifications of the Antom sandbox: signed, resent on the documented schedule, due by their clock; and its faults."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.support import PATIENT, START, SUCCESS, Inbox, Merchant, a_sandbox, code, until

WAITS = [timedelta(minutes=m) for m in (0, 2, 10, 10, 60, 120, 360, 900)]
"""gateways/antom.md §4.1."""


async def log(merchant: Merchant, kind: str) -> list[dict[str, Any]]:
    return [row for row in (await merchant.admin("notifications"))["data"] if row["type"] == kind]


async def test_an_unacknowledged_message_is_sent_eight_times_within_a_day(merchant: Merchant, inbox: Inbox) -> None:
    token = (await merchant.token())["accessToken"]
    inbox.answers = [(500, {})] * 20
    await merchant.pay(token)
    due = START
    for number, wait in enumerate(WAITS, start=1):
        due += wait
        if number > 1:
            state = await merchant.advance(due - timedelta(seconds=1))
            assert datetime.fromisoformat(state["next_due_at"]) == due
        await merchant.advance(due)
        assert len(inbox.of("PAYMENT_RESULT")) == number
    assert (await merchant.quiet())["next_due_at"] is None
    row = (await log(merchant, "PAYMENT_RESULT"))[0]
    assert (row["attempts"], row["last_status"], row["acknowledged"]) == (8, 500, False)


async def test_a_leap_of_the_clock_makes_up_for_all_resends_on_the_way(merchant: Merchant, inbox: Inbox) -> None:
    token = (await merchant.token())["accessToken"]
    inbox.answers = [(500, {})] * 4
    await merchant.pay(token)
    await merchant.advance(START + timedelta(days=2))
    assert len(inbox.of("PAYMENT_RESULT")) == 5


@pytest.mark.parametrize(
    "reply",
    [
        (201, SUCCESS),
        (303, SUCCESS),
        (200, {}),
        (200, {"result": {"resultCode": "SUCCESS", "resultStatus": "F", "resultMessage": "success"}}),
        (200, SUCCESS | {"extra": 1}),
    ],
)
async def test_only_the_exact_body_with_200_acknowledges(
    merchant: Merchant, inbox: Inbox, reply: tuple[int, Any]
) -> None:
    token = (await merchant.token())["accessToken"]
    inbox.answers = [reply]
    await merchant.pay(token)
    await merchant.quiet()
    assert not (await log(merchant, "PAYMENT_RESULT"))[0]["acknowledged"]
    await merchant.advance(START + timedelta(minutes=2))
    assert (await log(merchant, "PAYMENT_RESULT"))[0]["acknowledged"]
    assert len(inbox.of("PAYMENT_RESULT")) == 2


async def test_a_message_to_nobody_is_tried_again_too(merchant: Merchant, inbox: Inbox) -> None:
    token = (await merchant.token())["accessToken"]
    body = merchant.payment(token, "pr_1") | {"paymentNotifyUrl": "http://127.0.0.1:9/nobody"}
    await merchant.call("payments/pay", **body)
    state = await merchant.quiet()
    assert datetime.fromisoformat(state["next_due_at"]) == START + timedelta(minutes=2)
    row = (await log(merchant, "PAYMENT_RESULT"))[0]
    assert (row["attempts"], row["last_status"], row["last_error"]) == (1, None, "ConnectError")


async def test_resending_can_be_off_as_at_the_real_sandbox(tmp_path: Path) -> None:
    async with a_sandbox(tmp_path, replace(PATIENT, resend=False)) as (merchant, inbox):
        token = (await merchant.token())["accessToken"]
        inbox.answers = [(500, {})]
        await merchant.pay(token)
        assert (await merchant.quiet())["next_due_at"] is None
        assert (await log(merchant, "PAYMENT_RESULT"))[0]["attempts"] == 1


async def test_without_a_clock_everything_runs_in_real_time_at_the_set_speed(tmp_path: Path) -> None:
    async with a_sandbox(tmp_path, replace(PATIENT, speed=300)) as (merchant, inbox):
        merchant.clock = merchant.now = None
        token = (await merchant.token("processing_then_success"))["accessToken"]
        inbox.answers = [(500, {})]
        assert code(await merchant.pay(token)) == "PAYMENT_IN_PROCESS"
        await until(lambda: len(inbox.of("PAYMENT_RESULT")) == 2)  # after 30 s, and again after 2 min
        assert (await merchant.inquire())["paymentStatus"] == "SUCCESS"


# Clocks


async def test_a_clock_never_goes_back(merchant: Merchant) -> None:
    later = START + timedelta(days=1)
    for to in (later, START):
        assert (
            datetime.fromisoformat((await merchant.admin("clocks/clk_1/advance", {"to": to.isoformat()}))["now"])
            == later
        )
    merchant.now = START  # a late request of the past happens at the clock's time
    paid = await merchant.pay((await merchant.token())["accessToken"])
    assert paid["paymentTime"] == "2027-02-01T09:00:00+08:00"


async def test_clocks_are_apart(merchant: Merchant, inbox: Inbox) -> None:
    await merchant.pay((await merchant.token("processing_then_success"))["accessToken"])
    await merchant.admin("clocks/clk_2/advance", {"to": "2040-01-01T00:00:00Z"})
    state = await merchant.quiet()
    assert datetime.fromisoformat(state["next_due_at"]) == START + timedelta(seconds=30)
    assert await merchant.admin("clocks/clk_3") == {
        "id": "clk_3",
        "now": None,
        "next_due_at": None,
        "outstanding": 0,
    }


async def test_a_message_under_way_counts_as_outstanding(merchant: Merchant, inbox: Inbox) -> None:
    token = (await merchant.token())["accessToken"]
    inbox.hold.clear()
    await merchant.pay(token)
    assert (await merchant.admin("clocks/clk_1"))["outstanding"] == 1
    await until(lambda: inbox.waiting)
    assert (await merchant.admin("clocks/clk_1"))["outstanding"] == 1
    inbox.hold.set()
    assert (await merchant.quiet())["outstanding"] == 0


@pytest.mark.parametrize("time", [None, "yesterday", "2027-01-31T09:00:00"])
async def test_a_clock_without_a_usable_time_is_illegal(merchant: Merchant, time: str | None) -> None:
    merchant.now = None
    headers = {"x_sandbox_clock": "clk_1"} | ({"x_sandbox_time": time} if time else {})
    answer = await merchant.send("payments/inquiryPayment", b'{"paymentRequestId":"pr_1"}', **headers)
    assert code(answer.json()) == "PARAM_ILLEGAL"


# Faults


async def test_faults_hit_every_call_and_stop_when_told(merchant: Merchant, inbox: Inbox) -> None:
    token = (await merchant.token("success"))["accessToken"]
    body = httpx.Request("POST", "http://x", json=merchant.payment(token, "pr_1")).content
    await merchant.admin("faults", {"http_500": 1})
    assert (await merchant.send("payments/pay", body)).status_code == 500
    assert await merchant.ledger() == []

    await merchant.admin("faults", {"lost_answer": 1.0, "duplicate": 1.0, "shuffle": 1.0, "latency_ms": [1, 5]})
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await merchant.send("payments/pay", body)
    assert [entry["status"] for entry in await merchant.ledger()] == ["succeeded"]
    await merchant.quiet()
    assert len(inbox.of("PAYMENT_RESULT")) == 2

    await merchant.admin("reset", {})
    assert code(await merchant.inquire()) == "ORDER_NOT_EXIST"


async def test_faults_repeat_with_their_seed(merchant: Merchant) -> None:
    seen = []
    for seed in (1, 1, 2):
        await merchant.admin("faults", {"seed": seed, "http_500": 0.5})
        answers = [await merchant.send("payments/inquiryPayment", b"{}") for _ in range(20)]
        seen.append([answer.status_code for answer in answers])
    assert seen[0] == seen[1] != seen[2]
    assert set(seen[0]) == {200, 500}


async def test_an_impossible_fault_plan_is_refused(merchant: Merchant) -> None:
    for plan in ({"http_500": 2}, {"latency_ms": [5, 1]}, {"unheard_of": 1}):
        answer = await merchant.http.post(f"{merchant.base_url}/_sandbox/faults", json=plan)
        assert answer.status_code == 422


async def test_many_debits_at_once_are_all_booked_once(merchant: Merchant, inbox: Inbox) -> None:
    token = (await merchant.token())["accessToken"]
    ids = [f"pr_{number}" for number in range(40)]
    answers = await asyncio.gather(*(merchant.pay(token, name) for name in ids + ids))
    assert {code(answer) for answer in answers} == {"SUCCESS"}
    assert sorted(entry["request_id"] for entry in await merchant.ledger()) == sorted(ids)
    await merchant.quiet()
    assert sorted(body["paymentRequestId"] for body in inbox.of("PAYMENT_RESULT")) == sorted(ids)
