"""The connector over real HTTP against the sandbox, which shares none of its mapping: debits, and what ends them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agreements.declines import DeclineCategory as Category
from agreements.money import Money
from agreements.terms import AgreementType, Frequency, Terms
from gateways.port import NewsKind, RefundRequest, Verdict
from sandbox.ottu.scripts import VOCABULARY
from tests.gateways.ottu_fixtures import AMOUNT, CHARGE, TERMS
from tests.gateways.ottu_world import MINUTE, World, running, world
from tests.sandbox.ottu_support import VISA

__all__ = ["running", "world"]


# Debits


def test_every_word_of_the_scripts_is_tried_here() -> None:
    elsewhere = {"success", "lost_answer_failure", "processing_then_success", "processing_then_failure"}
    news = {"double_notification", "late_notification", "shuffled_notifications"}
    unknown = {"lost_answer_success", "garbage", "bad_signature", "timeout", "http_500"}
    assert {script for script, _, _ in DECLINES} | unknown | elsewhere | news == set(VOCABULARY)


@pytest.mark.parametrize(
    "instance",
    [
        {},
        {"signature": "extended"},
        {"amounts": "numbers", "pg_params": "verbose"},
        {"sparse": True, "pg_params": "text"},
        {"unknown_fields": True, "dates": "iso"},
        {"card_gateway_field": "pg_name", "dates": "day_first"},
    ],
)
async def test_a_debit_in_every_form_ottu_may_answer_in(world: World, instance: dict[str, Any]) -> None:
    await world.ottu.register(instance=instance)
    request, got = await world.charge(world.debit(await world.agreed()))
    again = await world.gateway.charge(world.account, request, world.call)
    found = await world.inquire(request)

    assert (got.verdict, got.payment_id, got.amount) == (Verdict.SUCCEEDED, request.handle, AMOUNT)
    assert (found.verdict, found.payment_id, found.amount) == (Verdict.SUCCEEDED, request.handle, AMOUNT)
    assert again.verdict is Verdict.SUCCEEDED, "refused as paid, which the session tells"
    assert await world.debits(request) == ["succeeded"]


async def test_opening_twice_moves_no_money(world: World) -> None:
    request = world.debit(await world.agreed())
    first, second = await world.open(request), await world.open(request)
    assert first.handle != second.handle
    assert await world.debits(request) == []


DECLINES = [
    ("insufficient_funds", Category.INSUFFICIENT_FUNDS, "51"),
    ("limit_exceeded", Category.LIMIT_EXCEEDED, "61"),
    ("do_not_honor", Category.DO_NOT_HONOR, "05"),
    ("issuer_unavailable", Category.ISSUER_UNAVAILABLE, "91"),
    ("expired_card", Category.EXPIRED_CARD, "54"),
    ("lost_card", Category.LOST_OR_STOLEN, "41"),
    ("stolen_card", Category.LOST_OR_STOLEN, "43"),
    ("closed_account", Category.CLOSED_ACCOUNT, "46"),
    ("invalid_token", Category.INVALID_CREDENTIAL, None),
    ("revoked_by_payer", Category.REVOKED_BY_PAYER, "R1"),
    ("authentication_required", Category.AUTHENTICATION_REQUIRED, "1A"),
    ("risk_reject", Category.INVALID_CREDENTIAL, None),
]


@pytest.mark.parametrize(("script", "category", "issuer"), DECLINES)
async def test_declines(world: World, script: str, category: Category, issuer: str | None) -> None:
    request, got = await world.charge(world.debit(await world.agreed(script)))
    assert got.verdict is Verdict.DECLINED
    assert got.decline is not None
    assert (got.decline.category, got.decline.network_code) == (category, issuer)
    assert await world.debits(request) == ["failed"]


async def test_a_decline_under_another_status_is_one_all_the_same(world: World) -> None:
    await world.ottu.register(instance={"declined_status": 400})
    _, got = await world.charge(world.debit(await world.agreed("do_not_honor")))
    assert (got.verdict, got.evidence) == (Verdict.DECLINED, "http_400:attempted")


@pytest.mark.parametrize(
    ("script", "evidence", "truth"),
    [
        ("lost_answer_success", "connection", Verdict.SUCCEEDED),
        ("garbage", "unreadable", Verdict.SUCCEEDED),
        ("bad_signature", "bad_signature", Verdict.SUCCEEDED),
        ("timeout", "timeout", Verdict.NOT_FOUND),
        ("http_500", "http_500", Verdict.NOT_FOUND),
        ("http_429", "http_429", Verdict.NOT_FOUND),
    ],
)
async def test_an_unknown_debit_is_told_by_its_session(
    world: World, script: str, evidence: str, truth: Verdict
) -> None:
    # The sandbox itself hangs up after a second.
    patience = 0.7 if script == "timeout" else 30
    request, got = await world.charge(world.debit(await world.agreed(script)), timeout=patience)
    found = await world.inquire(request)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, evidence)
    assert found.verdict is truth
    assert await world.debits(request) == (["succeeded"] if truth is Verdict.SUCCEEDED else [])


@pytest.mark.parametrize("throttled", [429, 400])
async def test_a_failure_nobody_heard_of_counts_only_once_the_gateway_was_asked(world: World, throttled: int) -> None:
    await world.ottu.register(instance={"throttled_status": throttled})
    request, got = await world.charge(world.debit(await world.agreed("lost_answer_failure")))
    early = await world.inquire(request)
    world.ottu.now += 10 * MINUTE
    found = await world.inquire(request)
    assert (got.verdict, early.verdict) == (Verdict.UNKNOWN, Verdict.UNKNOWN)
    assert early.evidence == f"attempted:http_{throttled}"
    assert found.verdict is Verdict.DECLINED
    assert found.decline is not None


async def test_an_error_is_asked_about_before_it_counts_as_a_failure(world: World) -> None:
    request, got = await world.charge(world.debit(await world.agreed("gateway_error")))
    world.ottu.now += 10 * MINUTE
    found = await world.inquire(request)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "error:attempted")
    assert found.verdict is Verdict.DECLINED
    assert found.decline is not None
    assert (found.decline.code, found.decline.category) == ("technical_error", Category.ISSUER_UNAVAILABLE)


@pytest.mark.parametrize(
    ("script", "truth"),
    [("processing_then_success", Verdict.SUCCEEDED), ("processing_then_failure", Verdict.DECLINED)],
)
async def test_a_debit_in_process_is_decided_by_a_query_or_told(world: World, script: str, truth: Verdict) -> None:
    token = await world.agreed(script)
    request, got = await world.charge(world.debit(token))
    early = await world.inquire(request)
    world.ottu.now += 10 * MINUTE
    asked = await world.inquire(request)
    other, _ = await world.charge(world.debit(token))
    await world.ottu.advance(11 * MINUTE)
    told = [each for each in world.news() if each.request_id == other.request_id]

    assert (got.verdict, early.verdict) == (Verdict.PROCESSING, Verdict.UNKNOWN)
    assert early.evidence == "pending:http_429"
    assert asked.verdict is truth
    assert [(each.kind, each.verdict, each.payment_id) for each in told] == [(NewsKind.PAYMENT, truth, other.handle)]


async def test_a_failure_that_turns_into_a_success_is_told(world: World) -> None:
    request, got = await world.charge(world.debit(await world.agreed("late_success")))
    await world.ottu.advance(11 * MINUTE)
    told = world.news()[-1]
    assert got.verdict is Verdict.DECLINED
    assert (told.request_id, told.verdict, told.amount) == (request.request_id, Verdict.SUCCEEDED, AMOUNT)


async def test_news_of_debits_are_recognised_as_repeats_and_never_fail_a_paid_one(world: World) -> None:
    token = await world.agreed("double_notification,shuffled_notifications,late_notification")
    for _ in range(3):
        await world.charge(world.debit(token))
        await world.ottu.quiet()
    await world.ottu.advance(timedelta(hours=1))
    double, repeat, paid, stale, late = [each for each in world.news() if each.kind is NewsKind.PAYMENT][1:]
    assert double.dedupe_key == repeat.dedupe_key
    assert paid.dedupe_key != stale.dedupe_key
    assert [each.verdict for each in (double, paid, late)] == [Verdict.SUCCEEDED] * 3
    assert stale.verdict is Verdict.UNKNOWN


async def test_an_order_number_ottu_does_not_know_was_never_sent(world: World) -> None:
    never = replace(CHARGE, request_id="agr_9-c9-a9", handle=None)
    assert (await world.inquire(never)).verdict is Verdict.NOT_FOUND
    assert (await world.gateway.charge(world.account, never, world.call)).evidence == "no_handle"


async def test_a_long_request_id_is_shortened_and_found_again(world: World) -> None:
    request = replace(world.debit(await world.agreed()), request_id="agr_01jd3w00000000000000000000-c123-a10")
    await world.ottu.register(instance={"webhooks_for_debits": True})
    request, got = await world.charge(request)
    await world.ottu.quiet()
    assert got.verdict is Verdict.SUCCEEDED
    assert (await world.inquire(request)).verdict is Verdict.SUCCEEDED
    assert world.news()[-1].request_id == request.request_id


async def test_an_unscheduled_agreement_is_debited_on_demand(world: World) -> None:
    terms = Terms(type=AgreementType.UNSCHEDULED, frequency=Frequency.IRREGULAR, timezone="Asia/Kuwait")
    token = await world.agreed(terms=terms)
    _, got = await world.charge(world.debit(token, terms=terms))
    assert got.verdict is Verdict.SUCCEEDED


async def test_a_month_that_is_debited_on_its_last_day(world: World) -> None:
    terms = TERMS.model_copy(update={"payment_processing_day": "last"})
    token = await world.agreed(terms=terms)
    assert (await world.charge(world.debit(token, terms=terms)))[1].verdict is Verdict.SUCCEEDED


# Ending, giving back


async def test_cancel_ends_what_is_open_and_refuses_what_is_paid(world: World) -> None:
    token = await world.agreed("processing_then_success,success")
    unfinished, _ = await world.charge(world.debit(token))
    paid, _ = await world.charge(world.debit(token))
    ended = await world.gateway.cancel(world.account, unfinished.request_id, world.call, unfinished.handle)
    refused = await world.gateway.cancel(world.account, paid.request_id, world.call, paid.handle)
    await world.ottu.advance(timedelta(hours=1))

    assert ended.verdict is Verdict.SUCCEEDED
    assert (await world.inquire(unfinished)).verdict is Verdict.CANCELED
    assert (refused.verdict, refused.evidence) == (Verdict.DECLINED, "paid")
    assert await world.debits(unfinished) == ["failed"]


async def test_a_reservation_is_let_go(world: World) -> None:
    handle, url = await world.page()
    await world.ottu.call(f"/b/checkout/v1/pymt-txn/{handle}/", {"pg_codes": ["mpgs-kwd-auth"]}, method="PATCH")
    await world.ottu.pay(url)
    waiting = await world.exchange(handle)
    request_id = f"{world.agreement}-c1-a1"
    for _ in range(2):
        gone = await world.gateway.cancel(world.account, request_id, world.call, handle)
        assert gone.verdict is Verdict.SUCCEEDED
    assert waiting.verdict is Verdict.PROCESSING
    assert (await world.ottu.movements())[-1] == ("cancel", "succeeded", 12_500)


async def test_a_refund_is_made_once_under_its_id(world: World) -> None:
    request, _ = await world.charge(world.debit(await world.agreed()))
    part = Money(currency="KWD", value=2_500)
    refund = RefundRequest("rfd_1", request.handle or "", part, "goodwill", "https://e.example/n")
    first = await world.gateway.refund(world.account, refund, world.call)
    again = await world.gateway.refund(world.account, refund, world.call)
    other = await world.gateway.refund(world.account, replace(refund, amount=AMOUNT), world.call)
    too_much = await world.gateway.refund(world.account, replace(refund, request_id="r2", amount=AMOUNT), world.call)
    await world.ottu.quiet()
    told = world.news()[-1]

    assert first.verdict is again.verdict is Verdict.SUCCEEDED
    assert first.reversal_id == again.reversal_id
    assert (other.verdict, other.evidence) == (Verdict.UNKNOWN, "amount_mismatch")
    assert too_much.verdict is Verdict.DECLINED
    assert (told.kind, told.verdict, told.amount) == (NewsKind.REFUND, Verdict.SUCCEEDED, part)
    assert (told.payment_id, told.reversal_id, told.request_id) == (request.handle, first.reversal_id, None)
    refunds = [entry for entry in await world.ottu.movements() if entry[0] == "refund"]
    assert refunds == [("refund", "succeeded", 2_500), ("refund", "failed", 12_500)]


@pytest.mark.parametrize(("mode", "truth"), [("queued", Verdict.SUCCEEDED), ("rejected", Verdict.DECLINED)])
async def test_a_queued_refund_is_asked_for_by_repeating_it(world: World, mode: str, truth: Verdict) -> None:
    await world.ottu.register(instance={"refunds": mode})
    request, _ = await world.charge(world.debit(await world.agreed()))
    refund = RefundRequest("rfd_1", request.handle or "", AMOUNT, "goodwill", "https://e.example/n")
    queued = await world.gateway.refund(world.account, refund, world.call)
    asked = await world.gateway.inquire_refund(world.account, "rfd_1", world.call, queued.reversal_id)
    await world.ottu.advance(timedelta(hours=1))
    told = world.news()[-1]
    repeated = await world.gateway.refund(world.account, refund, world.call)

    assert queued.verdict is Verdict.PROCESSING
    assert asked.verdict is Verdict.NOT_FOUND
    assert (told.verdict, told.reversal_id) == (truth, queued.reversal_id)
    assert (repeated.verdict, repeated.reversal_id) == (truth, queued.reversal_id)


async def test_a_card_is_deleted_once_nothing_locks_it(world: World) -> None:
    token = await world.agreed()
    locked = await world.gateway.revoke(world.account, token.access_token, world.call, "cust_7781")
    await world.agreed(card=VISA)
    for _ in range(2):
        gone = await world.gateway.revoke(world.account, token.access_token, world.call, "cust_7781")
        assert gone.verdict is Verdict.SUCCEEDED
    assert (locked.verdict, locked.evidence) == (Verdict.DECLINED, "http_400")
    _, got = await world.charge(world.debit(token))
    assert got.decline is not None
    assert (got.verdict, got.decline.category) == (Verdict.DECLINED, Category.INVALID_CREDENTIAL)


async def test_a_changed_card_takes_the_agreement_over(world: World) -> None:
    old, new = await world.agreed(), await world.agreed(card=VISA)
    assert (await world.charge(world.debit(new)))[1].verdict is Verdict.SUCCEEDED
    assert (await world.charge(world.debit(old)))[1].verdict is Verdict.DECLINED
