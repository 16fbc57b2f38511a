"""What is Ottu's own about first payments: a page on which a card was declined can still be paid."""

from __future__ import annotations

from tests.promises.customers import follow
from tests.promises.support import audited, until
from tests.promises.test_first_payments import MORNING, NEXT_MONTH, charge
from tests.support.house import House
from tests.support.shops import CARDS, Shop

DECLINED = "5555555555554444"


async def test_a_customer_who_was_declined_goes_back_to_the_page_and_pays_with_another_card(house: House) -> None:
    shop = await house.shop("ottu")
    clock = await shop.clock(MORNING)
    made = await shop.call("POST", "/v1/agreements", shop.body(clock), 201)
    agreement, page = made["id"], made["authorization"]
    await shop.decide(page["url"], decision="approve", card=DECLINED)
    await shop.until_settled(agreement)
    await until(lambda: shows_page(shop, agreement))
    again = (await shop.read(agreement))["authorization"]
    assert (again["url"], again["expires_at"]) == (page["url"], page["expires_at"])
    await shop.decide(again["url"], decision="approve", card=CARDS["ottu"][1])
    await shop.until_status(agreement, "active")
    assert "succeeded" in [row["status"] for row in await audited(shop, agreement)]


async def test_a_link_leads_back_to_the_page_after_a_card_was_declined_there(house: House) -> None:
    shop = await house.shop("ottu")
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock, "expired_card")
    await shop.advance(clock, NEXT_MONTH)
    link = (await shop.read(agreement))["action"]["url"]
    page = (await follow(shop, link)).headers["location"]
    await shop.decide(page, decision="approve", card=DECLINED)
    await until(lambda: leads_to(shop, link, page))
    await shop.decide(page, decision="approve", card=CARDS["ottu"][1])
    await shop.until_status(agreement, "active")
    second = await charge(shop, agreement, 1)
    assert [each["status"] for each in second["attempts"]] == ["failed", "succeeded"]
    await audited(shop, agreement)


async def shows_page(shop: Shop, agreement: str) -> bool:
    return (await shop.read(agreement))["authorization"]["url"] is not None


async def leads_to(shop: Shop, link: str, page: str) -> bool:
    return bool((await follow(shop, link)).headers.get("location") == page)
