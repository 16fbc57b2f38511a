"""Ottu's checkout page as a person meets it, in a real browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.sandbox.ottu_support import Merchant, said
from tests.support.browser import fits

pytestmark = pytest.mark.browser


async def test_a_customer_pays_and_comes_back(ottu: Merchant, page: Page) -> None:
    back = f"{ottu.base_url}/_sandbox/health"  # any page of ours to land on
    session = await ottu.create(redirect_url=back)
    await page.goto(session["checkout_url"])
    assert await fits(page), "wider than a phone"
    await page.get_by_role("radio", name="Visa •••• 1019").check()
    await page.get_by_role("button", name="Pay KWD 12.500").click()
    await page.wait_for_url(f"{back}**")
    assert session["session_id"] in page.url
    assert ottu.inbox.received[-1]["token"]["number"] == "**** 1019"


async def test_a_customer_answers_the_bank_and_later_cancels(ottu: Merchant, page: Page) -> None:
    back = f"{ottu.base_url}/_sandbox/health"
    await page.goto((await ottu.create(redirect_url=back))["checkout_url"])
    await page.get_by_role("radio", name="Visa •••• 0026").check()
    await page.get_by_role("button", name="Pay KWD 12.500").click()
    await page.get_by_role("button", name="Yes, it is me").click()
    await page.wait_for_url(f"{back}**")
    assert said(ottu.inbox.received[-1]) == ("success", "paid")

    await page.goto((await ottu.create(redirect_url=back))["checkout_url"])
    assert await page.get_by_role("radio", name="Visa •••• 0026 saved").is_checked()
    await page.get_by_role("button", name="Cancel").click()
    await page.wait_for_url(f"{back}**")
    assert said(ottu.inbox.received[-1]) == ("canceled", "attempted")
