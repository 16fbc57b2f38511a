"""The connector over real HTTP against the sandbox, which shares none of its mapping."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from agreements.declines import DeclineCategory as Category
from agreements.money import Money
from agreements.terms import AgreementType, Frequency, Terms
from gateways.http import client
from gateways.ottu.connector import Ottu
from gateways.ottu.notifications import from_return, parse
from gateways.port import (
    Account,
    Call,
    ChargeAnswer,
    ChargeRequest,
    FirstPayment,
    News,
    NewsKind,
    OpenAnswer,
    RefundRequest,
    Token,
    TokenAnswer,
    Verdict,
)
from sandbox.ottu.scripts import VOCABULARY
from tests.gateways.ottu_fixtures import AMOUNT, CHARGE, PAGE, TERMS, account
from tests.sandbox.ottu_support import DECLINED, MASTERCARD, VISA, Merchant, an_ottu

NUMBERS = count(1)
MINUTE = timedelta(minutes=1)


@dataclass
class World:
    """A merchant with the connector, and the sandbox behind it, on one test clock."""

    ottu: Merchant
    gateway: Ottu
    account: Account
    http: httpx.AsyncClient
    agreement: str = field(default_factory=lambda: f"agr_{next(NUMBERS)}")

    @property
    def call(self) -> Call:
        return Call(timedelta(seconds=5), self.ottu.clock, self.ottu.now)

    async def page(self, amount: Money | None = AMOUNT, **changes: Any) -> tuple[str, str]:
        """Handle and address of a page on which the customer pays and agrees."""
        payment = FirstPayment(f"{self.agreement}-c1-a1", f"{self.agreement}-c1", "Desert Books", amount)
        changes = {"agreement_id": self.agreement, "notify_url": f"{self.ottu.inbox.url}/hooks"} | changes
        opened = await self.gateway.authorize(self.account, replace(PAGE, payment=payment, **changes), self.call)
        assert opened.verdict is Verdict.SUCCEEDED, opened
        assert opened.handle is not None
        assert opened.url is not None
        return opened.handle, opened.url

    async def exchange(self, handle: str) -> TokenAnswer:
        return await self.gateway.exchange(self.account, "mpgs-kwd", handle, self.call)

    async def agreed(self, script: str = "success", card: str = MASTERCARD, **changes: Any) -> Token:
        """A card whose debits follow `script`."""
        handle, url = await self.page(**changes)
        assert (await self.ottu.pay(url, script, card)).status_code == 303
        got = await self.exchange(handle)
        assert got.token is not None, got
        return got.token

    def debit(self, token: Token, **changes: Any) -> ChargeRequest:
        """A debit with an id of its own, not opened yet."""
        order = f"{self.agreement}-c{next(NUMBERS)}"
        request = replace(
            CHARGE,
            request_id=f"{order}-a1",
            order_id=order,
            token=token.access_token,
            token_reference=token.reference,
            agreement_id=self.agreement,
            notify_url=f"{self.ottu.inbox.url}/hooks",
            handle=None,
        )
        return replace(request, **changes)

    async def open(self, request: ChargeRequest) -> OpenAnswer:
        return await self.gateway.open(self.account, request, self.call)

    async def charge(self, request: ChargeRequest, timeout: float = 5) -> tuple[ChargeRequest, ChargeAnswer]:
        """Opens and charges, as the engine does: the handle is known before money can move."""
        opened = await self.open(request)
        assert opened.verdict is Verdict.SUCCEEDED, opened
        request = replace(request, handle=opened.handle)
        return request, await self.gateway.charge(
            self.account, request, replace(self.call, timeout=timedelta(seconds=timeout))
        )

    async def inquire(self, request: ChargeRequest) -> ChargeAnswer:
        return await self.gateway.inquire(self.account, request.request_id, self.call, request.handle)

    def news(self) -> list[News]:
        """What the sandbox told, read as the engine reads it."""
        bodies = self.ottu.inbox.received
        return [each for body in bodies for each in parse(self.account, "POST", "/n", {}, json.dumps(body).encode())]

    async def debits(self, request: ChargeRequest) -> list[str]:
        """Status of the debits with this id in the provider's own books."""
        return [
            entry["status"]
            for entry in await self.ottu.ledger()
            if (entry["request_id"], entry["kind"]) == (request.request_id, "debit")
        ]


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Merchant]:
    async with an_ottu(tmp_path_factory.mktemp("ottu")) as merchant:
        yield merchant


@pytest.fixture
async def world(running: Merchant) -> AsyncIterator[World]:
    await running.begin()
    async with client() as http:
        yield World(running, Ottu(http), account(sandbox=True, base_url=running.base_url), http)
    await running.quiet()


# The customer's payment


async def test_the_customers_payment_brings_the_token_and_is_the_first_debit(world: World) -> None:
    handle, url = await world.page()
    waiting = await world.exchange(handle)
    answered = await world.ottu.pay(url)
    back = from_return(dict(parse_qsl(urlsplit(answered.headers["location"]).query)))
    told = world.news()
    got = await world.exchange(handle)

    assert (waiting.verdict, waiting.token) == (Verdict.NOT_FOUND, None)
    assert (back.kind, back.code, back.authorization_state) == (NewsKind.AUTHORIZATION_CODE, handle, "as_1")
    assert [(each.kind, each.code, each.authorization_state) for each in told[:1]] == [(back.kind, handle, "as_1")]
    assert [(each.kind, each.verdict, each.amount, each.request_id, each.payment_id) for each in told[1:]] == [
        (NewsKind.PAYMENT, Verdict.SUCCEEDED, AMOUNT, f"{world.agreement}-c1-a1", handle)
    ]
    assert got.verdict is Verdict.SUCCEEDED
    assert got.payment is not None
    assert (got.payment.verdict, got.payment.payment_id, got.payment.amount) == (Verdict.SUCCEEDED, handle, AMOUNT)
    assert got.token is not None
    assert got.token.card is not None
    card = got.token.card
    assert (card.network, card.last4, card.expiry_month, card.expiry_year) == ("mastercard", "0008", 1, 2039)
    assert got.token.expires_at == datetime(2039, 2, 1, tzinfo=UTC)
    assert (got.token.reference, got.token.refresh_token) == ("mpgs-kwd", None)
    session = await world.ottu.retrieve(handle)
    assert session["agreement"]["extra_params"] == {"payment_processing_day": 20}
    entry = (await world.ottu.ledger())[-1]
    assert (entry["request_id"], entry["merchant_reference"]) == (f"{world.agreement}-c1-a1", f"{world.agreement}-c1")


async def test_a_card_is_verified_by_a_small_payment_that_goes_back(world: World) -> None:
    handle, url = await world.page(amount=None)
    await world.ottu.pay(url)
    got = await world.exchange(handle)
    assert got.payment is not None
    assert got.payment.amount == Money(currency="KWD", value=100)
    back = RefundRequest("rfd_1", handle, got.payment.amount, "verification", "https://e.example/n")
    assert (await world.gateway.refund(world.account, back, world.call)).verdict is Verdict.SUCCEEDED
    assert await world.ottu.movements() == [("debit", "succeeded", 100), ("refund", "succeeded", 100)]


async def test_a_declined_try_of_the_customer_is_not_the_end(world: World) -> None:
    handle, url = await world.page()
    await world.ottu.pay(url, card=DECLINED)
    failed = await world.exchange(handle)
    await world.ottu.pay(url, card=VISA)
    told = [(each.kind, each.verdict) for each in world.news()]
    paid = await world.exchange(handle)

    assert failed.verdict is Verdict.NOT_FOUND
    assert told == [
        (NewsKind.PAYMENT, Verdict.PROCESSING),
        (NewsKind.AUTHORIZATION_CODE, None),
        (NewsKind.PAYMENT, Verdict.SUCCEEDED),
    ]
    assert paid.token is not None
    assert paid.token.card is not None
    assert (paid.token.card.brand, paid.token.card.network) == ("VISA", "visa")


async def test_where_one_try_is_all_its_failure_is_the_end(world: World) -> None:
    world.account = account(sandbox=True, base_url=world.ottu.base_url, pg_code="mpgs-kwd-single")
    handle, url = await world.page()
    await world.ottu.pay(url, card=DECLINED)
    got = await world.exchange(handle)
    assert got.payment is not None
    assert got.verdict is got.payment.verdict is Verdict.DECLINED
    assert [each.kind for each in world.news()] == [NewsKind.AUTHORIZATION_CODE, NewsKind.PAYMENT]


async def test_a_page_nobody_used_ends(world: World) -> None:
    handle, _ = await world.page()
    await world.ottu.advance(timedelta(hours=1))
    got = await world.exchange(handle)
    assert got.payment is not None
    assert (got.verdict, got.payment.verdict, got.evidence) == (Verdict.DECLINED, Verdict.DECLINED, "expired")


async def test_a_page_that_was_closed_cannot_be_paid_and_closing_may_be_repeated(world: World) -> None:
    handle, url = await world.page()
    request_id = f"{world.agreement}-c1-a1"
    for _ in range(2):
        closed = await world.gateway.cancel(world.account, request_id, world.call, handle)
        assert closed.verdict is Verdict.SUCCEEDED
    assert (await world.ottu.pay(url)).status_code == 409
    got = await world.exchange(handle)
    assert got.payment is not None
    assert (got.verdict, got.payment.verdict) == (Verdict.DECLINED, Verdict.CANCELED)


async def test_a_card_that_expires_before_the_last_debit_is_not_taken(world: World) -> None:
    # The last of twelve cycles is due on 20 October 2027, 334 days ahead.
    _, url = await world.page()
    assert (await world.ottu.pay(url, expiry="09/27")).status_code == 422
    assert (await world.ottu.pay(url, expiry="10/27")).status_code == 303


async def test_a_payment_without_a_token_is_to_be_given_back(world: World) -> None:
    handle, url = await world.page()
    await world.ottu.pay(url)
    await world.ottu.admin(f"credentials/{(await world.ottu.credential())['id']}/unlock", {})
    got = await world.exchange(handle)
    assert (got.verdict, got.token) == (Verdict.DECLINED, None)
    assert got.payment is not None
    assert got.payment.verdict is Verdict.SUCCEEDED


async def test_a_gateway_that_only_reserves_money_is_refused_before_anybody_pays(world: World) -> None:
    world.account = account(sandbox=True, base_url=world.ottu.base_url, pg_code="mpgs-kwd-auth")
    refused = await world.gateway.authorize(world.account, replace(PAGE, agreement_id="agr_0"), world.call)
    assert (refused.verdict, refused.url) == (Verdict.DECLINED, None)
    assert refused.decline is not None
    assert refused.decline.category is Category.CONFIGURATION


async def test_a_page_ottu_does_not_make_names_the_fields(world: World) -> None:
    refused = await world.gateway.authorize(world.account, replace(PAGE, payment_method="knet-kwd"), world.call)
    assert (refused.verdict, refused.evidence) == (Verdict.DECLINED, "http_400:pg_codes")
    assert refused.decline is not None
    assert refused.decline.category is Category.REVIEW


async def test_a_key_ottu_does_not_know_is_the_merchants_to_repair(world: World) -> None:
    token = await world.agreed()
    request, _ = await world.charge(world.debit(token))
    world.account = account(sandbox=True, base_url=world.ottu.base_url, api_key="DESERTBK.wrong")
    opened = await world.open(world.debit(token))
    charged = await world.gateway.charge(world.account, request, world.call)
    assert opened.verdict is charged.verdict is Verdict.DECLINED
    assert opened.decline is not None
    assert opened.decline.category is Category.CONFIGURATION
    assert (await world.inquire(request)).evidence == "http_401"


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
    patience = 0.7 if script == "timeout" else 5
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
