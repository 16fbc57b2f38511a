"""The connector over real HTTP against Pivot's sandbox, which shares none of its mapping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from agreements.declines import DeclineCategory as Category
from agreements.money import Money
from gateways.http import client
from gateways.pivot.connector import Pivot
from gateways.pivot.notifications import ACKNOWLEDGED, parse, refusal
from gateways.port import (
    Account,
    AuthorizationAnswer,
    BadNotification,
    Call,
    ChargeAnswer,
    ChargeRequest,
    FirstPayment,
    News,
    NewsKind,
    Payer,
    RefundRequest,
    Token,
    Verdict,
)
from sandbox.pivot.app import create_app
from tests.gateways.pivot_fixtures import AMOUNT, CALL, CALLBACK_KEY, CHARGE, CLIENT_ID, PAGE, SECRET, account
from tests.sandbox.pivot_support import FAST
from tests.sandbox.support import serving, until

NUMBERS = count(1)
START = datetime(2031, 1, 31, 1, tzinfo=UTC)


@dataclass
class World:
    """A merchant with the connector and a callback URL, and the sandbox at `url`."""

    url: str
    callback_url: str
    account: Account
    pivot: Pivot
    http: httpx.AsyncClient
    inbox: list[News] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def register(self, profile: str = "token_never") -> None:
        await self.admin(
            "clients",
            client_id=CLIENT_ID,
            client_secret=SECRET,
            callback_url=self.callback_url,
            callback_api_key=CALLBACK_KEY,
            name="Example Store",
            recurring_profile=profile,
        )

    async def admin(self, path: str, **body: Any) -> None:
        (await self.http.post(f"{self.url}/_sandbox/{path}", json=body)).raise_for_status()

    async def page(
        self, amount: Money | None = AMOUNT, call: Call = CALL, payer: Payer | None = None
    ) -> tuple[str, AuthorizationAnswer]:
        """A page to pay on, with the request id of its payment."""
        number = next(NUMBERS)
        request_id = f"agr_{number}-c1-a1"
        payer = payer or Payer(f"cus-{number}", "Sari Wijaya", f"sari{number}@example.test", None)
        payment = FirstPayment(request_id, f"agr_{number}-c1", "Plan: café, 8月", amount)
        request = replace(PAGE, state=f"as_{number}", payment=payment, payer=payer)
        return request_id, await self.pivot.authorize(self.account, request, call)

    async def decide(self, page: AuthorizationAnswer, decision: str = "approve", **form: str) -> httpx.Response:
        assert page.url is not None
        answered = await self.http.post(page.url, data={"decision": decision, **form})
        assert answered.status_code == 303
        return answered

    async def saved(self, script: str = "success", call: Call = CALL, **form: str) -> Token:
        """The token of a card whose debits follow `script`."""
        _, page = await self.page(call=call)
        await self.decide(page, script=script, **form)
        got = await self.pivot.exchange(self.account, "CARD", page.handle or "", call)
        assert got.token is not None, got
        return got.token

    def debit(self, token: Token, **change: Any) -> ChargeRequest:
        """A debit with an id of its own."""
        number = next(NUMBERS)
        request = replace(CHARGE, request_id=f"agr_{number}-c2-a1", order_id=f"agr_{number}-c2")
        return replace(request, token=token.access_token, token_reference=token.reference, **change)

    async def inquire(self, request: ChargeRequest, call: Call = CALL) -> ChargeAnswer:
        return await self.pivot.inquire(self.account, request.request_id, call)

    async def told(self, kind: NewsKind, request_id: str) -> News:
        def of() -> list[News]:
            return [news for news in self.inbox if (news.kind, news.request_id) == (kind, request_id)]

        await until(of)
        return of()[-1]

    async def entries(self, request_id: str) -> list[dict[str, Any]]:
        """What the provider's own books say about an id."""
        rows = (await self.http.get(f"{self.url}/_sandbox/ledger")).json()["data"]
        return [row for row in rows if row["request_id"] == request_id]


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    merchant = FastAPI()
    sandbox = create_app(tmp_path_factory.mktemp("pivot") / "pivot.sqlite3", settings=FAST)
    async with serving(sandbox) as url, serving(merchant) as address, client() as http:
        it = World(url, f"{address}/notifications/pivot/gwa_1", account(url, sandbox=True), Pivot(http), http)

        @merchant.post("/notifications/pivot/gwa_1")
        async def notified(request: Request) -> Response:
            try:
                it.inbox += parse(it.account, "POST", request.url.path, request.headers, await request.body())
            except BadNotification as error:
                it.refused.append(error.code)
                status, body = refusal(error.code)
                return Response(body, status)
            return Response(ACKNOWLEDGED, media_type="application/json")

        await it.register()
        yield it


# The customer's own payment


async def test_a_first_payment_saves_the_card_it_was_made_with(world: World) -> None:
    request_id, page = await world.page()
    waiting = await world.pivot.exchange(world.account, "CARD", page.handle or "", CALL)
    back = await world.decide(page, card="5550000112220002", expiry="06/40")
    got = await world.pivot.exchange(world.account, "CARD", page.handle or "", CALL)
    news = await world.told(NewsKind.AUTHORIZATION_CODE, request_id)
    entries = await world.entries(request_id)

    assert page.verdict is Verdict.SUCCEEDED
    assert page.expires_at is not None
    assert timedelta(minutes=14) < page.expires_at - datetime.now(UTC) <= timedelta(minutes=15)
    assert waiting.verdict is Verdict.PROCESSING
    assert waiting.payment is not None
    assert waiting.payment.verdict is Verdict.PROCESSING
    assert back.headers["location"].startswith(f"{PAGE.return_url}?pivot=success&state=as_")
    assert got.verdict is Verdict.SUCCEEDED
    assert got.payment == ChargeAnswer(Verdict.SUCCEEDED, page.handle, amount=AMOUNT, evidence="PAID")
    assert got.token is not None
    assert got.token.reference
    assert got.token.expires_at == datetime(2040, 7, 1, tzinfo=UTC)
    card = got.token.card
    assert card is not None
    assert (card.brand, card.network, card.last4) == ("Mastercard", "mastercard", "0002")
    assert (card.expiry_month, card.expiry_year) == (6, 2040)
    assert card.fingerprint
    assert (news.code, news.authorization_state) == (page.handle, f"as_{request_id.split('-')[0][4:]}")
    assert [(e["kind"], e["status"], e["amount"]) for e in entries] == [("debit", "succeeded", 150_000_00)]
    assert entries[0]["merchant_reference"] == request_id.removesuffix("-a1")


async def test_asking_again_for_a_page_gives_the_same_one(world: World) -> None:
    payment = FirstPayment("agr_same-c1-a1", "agr_same-c1", "Plan", AMOUNT)
    request = replace(PAGE, state="as_same", payment=payment)
    first = await world.pivot.authorize(world.account, request, CALL)
    again = await world.pivot.authorize(world.account, request, CALL)

    assert first == again
    assert first.handle


async def test_a_page_without_a_payment_takes_the_smallest_amount_to_be_given_back(world: World) -> None:
    request_id, page = await world.page(amount=None)
    await world.decide(page)
    got = await world.pivot.exchange(world.account, "CARD", page.handle or "", CALL)
    assert got.payment is not None
    assert got.payment.amount == Money(currency="IDR", value=10_000_00)
    refund = RefundRequest("rfd_verification", got.payment.payment_id or "", got.payment.amount, "", "")
    back = await world.pivot.refund(world.account, refund, CALL)

    assert back.verdict is Verdict.PROCESSING
    assert [row["amount"] for row in await world.entries(request_id)] == [10_000_00]


async def test_a_customer_who_does_not_let_the_card_be_saved_is_declined_with_the_payment(world: World) -> None:
    call = Call(timedelta(seconds=5), "clk_unsaved", START)
    _, page = await world.page(call=call)
    await world.decide(page, save="off")
    early = await world.pivot.exchange(world.account, "CARD", page.handle or "", call)
    later = replace(call, now=START + timedelta(seconds=31))
    late = await world.pivot.exchange(world.account, "CARD", page.handle or "", later)

    assert early.verdict is Verdict.PROCESSING
    assert late.verdict is Verdict.DECLINED
    assert late.decline is not None
    assert late.decline.code == "credential_not_saved"
    assert late.payment is not None
    assert (late.payment.verdict, late.payment.payment_id) == (Verdict.SUCCEEDED, page.handle)


@pytest.mark.parametrize(
    ("decision", "form", "category", "code"),
    [
        ("approve", {"card": "4440000334470010"}, Category.INSUFFICIENT_FUNDS, "insufficient_funds"),
        ("approve", {"card": "5550000334400002"}, Category.EXPIRED_CARD, "expired_card"),
        ("reject", {}, Category.AUTHENTICATION_REQUIRED, "canceled_by_customer"),
    ],
)
async def test_a_first_payment_that_fails_leaves_no_token(
    world: World, decision: str, form: dict[str, str], category: Category, code: str
) -> None:
    request_id, page = await world.page()
    back = await world.decide(page, decision, **form)
    got = await world.pivot.exchange(world.account, "CARD", page.handle or "", CALL)
    by_reference = await world.pivot.inquire(world.account, request_id, CALL)

    assert "pivot=failure" in back.headers["location"]
    assert got.verdict is Verdict.DECLINED
    assert got.token is None
    assert got.decline is not None
    assert (got.decline.category, got.decline.code) == (category, code)
    assert by_reference == got.payment


async def test_a_page_nobody_used_ends_by_itself_and_cannot_be_ended_before(world: World) -> None:
    call = Call(timedelta(seconds=5), "clk_page", START)
    request_id, page = await world.page(call=call)
    refused = await world.pivot.cancel(world.account, request_id, call, page.handle)
    end = START + timedelta(minutes=15)
    await world.admin("clocks/clk_page/advance", to=end.isoformat())
    later = replace(call, now=end)
    got = await world.pivot.exchange(world.account, "CARD", page.handle or "", later)
    ended = await world.pivot.cancel(world.account, request_id, later)

    assert page.expires_at == end
    assert refused.verdict is Verdict.PROCESSING
    assert (got.verdict, got.evidence) == (Verdict.DECLINED, "EXPIRED")
    assert got.payment is not None
    assert got.payment.verdict is Verdict.CANCELED
    assert got.decline is not None
    assert got.decline.code == "not_confirmed"
    assert ended.verdict is Verdict.SUCCEEDED


async def test_a_returning_customer_pays_with_a_saved_card(world: World) -> None:
    token = await world.saved()
    _, page = await world.page(payer=Payer("cus-x", reference=token.reference))
    assert page.url is not None
    shown = (await world.http.get(page.url)).text
    credentials = (await world.http.get(f"{world.url}/_sandbox/credentials")).json()["data"]
    [saved] = [row["id"] for row in credentials if row["token"] == token.access_token]
    await world.decide(page, saved=saved)
    got = await world.pivot.exchange(world.account, "CARD", page.handle or "", CALL)

    assert "ending in 0002" in shown
    assert got.token is not None
    assert got.token.access_token == token.access_token


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
    got = await world.pivot.charge(world.account, request, Call(timedelta(seconds=0.4)))
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
    call = Call(timedelta(seconds=5), f"clk_{script}", START)
    request = world.debit(await world.saved(script, call))
    await world.pivot.charge(world.account, request, call)
    early = await world.inquire(request, call)
    canceled = await world.pivot.cancel(world.account, request.request_id, call)
    later = replace(call, now=START + timedelta(seconds=30))
    async with asyncio.timeout(5):
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
    call = Call(timedelta(seconds=5), "clk_late", START)
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


async def test_a_debit_that_needs_the_customer_after_all_tells_where(world: World) -> None:
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
    assert got.action_url is not None
    assert got.action_url.startswith(world.url)
    assert got.action_expires_at is not None
    assert await world.entries(request.request_id) == []


# Refunds, and giving up


async def test_refunds(world: World) -> None:
    call = Call(timedelta(seconds=5), "clk_refunds", START)
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
    async with asyncio.timeout(5):
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


async def test_ids_travel_in_letters_and_digits_where_nothing_else_is_documented(world: World) -> None:
    strict = replace(world.account, keys={**world.account.keys, "references": "alphanumeric"})
    request = world.debit(await world.saved())
    got = await world.pivot.charge(strict, request, CALL)
    found = await world.pivot.inquire(strict, request.request_id, CALL)
    news = await world.told(NewsKind.PAYMENT, request.request_id)

    assert got.verdict is Verdict.PROCESSING
    assert found.verdict is Verdict.SUCCEEDED
    assert news.payment_id == found.payment_id
    sent = request.request_id.replace("_", "Z5f").replace("-", "Z2d")
    assert len(await world.entries(sent)) == 1


async def test_a_secret_pivot_does_not_know_changes_nothing(world: World) -> None:
    wrong = replace(world.account, keys={**world.account.keys, "client_secret": "guess"})
    got = await world.pivot.charge(wrong, world.debit(await world.saved()), CALL)

    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "credentials_invalid")


async def test_a_wallet_is_offered_only_where_its_token_may_be_debited(world: World) -> None:
    payer = Payer("cus-w", None, f"wallet{next(NUMBERS)}@example.test", None)
    request = replace(
        PAGE, payment_method="DANA", payer=payer, payment=FirstPayment("agr_w-c1-a1", "w", "Plan", AMOUNT)
    )
    refused = await world.pivot.authorize(world.account, request, CALL)
    confirmed = replace(world.account, keys={**world.account.keys, "wallet_tokens": "on"})
    page = await world.pivot.authorize(confirmed, request, CALL)
    await world.decide(page, phone="08111111001")
    got = await world.pivot.exchange(confirmed, "DANA", page.handle or "", CALL)

    assert refused.verdict is Verdict.DECLINED
    assert refused.decline is not None
    assert refused.decline.category is Category.CONFIGURATION
    assert got.token is not None
    assert got.token.card is None
