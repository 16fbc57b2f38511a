"""The page on which a customer types a card, in a real browser: the number never leaves it in clear."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from playwright.async_api import Browser, Page, Request, expect

from tests.promises.test_card_entry import NUMBER, opened, our_page
from tests.support.browser import PHONE, fits, flaws
from tests.support.house import House

pytestmark = pytest.mark.browser


async def fill(page: Page, number: str, expiry: str = "01 / 39", code: str = "731", name: str = "Sari Wijaya") -> None:
    for label, text in {
        "Card number": number,
        "Valid until": expiry,
        "Security code": code,
        "Name on the card": name,
    }.items():
        await page.get_by_label(label).fill(text)


async def test_a_customer_types_a_card_and_confirms_at_the_bank(house: House, page: Page) -> None:
    shop = await our_page(house)
    made = await opened(shop)
    sent: list[Request] = []
    violations: list[str] = []
    page.on("request", lambda request: sent.append(request))
    page.on("console", lambda line: violations.append(line.text) if line.type == "error" else None)
    await page.goto(made["authorization"]["url"])
    await expect(page.get_by_role("heading", level=1)).to_have_text("Pay Example Store")
    for colours in ("light", "dark"):
        await page.emulate_media(color_scheme=colours)
        assert await flaws(page) == []
    assert await fits(page)

    await fill(page, "4440 0001 1229 0003")
    button = page.get_by_role("button", name="Pay")
    await button.click()
    await expect(page.get_by_role("alert")).to_have_text("Please check the card number.")
    await expect(page.get_by_label("Card number")).to_be_focused()
    assert await flaws(page) == []
    await fill(page, "4440 0001 1229 0002", expiry="13/39")
    await button.click()
    await expect(page.get_by_role("alert")).to_have_text("Please check until when the card is valid.")

    await fill(page, "4440 0001 1229 0002")
    await button.click()
    await page.get_by_role("button", name="Confirm").click()
    await shop.until_status(made["id"], "active")
    assert (await shop.read(made["id"]))["credential"]["last4"] == NUMBER[-4:]
    assert violations == []
    [posted] = [request for request in sent if request.method == "POST" and "/pay/" in request.url]
    assert list(parse_qs(posted.post_data or "")) == ["encrypted_card"]
    told = json.dumps([[request.url, request.post_data, request.headers] for request in sent])
    assert NUMBER not in told
    assert "731" not in (posted.post_data or "").split("&", 1)[1:], "no field beside it"


async def test_without_scripts_nothing_can_be_typed(house: House, browser: Browser) -> None:
    shop = await our_page(house)
    url = (await opened(shop))["authorization"]["url"]
    bare = await browser.new_page(viewport=PHONE, locale="en-US", java_script_enabled=False)
    try:
        await bare.goto(url)
        await expect(bare.get_by_text("Please turn JavaScript on")).to_be_visible()
        assert await bare.get_by_role("textbox").count() == 0
        assert await bare.get_by_role("button").count() == 0
        assert not await bare.locator("input[name]").count(), "whatever is typed has no way out"
    finally:
        await bare.close()


async def test_the_page_reads_in_arabic(house: House, page: Page) -> None:
    shop = await our_page(house)
    await page.goto((await opened(shop))["authorization"]["url"] + "?lang=ar")
    await expect(page.locator("html")).to_have_attribute("dir", "rtl")
    assert await flaws(page) == []
    assert await fits(page)
