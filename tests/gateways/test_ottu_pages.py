"""The customer's payment on Ottu's page, against the sandbox, and the token it brings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from agreements.declines import DeclineCategory as Category
from agreements.money import Money
from gateways.ottu.notifications import from_return
from gateways.port import NewsKind, RefundRequest, Verdict
from tests.gateways.ottu_fixtures import AMOUNT, PAGE, account
from tests.gateways.ottu_world import World, running, world
from tests.sandbox.ottu_support import DECLINED, VISA

__all__ = ["running", "world"]


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
