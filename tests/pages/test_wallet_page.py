"""The wallet's page as a person meets it, in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.support.house import Shop, agreement_body

_PROGRAM = next((found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None)

# A machine without a browser says so in the summary; CI installs one, so there the test must run.
pytestmark = pytest.mark.skipif(_PROGRAM is None and "CI" not in os.environ, reason="needs Chromium on PATH")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=_PROGRAM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield started
        await started.close()


async def test_a_customer_approves_and_the_agreement_becomes_active(shop: Shop, browser: Browser) -> None:
    back = f"{shop.house.sandbox_url}/_sandbox/health"  # any page of ours to land on
    made = await shop.call("POST", "/v1/agreements", agreement_body(None, **_today(back)), expect=201)
    page = await browser.new_page(viewport={"width": 390, "height": 780})
    await page.goto(made["authorization"]["url"])
    assert await page.get_by_role("button", name="Approve").is_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "wider than a phone"
    await page.get_by_role("button", name="Approve").click()
    await page.wait_for_url(f"{back}**")
    assert made["id"] in page.url
    assert "authCode" not in page.url
    await shop.until_status(made["id"], "active")


async def test_a_customer_rejects_and_nothing_is_agreed(shop: Shop, browser: Browser) -> None:
    made = await shop.call(
        "POST", "/v1/agreements", agreement_body(None, **_today("https://merchant.example/")), expect=201
    )
    page = await browser.new_page()
    await page.goto(made["authorization"]["url"])
    await page.get_by_role("button", name="Reject").click()
    await page.wait_for_url("**/wallet/declined**")
    assert (await shop.read(made["id"]))["status"] == "pending_authorization"
    await page.goto(made["authorization"]["url"])
    assert await page.get_by_role("button", name="Approve").count() == 0


def _today(return_url: str) -> dict[str, object]:
    return {"return_url": return_url, "terms": {"start_date": None, "payment_processing_day": None}}
