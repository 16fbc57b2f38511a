"""A card typed on our own page: only the provider reads it, the customer goes on to their bank, and it is forgotten."""

from __future__ import annotations

import asyncio
import html
import re
from typing import Any

import httpx
from sqlmodel import col, select

from gateways.pivot.encryption import encrypt
from store import journal, merchants
from store.merchants import Principal
from store.tables import Authorization, GatewayAccount, Notification
from tests.promises.leaks import captured_logs, histories, leaked, rows
from tests.promises.support import START, audited, until
from tests.support.house import House, Shop
from tests.support.shops import CARDS

NUMBER = CARDS["pivot"][0]
DECLINED = "4440000334470010"  # no money, but only after the bank's page


def plain(number: str = NUMBER) -> dict[str, Any]:
    return {
        "card": {"number": number, "expiryMonth": "01", "expiryYear": "39", "cvc": "731", "nameOnCard": "Sari Wijaya"},
        "deviceInformations": {"type": "", "userAgent": "tests"},
        "metadata": {},
    }


async def our_page(house: House) -> Shop:
    """A merchant whose account at Pivot asks for a page of ours."""
    shop = await house.shop("pivot")
    async with house.database.transaction() as session:
        row = await session.get_one(GatewayAccount, shop.account)
        keys = merchants.opened_keys(house.vault, row) | {"card_entry": "our_page"}
        await merchants.connect_account(
            session,
            house.vault,
            Principal(shop.merchant_id, livemode=False),
            gateway="pivot",
            base_url=row.base_url,
            keys=keys,
            sandbox=True,
        )
    return shop


async def opened(shop: Shop, **changes: Any) -> dict[str, Any]:
    """An agreement that waits for its customer."""
    clock = await shop.clock(START)
    return await shop.call("POST", "/v1/agreements", shop.body(clock, **changes), expect=201)


async def key_of(shop: Shop, url: str) -> str:
    """The key the page encrypts with."""
    page = await shop.house.outside.get(url)
    assert page.status_code == 200, page.text
    found = re.search(r'data-key="([^"]+)"', page.text)
    assert found
    return html.unescape(found[1])


async def typed(shop: Shop, url: str, number: str = NUMBER) -> httpx.Response:
    """What a browser posts once the customer has typed the card."""
    posted = encrypt(await key_of(shop, url), plain(number))
    return await shop.house.outside.post(url, data={"encrypted_card": posted})


async def at_the_bank(shop: Shop, answer: httpx.Response, decision: str = "approve") -> httpx.Response:
    """The customer answers the bank's question; the browser's way back."""
    assert answer.status_code == 303, answer.text
    asked = await shop.house.outside.post(answer.headers["location"], data={"decision": decision})
    return await shop.house.outside.get(asked.headers["location"])


async def journalled(house: House, shop: Shop) -> list[Notification]:
    query = select(Notification).where(Notification.account_id == shop.account, Notification.source == "card")
    async with house.database.transaction() as session:
        return list(await session.exec(query.order_by(col(Notification.id))))


async def test_a_customer_pays_and_agrees_on_our_page(house: House) -> None:
    shop = await our_page(house)
    with captured_logs() as written:
        made = await opened(shop)
        url = made["authorization"]["url"]
        assert url.startswith(f"{house.settings.public_url}/pay/")
        back = await at_the_bank(shop, await typed(shop, url))
        assert back.headers["location"].startswith("https://")
        agreement = await shop.until_status(made["id"], "active")
    [session] = [row for row in await shop.ledger(agreement) if row["kind"] == "debit"]
    assert session["status"] == "succeeded"
    await audited(shop, agreement)
    assert (await shop.read(agreement))["credential"]["last4"] == NUMBER[-4:]
    [consent] = (await shop.call("GET", f"/v1/agreements/{agreement}/consents"))["data"]
    assert [seen["where"] for seen in consent["sightings"]] == ["card_page", "return"]
    [kept] = await journalled(house, shop)
    assert kept.status == "settled"
    assert journal.unseal(house.vault, kept.sealed_message).body == b""
    again = await shop.house.outside.get(url)
    assert again.status_code == 303, "who comes again is sent on"
    places = await rows(house.database) | await histories(house.temporal) | {"logs": written.getvalue().encode()}
    assert {place for place, raw in places.items() if leaked(raw, [NUMBER])} == set()


async def test_nothing_but_an_encrypted_card_is_taken(house: House) -> None:
    shop = await our_page(house)
    url = (await opened(shop))["authorization"]["url"]
    for posted in (NUMBER, "", encrypt(await key_of(shop, url), plain())[:-8], "e30="):
        refused = await shop.house.outside.post(url, data={"encrypted_card": posted})
        assert refused.status_code == 422
        assert "The card was not accepted" in refused.text
        assert posted not in refused.text or not posted
    assert await journalled(house, shop) == []
    assert (await shop.house.outside.post(f"{house.settings.public_url}/pay/nobody")).status_code == 404


async def test_a_card_the_provider_cannot_read_may_be_typed_again(house: House) -> None:
    """Encrypted with another session's key, as by a page left open too long."""
    shop = await our_page(house)
    other = (await opened(shop))["authorization"]["url"]
    made = await opened(shop)
    url = made["authorization"]["url"]
    foreign = encrypt(await key_of(shop, other), plain())
    refused = await shop.house.outside.post(url, data={"encrypted_card": foreign})
    assert refused.status_code == 422, refused.text
    await at_the_bank(shop, await typed(shop, url))
    await shop.until_status(made["id"], "active")


async def test_a_page_is_of_no_use_for_trying_out_many_cards(house: House) -> None:
    """Five may be tried within an hour; what comes then reaches neither the journal nor the provider."""
    shop = await our_page(house)
    other = (await opened(shop))["authorization"]["url"]
    url = (await opened(shop))["authorization"]["url"]
    refused = {"encrypted_card": encrypt(await key_of(shop, other), plain())}
    answers = [await house.outside.post(url, data=refused) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    assert "Too many cards were tried" in answers[-1].text
    assert len(await journalled(house, shop)) == 5


async def test_a_card_for_an_account_whose_keys_do_not_open_is_not_kept(house: House) -> None:
    shop = await our_page(house)
    url = (await opened(shop))["authorization"]["url"]
    posted = encrypt(await key_of(shop, url), plain())
    async with house.database.transaction() as session:
        row = await session.get_one(GatewayAccount, shop.account)
        keys, row.sealed_keys = row.sealed_keys, "sealed with a key that was lost"
    try:
        answer = await house.outside.post(url, data={"encrypted_card": posted})
    finally:
        async with house.database.transaction() as session:
            (await session.get_one(GatewayAccount, shop.account)).sealed_keys = keys
    assert (answer.status_code, "cannot be shown right now" in answer.text) == (503, True)
    assert await journalled(house, shop) == []


async def test_a_lost_answer_has_the_same_card_handed_in_again(house: House) -> None:
    shop = await our_page(house)
    made = await opened(shop)
    url = made["authorization"]["url"]
    key = await key_of(shop, url)
    posted, another = encrypt(key, plain()), encrypt(key, plain(CARDS["pivot"][1]))
    faults_url = f"{shop.sandbox_url}/_sandbox/faults"
    assert (await house.outside.post(faults_url, json={"lost_answer": 1})).is_success
    try:
        first = asyncio.create_task(house.outside.post(url, data={"encrypted_card": posted}))

        async def waits() -> bool:
            query = select(Authorization.code_notification_id).where(Authorization.agreement_id == made["id"])
            async with house.database.transaction() as session:
                return (await session.exec(query)).one() is not None

        await until(waits)
        second = await house.outside.post(url, data={"encrypted_card": another})
        for waiting in (await first, second):
            assert waiting.status_code == 503
            assert "has not answered yet" in waiting.text
    finally:
        assert (await house.outside.post(faults_url, json={})).is_success
    clock = (await shop.read(made["id"]))["test_clock"]
    await shop.advance(clock, "2027-01-31T00:01:00Z")
    onward = await house.outside.get(url)
    await at_the_bank(shop, onward)
    await shop.until_status(made["id"], "active")
    assert [row["status"] for row in await shop.ledger(made["id"]) if row["kind"] == "debit"] == ["succeeded"]
    [kept] = await journalled(house, shop)  # the second would only have been forgotten
    assert journal.unseal(house.vault, kept.sealed_message).body == b""


async def test_a_card_that_waits_is_forgotten_when_the_merchant_revokes(house: House) -> None:
    """The provider has not had it yet, and does not get it any more."""
    shop = await our_page(house)
    made = await opened(shop)
    url, faults_url = made["authorization"]["url"], f"{shop.sandbox_url}/_sandbox/faults"
    posted = encrypt(await key_of(shop, url), plain())
    assert (await house.outside.post(faults_url, json={"http_500": 1})).is_success
    try:
        assert (await house.outside.post(url, data={"encrypted_card": posted})).status_code == 503
        await shop.call("POST", f"/v1/agreements/{made['id']}/revoke", {"initiator": "merchant"})
    finally:
        assert (await house.outside.post(faults_url, json={})).is_success
    await shop.advance(made["test_clock"], "2027-01-31T00:10:00Z")
    assert [row for row in await shop.ledger(made["id"]) if row["kind"] == "debit"] == []
    [kept] = await journalled(house, shop)
    assert journal.unseal(house.vault, kept.sealed_message).body == b""
    assert (await house.outside.get(url)).status_code == 410


async def test_a_payment_the_bank_refuses_fails_the_agreement(house: House) -> None:
    shop = await our_page(house)
    made = await opened(shop)
    await at_the_bank(shop, await typed(shop, made["authorization"]["url"], DECLINED))
    await shop.until_status(made["id"], "authorization_failed")
    assert (await shop.house.outside.get(made["authorization"]["url"])).status_code == 410


async def test_a_card_is_changed_on_our_page(house: House) -> None:
    shop = await our_page(house)
    made = await opened(shop)
    await at_the_bank(shop, await typed(shop, made["authorization"]["url"]))
    agreement = await shop.until_status(made["id"], "active")
    asked = await shop.call("POST", f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"}, expect=201)
    followed = await house.outside.post(asked["url"])
    page = followed.headers["location"]
    assert page.startswith(f"{house.settings.public_url}/pay/")
    assert "goes back to you at once" in (await house.outside.get(page)).text
    await at_the_bank(shop, await typed(shop, page, CARDS["pivot"][1]))

    async def changed() -> bool:
        return bool((await shop.read(agreement))["credential"]["last4"] == CARDS["pivot"][1][-4:])

    await until(changed)
