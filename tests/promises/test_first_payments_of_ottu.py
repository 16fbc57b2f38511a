"""What is Ottu's own about first payments: a page on which a card was declined can still be paid."""

from __future__ import annotations

from temporalio.testing import ActivityEnvironment

from activities.authorizations import Authorizations
from activities.contract import StepInput
from activities.workbench import Workbench
from gateways import http
from gateways.ottu.connector import Ottu
from gateways.port import Account, Call, TokenAnswer, Verdict
from tests.promises.customers import follow
from tests.promises.support import audited, until, unwatched
from tests.promises.test_first_payments import MORNING, NEXT_MONTH, charge, given_back, pay_and_close_the_browser
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


class MayNotList(Ottu):
    """The real connector of an account whose key may not list cards."""

    async def exchange(self, account: Account, payment_method: str, code: str, call: Call) -> TokenAnswer:
        answer = await super().exchange(account, payment_method, code, call)
        return TokenAnswer(Verdict.UNKNOWN, payment=answer.payment, evidence="http_403")


async def test_money_paid_for_a_card_that_is_never_told_goes_back_after_a_day(house: House) -> None:
    shop = await house.shop("ottu")
    clock = await shop.clock(MORNING)
    made = await shop.call("POST", "/v1/agreements", shop.body(clock), 201)
    agreement = made["id"]
    async with http.client() as client:
        bench = Workbench(house.settings, house.database, house.vault, {"ottu": MayNotList(client)}, nothing_to_deliver)
        asking = Authorizations(bench)
        with house.tap.shut():
            await pay_and_close_the_browser(shop, made["authorization"]["url"])
            over = StepInput(agreement_id=agreement, at=await unwatched(house, clock, "2027-01-31T01:05:00Z"))
            await ActivityEnvironment().run(asking.expire_authorization, over)
            for now, status in (
                ("2027-01-31T01:05:00Z", "pending_authorization"),
                ("2027-01-31T23:59:00Z", "pending_authorization"),
                ("2027-02-01T00:01:00Z", "authorization_failed"),
            ):
                asked = StepInput(agreement_id=agreement, at=await unwatched(house, clock, now))
                await ActivityEnvironment().run(asking.authorize, asked)
                assert (await shop.read(agreement))["status"] == status
    assert (await shop.read(agreement))["authorization"]["error"]["code"] == "credential_not_told"
    await shop.advance(clock, "2027-02-02T00:00:00Z")
    assert await given_back(shop, agreement)
    await audited(shop, agreement)


async def nothing_to_deliver(*_: object) -> None:
    """No endpoint wants anything here."""


async def shows_page(shop: Shop, agreement: str) -> bool:
    return (await shop.read(agreement))["authorization"]["url"] is not None


async def leads_to(shop: Shop, link: str, page: str) -> bool:
    return bool((await follow(shop, link)).headers.get("location") == page)
