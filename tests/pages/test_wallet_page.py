"""The wallet's page as a person meets it, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.browser import fits
from tests.support.house import Shop, agreement_body

pytestmark = pytest.mark.browser


async def test_a_customer_approves_and_the_agreement_becomes_active(shop: Shop, page: Page) -> None:
    back = f"{shop.house.sandbox_url}/_sandbox/health"  # any page of ours to land on
    made = await shop.call("POST", "/v1/agreements", agreement_body(None, **_today(back)), expect=201)
    await page.goto(made["authorization"]["url"])
    assert await page.get_by_role("button", name="Approve").is_visible()
    assert await fits(page), "wider than a phone"
    await page.get_by_role("button", name="Approve").click()
    await page.wait_for_url(f"{back}**")
    assert made["id"] in page.url
    assert "authCode" not in page.url
    await shop.until_status(made["id"], "active")


async def test_a_customer_rejects_and_nothing_is_agreed(shop: Shop, page: Page) -> None:
    made = await shop.call(
        "POST", "/v1/agreements", agreement_body(None, **_today("https://merchant.example/")), expect=201
    )
    await page.goto(made["authorization"]["url"])
    await page.get_by_role("button", name="Reject").click()
    await page.wait_for_url("**/wallet/declined**")
    assert (await shop.read(made["id"]))["status"] == "pending_authorization"
    await page.goto(made["authorization"]["url"])
    assert await page.get_by_role("button", name="Approve").count() == 0


def _today(return_url: str) -> dict[str, Any]:
    return {"return_url": return_url, "terms": {"start_date": None, "payment_processing_day": None}}
