"""The customer's page as a person meets it, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.promises.customers import debits, declined
from tests.promises.support import START, audited
from tests.support.browser import fits, flaws, opened
from tests.support.house import House, Shop
from tests.support.shops import CARDS

pytestmark = pytest.mark.browser


async def link(shop: Shop, agreement: str, **body: Any) -> str:
    made = await shop.call("POST", f"/v1/agreements/{agreement}/portal-links", body, 201)
    return str(made["url"])


async def settled(page: Page, again: str = "Look again") -> None:
    """The customer is back, and looks again for as long as the page says that it is worth it."""
    await page.wait_for_url("**/portal/**")
    while await page.get_by_role("link", name=again).count():
        async with page.expect_navigation():  # else the next look may be at half of the next page
            await page.get_by_role("link", name=again).click()


async def sound(page: Page) -> None:
    """Fits a phone and anybody's hands, eyes and ears, by day and by night."""
    for colours in ("light", "dark"):
        await page.emulate_media(color_scheme=colours)
        assert await flaws(page) == []
    assert await fits(page)


async def test_a_customer_whose_wallet_is_closed_gives_another_and_sees_the_debt_collected(
    shop: Shop, page: Page
) -> None:
    _, agreement, _ = await declined(shop)
    url = await link(shop, agreement)
    await page.goto(url)
    await expect(page.get_by_role("region", name="Not paid yet")).to_contain_text("The account you pay from is closed")
    await sound(page)

    await page.get_by_role("button", name="Change how you pay").click()
    await page.get_by_role("button", name="Approve").click()
    await settled(page)
    assert page.url.startswith(url)
    done = page.get_by_role("status")
    await expect(done).to_contain_text("Your new way to pay is in use")
    await expect(done).to_contain_text("From now on you pay with GCash")
    await expect(done).to_contain_text("₱499.00 was collected.")
    await expect(page.get_by_role("region", name="Payments so far")).to_contain_text("Paid on February 1, 2027")
    assert await page.get_by_text("Not paid yet").count() == 0
    await sound(page)
    assert [status for _, status in await debits(shop, agreement)] == ["failed", "succeeded"]
    assert url.rsplit("/", 1)[1] not in str(await shop.events(agreement)), "the link is nobody else's"


async def test_a_customer_whose_card_was_declined_pays_with_another_and_comes_back(house: House, page: Page) -> None:
    """At Ottu the payment on the provider's page is what collects the debt, and it names the new card."""
    shop = await house.shop("ottu")
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, "expired_card")
    await shop.advance(clock, "2027-02-28T12:00:00Z")
    old, new = (number[-4:] for number in CARDS["ottu"])
    url = await link(shop, agreement)
    await page.goto(url)
    owed = page.get_by_role("region", name="Not paid yet")
    await expect(owed).to_contain_text("KWD\N{NO-BREAK SPACE}12.500")
    await expect(owed).to_contain_text("has expired")
    await expect(page.get_by_role("region", name="Next payment")).to_contain_text(f"ending in {old}")

    await page.get_by_role("button", name="Change card").click()
    await page.wait_for_url(f"{shop.sandbox_url}/**")
    offered = page.url
    await page.go_back()
    await page.reload()
    await expect(owed).to_be_visible()
    await page.get_by_role("button", name="Change card").click()
    await page.wait_for_url(f"{shop.sandbox_url}/**")
    assert page.url == offered, "there is one payment to be made, however often it is asked for"

    await page.get_by_role("radio", name=f"•••• {new}").check()
    await page.get_by_role("button", name="Pay KWD 12.500").click()
    await settled(page)
    assert page.url.startswith(url)
    done = page.get_by_role("status")
    await expect(done).to_contain_text(f"ending in {new}")
    await expect(done).to_contain_text("KWD\N{NO-BREAK SPACE}12.500 was collected.")
    await expect(page.get_by_role("region", name="Payments so far")).to_contain_text("Paid on 28 February 2027")
    await expect(page.get_by_role("region", name="Next payment")).to_contain_text("valid until")
    assert await page.get_by_text("Not paid yet").count() == 0
    await sound(page)
    read = await shop.read(agreement)
    assert (read["status"], read["credential"]["last4"]) == ("active", new)
    assert [status for _, status in await debits(shop, agreement)] == ["succeeded", "failed", "succeeded"]
    await audited(shop, agreement)


async def test_a_customer_cancels_after_being_asked(shop: Shop, page: Page) -> None:
    agreement = await shop.agree(await shop.clock(START))
    await page.goto(await link(shop, agreement, return_url="https://merchant.example/"))
    await page.get_by_role("link", name="Cancel these payments").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Cancel your payments to Example Store?")
    await sound(page)
    await page.get_by_role("link", name="Keep paying").click()
    assert (await shop.read(agreement))["status"] == "active"

    await page.get_by_role("link", name="Cancel these payments").click()
    await page.get_by_role("button", name="Yes, cancel").click()
    await expect(page.get_by_text("These payments were cancelled on January 31, 2027")).to_be_visible()
    assert await page.get_by_role("button").count() == 0
    await sound(page)
    assert (await shop.read(agreement))["revocation"]["initiator"] == "customer"
    await page.go_back()
    await page.reload()
    await expect(page.get_by_text("These payments were cancelled on January 31, 2027")).to_be_visible()


async def test_arabic_runs_from_right_to_left_and_stays_on_the_way_to_the_provider_and_back(
    shop: Shop, page: Page
) -> None:
    agreement = await shop.agree(await shop.clock(START))
    await page.goto(await link(shop, agreement))
    await page.get_by_role("link", name="العربية").click()
    await expect(page.locator("html")).to_have_attribute("dir", "rtl")
    label, value = page.locator("dt").first, page.locator("dd").first
    left, right = await value.bounding_box(), await label.bounding_box()
    assert left is not None
    assert right is not None
    assert left["x"] < right["x"], "labels are read first, on the right"
    await sound(page)

    await page.get_by_role("button", name="تغيير طريقة الدفع").click()
    await page.get_by_role("button", name="Approve").click()
    await settled(page, "تحديث الصفحة")
    await expect(page.get_by_role("status")).to_contain_text("وسيلة الدفع الجديدة قيد الاستخدام")
    await page.get_by_role("link", name="إلغاء هذه المدفوعات").click()
    await page.wait_for_url("**/cancel**")
    await expect(page.locator("html")).to_have_attribute("lang", "ar")
    await sound(page)


async def test_the_browsers_language_is_the_pages(shop: Shop, browser: Browser) -> None:
    agreement = await shop.agree(await shop.clock(START))
    url = await link(shop, agreement)
    arabic = await opened(browser, "ar-KW")
    await arabic.goto(url)
    await expect(arabic.locator("html")).to_have_attribute("lang", "ar")
    await arabic.close()


async def test_the_keyboard_is_enough(shop: Shop, page: Page) -> None:
    """From the top of the page to its end, each stop visible, and on to the last answer."""
    agreement = await shop.agree(await shop.clock(START))
    await page.goto(await link(shop, agreement, return_url="https://merchant.example/"))
    stops: list[str] = []
    for _ in range(4):
        await page.keyboard.press("Tab")
        focused = page.locator(":focus")
        stops.append(await focused.inner_text())
        assert await focused.evaluate("e => parseFloat(getComputedStyle(e).outlineWidth)") >= 2, stops
    assert stops == ["Change how you pay", "Cancel these payments", "Back to Example Store", "العربية"]
    for keys in ("Shift+Tab", "Shift+Tab", "Enter"):
        await page.keyboard.press(keys)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Cancel your payments")
    await page.wait_for_load_state()
    for keys in ("Tab", "Enter"):
        await page.keyboard.press(keys)
    await expect(page.get_by_text("These payments were cancelled")).to_be_visible()


async def test_every_other_page_is_as_usable(shop: Shop, house: House, page: Page) -> None:
    """What a link for a card change shows, before and after, and what is not known."""
    _, agreement, action = await declined(shop)
    await page.goto(action["url"])
    await expect(page.get_by_role("button", name="Continue")).to_be_visible()
    await sound(page)
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Approve").click()
    await shop.until_status(agreement, "active")
    await page.goto(action["url"])
    await expect(page.get_by_role("heading", level=1)).to_have_text("Already done")
    await sound(page)
    for unknown in ("/portal/guessed", "/card-changes/guessed"):
        answer = await page.goto(house.settings.public_url + unknown)
        assert answer is not None
        assert answer.status == 404
        await expect(page.get_by_role("heading", level=1)).to_have_text("This link is not known")
        await sound(page)
