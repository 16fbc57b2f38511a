"""The customer's own payment on Pivot's page, against the sandbox, and the token it leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from agreements.declines import DeclineCategory as Category
from agreements.money import Money
from gateways.pivot.encryption import encrypt, public_text
from gateways.port import Call, ChargeAnswer, FirstPayment, NewsKind, Payer, RefundRequest, Verdict
from tests.gateways.pivot_fixtures import AMOUNT, CALL, PAGE
from tests.gateways.pivot_world import START, World, a_world

OTHER_KEY = generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("pivot")) as it:
        yield it


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
    call = Call(timedelta(seconds=30), "clk_unsaved", START)
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
    call = Call(timedelta(seconds=30), "clk_page", START)
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


async def test_a_page_of_ours_gets_a_key_and_brings_the_card(world: World) -> None:
    ours = replace(world.account, keys={**world.account.keys, "card_entry": "our_page"})
    number = "agr_ours-c1-a1"
    request = replace(PAGE, state="as_ours", payment=FirstPayment(number, "agr_ours-c1", "Plan", AMOUNT))
    page = await world.pivot.authorize(ours, request, CALL)
    assert (page.verdict, page.url) == (Verdict.SUCCEEDED, None)
    assert page == await world.pivot.authorize(ours, request, CALL)
    handle = page.handle or ""
    card = {"number": "4440000112290002", "expiryMonth": "01", "expiryYear": "39", "cvc": "123", "nameOnCard": "Sari"}
    encrypted = encrypt(page.card_key or "", {"card": card, "deviceInformations": {}, "metadata": {}})

    unreadable = await world.pivot.confirm(ours, handle, encrypt(public_text(OTHER_KEY), {"card": card}), CALL)
    assert unreadable.verdict is Verdict.DECLINED
    assert unreadable.decline is not None
    bank = await world.pivot.confirm(ours, handle, encrypted, CALL)
    assert bank.verdict is Verdict.SUCCEEDED
    assert bank == await world.pivot.confirm(ours, handle, encrypted, CALL)
    another = encrypt(page.card_key or "", {"card": card, "deviceInformations": {}, "metadata": {}})
    assert (await world.pivot.confirm(ours, handle, another, CALL)).url == bank.url, "it has its card"

    await world.decide(bank)
    news = await world.told(NewsKind.AUTHORIZATION_CODE, number)
    assert (news.code, news.authorization_state) == (handle, "as_ours")
    got = await world.pivot.exchange(ours, "CARD", handle, CALL)
    assert got.token is not None
    assert (await world.pivot.confirm(ours, handle, encrypted, CALL)).verdict is Verdict.SUCCEEDED, "answered as before"
    assert (await world.pivot.confirm(ours, handle, another, CALL)).verdict is Verdict.PROCESSING
    assert [(e["kind"], e["status"]) for e in await world.entries(number)] == [("debit", "succeeded")]


async def test_wallets_are_given_on_pivots_page_all_the_same(world: World) -> None:
    keys = {**world.account.keys, "card_entry": "our_page", "wallet_tokens": "on"}
    payment = FirstPayment("agr_wallet-c1-a1", "agr_wallet-c1", "Plan", AMOUNT)
    request = replace(PAGE, state="as_wallet", payment_method="DANA", payment=payment)
    page = await world.pivot.authorize(replace(world.account, keys=keys), request, CALL)
    assert page.url is not None
    assert page.card_key is None
