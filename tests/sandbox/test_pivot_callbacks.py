"""Callbacks of Pivot's sandbox, faults, clocks and resets (gateways/pay-and-save.md §5, §8)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.sandbox.pivot_support import START, Callbacks, Data, Shop, a_pivot_sandbox, shape_of
from tests.sandbox.support import IMPATIENCE, PATIENCE, until

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


async def renewed(shop: Shop, callbacks: Callbacks, script: str = "") -> Data:
    """A debit without the customer; only its callbacks are in the inbox afterwards."""
    stored = await shop.save_card(script=script)
    callbacks.received.clear()
    session = await shop.renew(stored)
    await shop.quiet()
    return session


async def outbox(shop: Shop) -> list[Data]:
    return list((await shop.admin("notifications"))["data"])


# How callbacks travel


async def test_a_callback_carries_the_key_and_the_session_as_read(shop: Shop, callbacks: Callbacks) -> None:
    session = await renewed(shop, callbacks)
    assert sorted(callbacks.events) == ["PAYMENT.PAID", "PAYMENT.PROCESSING"]
    assert callbacks.refused == []
    assert callbacks.of("PAYMENT.PAID") == [await shop.read(session["id"])]


async def test_the_result_comes_after_the_news_of_its_beginning(tmp_path: Path) -> None:
    async with a_pivot_sandbox(tmp_path, notification_delay=timedelta(milliseconds=250)) as (shop, callbacks):
        session = await shop.confirm(await shop.with_key(), three_ds="NEVER")
        await shop.quiet()
        assert callbacks.events == ["PAYMENT.PROCESSING", "PAYMENT.PAID"]
        assert [body["id"] for body in callbacks.of("PAYMENT.PROCESSING")] == [session["id"]]


@pytest.mark.parametrize("status", [500, 503, 408, 429])
async def test_a_failed_callback_is_sent_again_by_the_schedule(shop: Shop, callbacks: Callbacks, status: int) -> None:
    callbacks.answers = [status] * 6
    session = await shop.create(paymentMethod=None)
    await shop.ok("POST", f"/v2/payments/{session['id']}/cancel", {})
    sent = shop.now
    for attempt, minutes in enumerate((5, 15, 60, 180, 360, 720), start=1):
        state = await shop.quiet()
        assert len(callbacks.received) == attempt
        assert datetime.fromisoformat(state["next_due_at"]) == (sent := sent + minutes * MINUTE)
        await shop.advance(minutes * MINUTE)
    assert len(callbacks.received) == 7
    assert (await shop.quiet())["next_due_at"] is None


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_a_callback_that_is_refused_is_lost_until_it_is_sent_by_hand(
    shop: Shop, callbacks: Callbacks, status: int
) -> None:
    callbacks.answers = [status]
    session = await shop.create(paymentMethod=None)
    await shop.ok("POST", f"/v2/payments/{session['id']}/cancel", {})
    assert (await shop.quiet())["next_due_at"] is None
    [row] = await outbox(shop)
    assert (row["attempts"], row["last_status"], row["acknowledged"]) == (1, status, False)
    await shop.admin(f"notifications/{row['id']}/resend", {})
    await shop.quiet()
    assert len(callbacks.received) == 2
    assert (await outbox(shop))[0]["acknowledged"]


async def test_after_the_last_attempt_it_is_left_to_a_resend_by_hand(shop: Shop, callbacks: Callbacks) -> None:
    callbacks.answers = [500] * 7
    session = await shop.create(paymentMethod=None)
    await shop.ok("POST", f"/v2/payments/{session['id']}/cancel", {})
    await shop.quiet()
    await shop.advance(timedelta(days=2))
    [row] = await outbox(shop)
    assert (row["attempts"], row["acknowledged"]) == (7, False)
    await shop.admin(f"notifications/{row['id']}/resend", {})
    await shop.quiet()
    assert (await outbox(shop))[0]["acknowledged"]


async def test_an_account_without_an_address_gets_none(shop: Shop, callbacks: Callbacks) -> None:
    shop.callback_url, kept = None, shop.callback_url
    await shop.register()
    shop.callback_url = kept
    await shop.decide(await shop.create())
    assert await outbox(shop) == []


async def test_double_news_arrives_twice(shop: Shop, callbacks: Callbacks) -> None:
    await renewed(shop, callbacks, "double_notification")
    first, second = callbacks.of("PAYMENT.PAID")
    assert first == second


async def test_late_news_arrives_an_hour_later(shop: Shop, callbacks: Callbacks) -> None:
    session = await renewed(shop, callbacks, "late_notification")
    assert callbacks.events == ["PAYMENT.PROCESSING"]
    assert (await shop.read(session["id"]))["status"] == "PAID"
    await shop.advance(HOUR)
    assert callbacks.events == ["PAYMENT.PROCESSING", "PAYMENT.PAID"]


async def test_shuffled_news_ends_with_a_stale_processing(shop: Shop, callbacks: Callbacks) -> None:
    await renewed(shop, callbacks, "shuffled_notifications")
    assert callbacks.events == ["PAYMENT.PAID", "PAYMENT.PROCESSING"]


async def test_news_with_a_wrong_key_is_refused_and_not_repeated(shop: Shop, callbacks: Callbacks) -> None:
    session = await renewed(shop, callbacks, "bad_signature")
    assert callbacks.events == ["PAYMENT.PROCESSING"]
    assert [body["event"] for body in callbacks.refused] == ["PAYMENT.PAID"]
    assert (await shop.read(session["id"]))["status"] == "PAID"
    assert (await shop.quiet())["next_due_at"] is None


async def test_a_forger_claims_the_opposite_under_a_wrong_key(shop: Shop, callbacks: Callbacks) -> None:
    session = await shop.create()
    await shop.admin(f"sessions/{session['id']}/forge", {})
    await shop.quiet()
    assert callbacks.received == []
    [lie] = callbacks.refused
    assert (lie["event"], lie["data"]["id"], lie["data"]["status"]) == ("PAYMENT.PAID", session["id"], "PAID")
    assert (await outbox(shop))[0]["type"] == "PAYMENT.PAID (forged)"


# Faults


async def test_faults_double_delay_and_forge_callbacks(shop: Shop, callbacks: Callbacks) -> None:
    stored = await shop.save_card()
    callbacks.received.clear()
    await shop.admin("faults", {"duplicate": 1, "forge": 1})
    await shop.renew(stored, "ren1")
    await shop.quiet()
    assert sorted(callbacks.events) == ["PAYMENT.PAID"] * 2 + ["PAYMENT.PROCESSING"] * 2
    assert {body["event"] for body in callbacks.refused} == {"PAYMENT.CANCELLED"}
    await shop.admin("faults", {"late": 1})
    callbacks.received.clear()
    await shop.renew(stored, "ren2")
    await shop.quiet()
    assert callbacks.received == []
    await shop.advance(HOUR)
    assert sorted(callbacks.events) == ["PAYMENT.PAID", "PAYMENT.PROCESSING"]


async def test_a_lost_answer_is_committed_and_found_again(shop: Shop) -> None:
    await shop.admin("faults", {"lost_answer": 1})
    request_id = uuid4().hex
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await shop.send("POST", "/v2/payments", shop.body(), request_id=request_id)
    await shop.admin("faults", {})
    session = await shop.ok("POST", "/v2/payments", shop.body(), request_id=request_id)
    assert [row["id"] for row in await shop.ok("GET", "/v2/payments")] == [session["id"]]


async def test_a_500_fault_means_nothing_was_done(shop: Shop) -> None:
    await shop.admin("faults", {"http_500": 1})
    answer = await shop.send("POST", "/v2/payments", shop.body())
    assert shape_of(answer) == (500, "internal_error")
    await shop.admin("faults", {})
    assert await shop.ok("GET", "/v2/payments") == []


async def test_latency_lets_callers_wait(shop: Shop) -> None:
    await shop.admin("faults", {"latency_ms": [400, 400]})
    impatient = httpx.AsyncClient(timeout=IMPATIENCE, trust_env=False)
    patient, shop.http = shop.http, impatient
    with pytest.raises(httpx.ReadTimeout):
        await shop.create()
    shop.http = patient
    await impatient.aclose()
    await shop.admin("faults", {})
    # The caller has gone; what it asked for happens all the same.
    async with asyncio.timeout(PATIENCE):
        while not (found := await shop.ok("GET", "/v2/payments")):
            await asyncio.sleep(0.02)
    assert [row["clientReferenceId"] for row in found] == ["ord1"]


# Time and state


async def test_without_a_clock_real_time_rules(shop: Shop, callbacks: Callbacks) -> None:
    shop.clock = None
    await shop.register()
    session = await shop.create()
    assert abs(datetime.fromisoformat(session["createdAt"]).timestamp() - datetime.now().astimezone().timestamp()) < 60
    await shop.decide(session)
    await until(lambda: callbacks.of("PAYMENT.PAID"))
    shop.clock = "clk_1"


async def test_what_a_session_causes_stays_on_its_clock(shop: Shop) -> None:
    session = await shop.create()
    other = Shop(shop.base_url, clock="clk_2", now=START + timedelta(days=400), token=shop.token)
    await other.admin("clocks/clk_2/advance", {"to": other.now.isoformat()})
    assert (await shop.read(session["id"]))["status"] == "REQUIRE_ACTION"
    shop.clock = None  # a call without a clock does not move the session's
    assert (await shop.read(session["id"]))["status"] == "REQUIRE_ACTION"
    shop.clock = "clk_1"
    await other.http.aclose()


async def test_a_reset_forgets_all_but_the_merchants(shop: Shop) -> None:
    await shop.save_card()
    await shop.admin("faults", {"http_500": 1})
    await shop.admin("reset", {})
    assert await shop.ledger() == []
    assert (await shop.admin("credentials"))["data"] == []
    shop.token = await shop.fresh_token()
    assert await shop.ok("GET", "/v2/payments") == []
