"""What is Pivot's own about first payments: cards that are not saved, and renewals for which the customer is needed."""

from __future__ import annotations

from cli.sandbox_accounts import register
from store import merchants
from store.merchants import Principal
from store.tables import GatewayAccount
from tests.promises.customers import follow
from tests.promises.support import audited
from tests.promises.test_first_payments import MORNING, NEXT_MONTH, charge, given_back
from tests.support.house import House
from tests.support.shops import Shop


async def test_a_paid_page_that_left_no_card_is_given_back_and_no_agreement(house: House) -> None:
    shop = await house.shop("pivot")
    clock = await shop.clock(MORNING)
    made = await shop.call("POST", "/v1/agreements", shop.body(clock), 201)
    await shop.decide(made["authorization"]["url"], decision="approve", save="off")
    await shop.advance(clock, "2027-01-31T12:00:00Z")
    read = await shop.read(made["id"])
    assert (read["status"], read["authorization"]["error"]["code"]) == ("authorization_failed", "credential_not_saved")
    assert await given_back(shop, made["id"])
    assert [row["status"] for row in await audited(shop, made["id"])] == ["reversed"]


async def test_where_the_customer_must_be_present_each_renewal_waits_for_them_with_a_link(house: House) -> None:
    shop = await house.shop("pivot")
    await with_customers_present(shop)
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock)
    await shop.advance(clock, NEXT_MONTH)
    read = await shop.read(agreement)
    assert (read["status"], read["action"]["reason"]) == ("action_required", "customer_present")
    page = await follow(shop, read["action"]["url"])
    await shop.decide(page.headers["location"], decision="approve")
    await shop.until_status(agreement, "active")
    second = await charge(shop, agreement, 1)
    assert [(each["by_customer"], each["status"]) for each in second["attempts"]] == [
        (False, "failed"),
        (True, "succeeded"),
    ]
    await audited(shop, agreement)


async def with_customers_present(shop: Shop) -> None:
    """The account as Pivot sets it up by default."""
    house = shop.house
    async with house.database.transaction() as session:
        account = await session.get_one(GatewayAccount, shop.account)
        keys = {**merchants.opened_keys(house.vault, account), "recurring_profile": "customer_present"}
        principal = Principal(shop.merchant_id, livemode=False)
        await merchants.connect_account(
            session, house.vault, principal, gateway="pivot", base_url=account.base_url, keys=keys, sandbox=True
        )
    notify_url = house.settings.notification_url("pivot", shop.account)
    await register(house.outside, "pivot", shop.sandbox_url, keys, shop.client_id[4:], "Example Store", notify_url)
