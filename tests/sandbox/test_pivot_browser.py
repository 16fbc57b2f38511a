"""Pivot's pages as a person meets them, in a real browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.sandbox.pivot_support import CHALLENGE, FRICTIONLESS, URLS, Callbacks, Shop
from tests.support.browser import fits

pytestmark = pytest.mark.browser


async def tokens(shop: Shop, customer_id: str) -> int:
    return len((await shop.ok("GET", f"/v1/customers/{customer_id}"))["storedPaymentMethods"])


@pytest.mark.parametrize("ticked", [True, False])
async def test_a_customer_pays_and_decides_about_the_card(shop: Shop, page: Page, ticked: bool) -> None:
    back = f"{shop.base_url}/_sandbox/health"  # any page to land on
    session = await shop.create(redirectUrl=URLS | {"successReturnUrl": back})
    await page.goto(session["paymentUrl"])
    assert await fits(page), "wider than a phone"
    await page.get_by_label("Card number").fill(CHALLENGE)
    box = page.get_by_role("checkbox", name="Save for future payments to Example Store")
    assert not await box.is_checked()
    await box.set_checked(ticked)
    await page.get_by_role("button", name="Pay IDR 150,000").click()
    await page.get_by_role("button", name="Confirm").click()  # the bank's
    await page.get_by_role("link", name="Return to Example Store").click()
    await page.wait_for_url(back)
    assert (await shop.read(session["id"]))["status"] == "PAID"
    assert await tokens(shop, session["customerId"]) == ticked


async def test_a_customer_passes_the_banks_page(shop: Shop, page: Page, callbacks: Callbacks) -> None:
    back = f"{shop.base_url}/_sandbox/health"
    session = await shop.confirm(await shop.with_key(redirectUrl=URLS | {"successReturnUrl": back}))
    await page.goto(session["paymentUrl"])
    assert await page.get_by_role("button", name="Reject").is_visible()
    await page.get_by_role("button", name="Confirm").click()
    await page.wait_for_url(back)
    assert sorted(callbacks.events) == ["PAYMENT.PAID", "PAYMENT.PROCESSING"]


async def test_a_frictionless_card_passes_the_banks_page_unseen(shop: Shop, page: Page) -> None:
    back = f"{shop.base_url}/_sandbox/health"
    opened = await shop.with_key(redirectUrl=URLS | {"successReturnUrl": back})
    session = await shop.confirm(opened, FRICTIONLESS, three_ds="AUTOMATIC")
    await page.goto(session["paymentUrl"])
    assert page.url == back
    assert (await shop.read(session["id"]))["status"] == "PAID"
