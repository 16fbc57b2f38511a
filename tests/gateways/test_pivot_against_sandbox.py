"""The connector over real HTTP against Pivot's sandbox, which shares none of its mapping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agreements.declines import DeclineCategory as Category
from agreements.money import Money
from gateways.port import Call, News, NewsKind, Payer, RefundRequest, Verdict
from tests.gateways.pivot_fixtures import AMOUNT, CALL, PAGE
from tests.gateways.pivot_world import NUMBERS, START, World, a_world
from tests.sandbox.support import until


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("pivot"), hold=2.5) as it:
        yield it


# Debits without the customer


async def test_a_debit_is_processing_and_known_at_once_by_looking(world: World) -> None:
    request = world.debit(await world.saved())
    assert (await world.pivot.open(world.account, request, CALL)).handle is None
    got = await world.pivot.charge(world.account, request, CALL)
    again = await world.pivot.charge(world.account, request, CALL)
    found = await world.inquire(request)
    by_handle = await world.pivot.inquire(world.account, request.request_id, CALL, got.payment_id)
    news = await world.told(NewsKind.PAYMENT, request.request_id)
    [entry] = await world.entries(request.request_id)

    assert got.verdict is Verdict.PROCESSING
    assert again == got
    assert (found.verdict, found.amount) == (Verdict.SUCCEEDED, AMOUNT)
    assert found.payment_id == got.payment_id
    assert by_handle == found
    assert (news.verdict, news.payment_id) == (Verdict.UNKNOWN, got.payment_id)
    assert (entry["status"], entry["amount"]) == ("succeeded", 150_000_00)
    assert entry["merchant_reference"] == request.order_id


@pytest.mark.parametrize(
    ("script", "category", "raw_code", "network_code"),
    [
        ("insufficient_funds", Category.INSUFFICIENT_FUNDS, "INSUFFICIENT_FUND:51", "51"),
        ("limit_exceeded", Category.LIMIT_EXCEEDED, "INSUFFICIENT_FUND:121", None),
        ("do_not_honor", Category.DO_NOT_HONOR, "DECLINED_BY_CHANNEL:05", "05"),
        ("issuer_unavailable", Category.ISSUER_UNAVAILABLE, "CHANNEL_UNAVAILABLE:91", "91"),
        ("expired_card", Category.EXPIRED_CARD, "DECLINED_BY_CHANNEL:54", "54"),
        ("lost_card", Category.LOST_OR_STOLEN, "SUSPECTED_FRAUD:41", "41"),
        ("stolen_card", Category.LOST_OR_STOLEN, "SUSPECTED_FRAUD:43", "43"),
        ("closed_account", Category.CLOSED_ACCOUNT, "INVALID_ACCOUNT:46", "46"),
        ("authentication_required", Category.AUTHENTICATION_REQUIRED, "AUTHENTICATION_FAILED", None),
        ("risk_reject", Category.RISK, "BLOCKED_BY_FDS", None),
    ],
)
async def test_declines(world: World, script: str, category: Category, raw_code: str, network_code: str | None) -> None:
    request = world.debit(await world.saved(script))
    got = await world.pivot.charge(world.account, request, CALL)
    found = await world.inquire(request)

    assert got.verdict is Verdict.PROCESSING
    assert found.verdict is Verdict.DECLINED
    assert found.decline is not None
    assert found.decline.category is category
    assert (found.decline.raw_code, found.decline.network_code) == (raw_code, network_code)
    assert [row["status"] for row in await world.entries(request.request_id)] == ["failed"]


@pytest.mark.parametrize(
    ("script", "evidence"), [("invalid_token", "resource_missing"), ("revoked_by_payer", "api_validation_error")]
)
async def test_a_token_that_is_gone_is_refused_at_once_and_leaves_no_trace(
    world: World, script: str, evidence: str
) -> None:
    request = world.debit(await world.saved(script))
    got = await world.pivot.charge(world.account, request, CALL)
    found = await world.inquire(request)

    assert (got.verdict, got.evidence) == (Verdict.DECLINED, evidence)
    assert got.decline is not None
    assert got.decline.category is Category.INVALID_CREDENTIAL
    assert found.verdict is Verdict.NOT_FOUND
    assert await world.entries(request.request_id) == []


@pytest.mark.parametrize(
    ("script", "evidence", "truth"),
    [
        ("lost_answer_success", "connection", Verdict.SUCCEEDED),
        ("lost_answer_failure", "connection", Verdict.DECLINED),
        ("garbage", "unreadable", Verdict.SUCCEEDED),
        ("timeout", "timeout", Verdict.NOT_FOUND),
        ("http_500", "http_500", Verdict.NOT_FOUND),
    ],
)
async def test_an_unknown_debit_is_told_by_looking_and_repeated_safely(
    world: World, script: str, evidence: str, truth: Verdict
) -> None:
    request = world.debit(await world.saved(f"{script},success"))
    # The sandbox itself hangs up after two and a half seconds. It must have been asked before: the repeat is scripted.
    call = replace(CALL, timeout=timedelta(seconds=1.5)) if script == "timeout" else CALL
    got = await world.pivot.charge(world.account, request, call)
    found = await world.inquire(request)
    again = await world.pivot.charge(world.account, request, CALL)
    entries = await world.entries(request.request_id)

    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, evidence)
    assert found.verdict is truth
    assert again.verdict is Verdict.PROCESSING  # the first answer, or the first debit
    assert [row["status"] for row in entries] == ["failed" if truth is Verdict.DECLINED else "succeeded"]


@pytest.mark.parametrize(
    ("script", "final"),
    [("processing_then_success", Verdict.SUCCEEDED), ("processing_then_failure", Verdict.DECLINED)],
)
async def test_a_debit_in_process_is_decided_when_its_clock_gets_there(
    world: World, script: str, final: Verdict
) -> None:
    call = Call(timedelta(seconds=30), f"clk_{script}", START)
    request = world.debit(await world.saved(script, call))
    await world.pivot.charge(world.account, request, call)
    early = await world.inquire(request, call)
    canceled = await world.pivot.cancel(world.account, request.request_id, call)
    later = replace(call, now=START + timedelta(seconds=30))
    async with asyncio.timeout(60):
        while (found := await world.inquire(request, later)) == early:
            await asyncio.sleep(0.02)

    assert early.verdict is canceled.verdict is Verdict.PROCESSING
    assert found.verdict is final


@pytest.mark.parametrize("script", ["success", "double_notification", "shuffled_notifications"])
async def test_callbacks_only_say_look(world: World, script: str) -> None:
    world.inbox.clear()
    request = world.debit(await world.saved(script))
    await world.pivot.charge(world.account, request, CALL)

    def claims() -> list[News]:
        return [news for news in world.inbox if news.request_id == request.request_id]

    await until(lambda: len(claims()) >= (3 if script == "double_notification" else 2))
    assert {news.claims for news in claims()} == {Verdict.PROCESSING, Verdict.SUCCEEDED}
    assert {news.verdict for news in claims()} == {Verdict.UNKNOWN}
    assert len({news.dedupe_key for news in claims()}) == 2


async def test_a_late_callback_is_not_needed(world: World) -> None:
    call = Call(timedelta(seconds=30), "clk_late", START)
    request = world.debit(await world.saved("late_notification", call))
    await world.pivot.charge(world.account, request, call)

    assert (await world.inquire(request, call)).verdict is Verdict.SUCCEEDED


async def test_a_callback_with_a_wrong_key_is_refused(world: World) -> None:
    world.refused.clear()
    request = world.debit(await world.saved("bad_signature"))
    await world.pivot.charge(world.account, request, CALL)
    await until(lambda: world.refused)

    assert world.refused == ["bad_signature"]
    assert (await world.inquire(request)).verdict is Verdict.SUCCEEDED


async def test_where_the_customer_is_needed_nothing_is_sent(world: World) -> None:
    attended = replace(world.account, keys={**world.account.keys, "recurring_profile": "customer_present"})
    request = world.debit(await world.saved())
    got = await world.pivot.charge(attended, request, CALL)

    assert (got.verdict, got.evidence) == (Verdict.DECLINED, "customer_present")
    assert got.decline is not None
    assert got.decline.category is Category.AUTHENTICATION_REQUIRED
    assert (await world.inquire(request)).verdict is Verdict.NOT_FOUND


async def test_a_debit_that_needs_the_customer_after_all_is_declined_as_that(world: World) -> None:
    token = await world.saved()
    await world.register("customer_present")  # Pivot has not enabled what our keys say
    try:
        request = world.debit(token)
        got = await world.pivot.charge(world.account, request, CALL)
    finally:
        await world.register()

    assert got.verdict is Verdict.DECLINED
    assert got.decline is not None
    assert got.decline.category is Category.AUTHENTICATION_REQUIRED
    assert await world.entries(request.request_id) == []


# Refunds, and giving up


async def test_refunds(world: World) -> None:
    call = Call(timedelta(seconds=30), "clk_refunds", START)
    request = world.debit(await world.saved(call=call))
    payment_id = (await world.pivot.charge(world.account, request, call)).payment_id
    assert payment_id is not None
    part = Money(currency="IDR", value=50_000_00)
    refund = RefundRequest(f"rfd_{next(NUMBERS)}", payment_id, part, "goodwill", "")
    first = await world.pivot.refund(world.account, refund, call)
    again = await world.pivot.refund(world.account, refund, call)
    other = await world.pivot.refund(world.account, replace(refund, amount=AMOUNT), call)
    rest = await world.pivot.refund(world.account, replace(refund, request_id="rfd_rest", amount=AMOUNT), call)
    later = replace(call, now=START + timedelta(seconds=30))
    await world.admin("clocks/clk_refunds/advance", to=(START + timedelta(seconds=30)).isoformat())
    async with asyncio.timeout(60):
        while (found := await world.pivot.inquire_refund(world.account, refund.request_id, later)).verdict is (
            Verdict.PROCESSING
        ):
            await asyncio.sleep(0.02)
    by_id = await world.pivot.inquire_refund(world.account, refund.request_id, later, first.reversal_id)
    never = await world.pivot.inquire_refund(world.account, "rfd_never", later)
    canceled = await world.pivot.cancel(world.account, request.request_id, later)
    news = await world.told(NewsKind.REFUND, refund.request_id)

    assert first.verdict is Verdict.PROCESSING
    assert first.reversal_id
    assert again == first
    assert (other.verdict, other.evidence) == (Verdict.UNKNOWN, "idempotency_error")
    assert (rest.verdict, rest.evidence) == (Verdict.DECLINED, "api_validation_error")
    assert found == by_id
    assert (found.verdict, found.reversal_id) == (Verdict.SUCCEEDED, first.reversal_id)
    assert never.verdict is Verdict.NOT_FOUND
    assert (canceled.verdict, canceled.evidence) == (Verdict.DECLINED, "PAID")
    assert (news.verdict, news.payment_id) == (Verdict.UNKNOWN, payment_id)
    assert [row["amount"] for row in await world.entries(refund.request_id)] == [50_000_00]


async def test_what_never_was_cannot_be_canceled_and_a_token_is_only_forgotten(world: World) -> None:
    token = await world.saved()
    never = await world.pivot.cancel(world.account, "agr_never-c1-a1", CALL)
    revoked = await world.pivot.revoke(world.account, token.access_token, CALL)

    assert never.verdict is Verdict.NOT_FOUND
    assert revoked.verdict is Verdict.SUCCEEDED


# The account


async def test_ids_travel_in_letters_and_digits_where_pivot_takes_nothing_else(tmp_path: Path) -> None:
    async with a_world(tmp_path, strict_references=True) as world:
        plain = await world.page()
        world.account = replace(world.account, keys={**world.account.keys, "references": "alphanumeric"})
        request = world.debit(await world.saved())
        got = await world.pivot.charge(world.account, request, CALL)
        found = await world.inquire(request)
        news = await world.told(NewsKind.PAYMENT, request.request_id)
        sent = request.request_id.replace("_", "Z5f").replace("-", "Z2d")

        assert (plain[1].verdict, plain[1].evidence) == (Verdict.DECLINED, "api_validation_error")
        assert got.verdict is Verdict.PROCESSING
        assert found.verdict is Verdict.SUCCEEDED
        assert news.payment_id == found.payment_id
        assert len(await world.entries(sent)) == 1


async def test_a_saved_wallet_is_debited_where_pivot_confirmed_it(tmp_path: Path) -> None:
    async with a_world(tmp_path, wallet_tokens=True) as world:
        world.account = replace(world.account, keys={**world.account.keys, "wallet_tokens": "on"})
        payer = Payer("cus-w", None, "wallet@example.test", None)
        request = replace(PAGE, payment_method="SHOPEEPAY", payer=payer)
        page = await world.pivot.authorize(world.account, request, CALL)
        await world.decide(page, phone="08111111001", script="success,insufficient_funds")
        got = await world.pivot.exchange(world.account, "SHOPEEPAY", page.handle or "", CALL)
        assert got.token is not None
        assert got.token.card is None
        verdicts = []
        for _ in range(2):
            debit = world.debit(got.token, payment_method="SHOPEEPAY")
            await world.pivot.charge(world.account, debit, CALL)
            verdicts.append((await world.inquire(debit)).verdict)
        assert verdicts == [Verdict.SUCCEEDED, Verdict.DECLINED]


async def test_a_secret_pivot_does_not_know_changes_nothing(world: World) -> None:
    wrong = replace(world.account, keys={**world.account.keys, "client_secret": "guess"})
    got = await world.pivot.charge(wrong, world.debit(await world.saved()), CALL)

    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "credentials_invalid")


async def test_a_wallet_is_not_offered_where_its_token_may_not_be_debited(world: World) -> None:
    refused = await world.pivot.authorize(world.account, replace(PAGE, payment_method="DANA"), CALL)
    nameless = await world.pivot.authorize(world.account, replace(PAGE, payer=Payer("cus-9", "Sari")), CALL)

    assert refused.verdict is nameless.verdict is Verdict.DECLINED
    assert refused.decline is not None
    assert refused.decline.category is Category.CONFIGURATION
    assert nameless.decline is not None
    assert nameless.decline.code == "customer_email_missing"
