"""The customer's page over HTTP: who gets in, and what its buttons do. No worker answers here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
from sqlmodel import select
from temporalio.client import Client

from api.app import create_app
from settings import Settings
from store.database import Database
from store.tables import CardChange, PortalLink
from store.tables import TestClock as Clock
from store.vault import Vault
from tests.api.conftest import QUICK, Shop, assert_problem
from tests.api.customers import HERE, link, running


async def test_a_link_lives_a_day_unless_the_merchant_says_otherwise(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    path = f"/v1/agreements/{agreement}/portal-links"
    before = datetime.now(UTC)
    first, again = await shop.post(path, {}, key="once"), await shop.post(path, {}, key="once")
    assert first.json() == again.json()
    lives = datetime.fromisoformat(first.json()["expires_at"]) - before
    assert timedelta(days=1) <= lives < timedelta(days=1, minutes=1)
    assert first.json()["url"] != (await shop.post(path, {"expires_in": 300})).json()["url"]
    for seconds in (299, 30 * 86_400 + 1, "86400"):
        assert_problem(await shop.post(path, {"expires_in": seconds}), 422, "invalid_request", "/expires_in")
    assert_problem(await shop.post(path, {"return_url": "ftp://x"}), 422, "invalid_request", "/return_url")
    assert_problem(await shop.post(path, {"locale": "tlh"}), 422, "invalid_request", "/locale")


async def test_only_the_merchant_gets_a_link_and_only_to_what_was_agreed(
    shop: Shop, live_shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    assert_problem(await live_shop.post(f"/v1/agreements/{agreement}/portal-links", {}), 404, "not_found")
    waiting = (await shop.create(reference="sub-1002"))["id"]
    assert_problem(await shop.post(f"/v1/agreements/{waiting}/portal-links", {}), 409, "state_conflict")


async def test_the_token_is_kept_as_a_hash_and_a_seal(shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop)
    token = (await link(shop, agreement)).rsplit("/", 1)[1]
    async with database.transaction() as session:
        row = (await session.exec(select(PortalLink).where(PortalLink.agreement_id == agreement))).one()
    assert row.token_hash == vault.fingerprint(token)
    assert token not in row.sealed_token


async def test_a_link_opens_its_page_and_nothing_else(shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop)
    token = (await link(shop, agreement)).rsplit("/", 1)[1]
    asked = await shop.post(f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"})
    other = asked.json()["url"].rsplit("/", 1)[1]
    for method, path in (
        ("GET", f"/card-changes/{token}"),
        ("POST", f"/card-changes/{token}"),
        ("GET", f"/portal/{other}"),
        ("POST", f"/portal/{other}/card-change"),
        ("GET", f"/portal/{other}/cancel"),
        ("POST", f"/portal/{other}/cancel"),
    ):
        answer = await shop.http.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), path
    as_key = await shop.http.get(f"/v1/agreements/{agreement}", headers={"Authorization": f"Bearer {token}"})
    assert as_key.status_code == 401
    assert (await shop.get(f"/v1/agreements/{agreement}")).json()["status"] == "active"


async def test_a_link_ends_with_its_time_which_is_the_agreements_own(
    shop: Shop, database: Database, vault: Vault
) -> None:
    clock = (await shop.post("/v1/test-clocks", {"now": "2055-01-31T00:00:00Z"})).json()["id"]
    agreement = await running(database, vault, shop, test_clock=clock)
    path = await link(shop, agreement, expires_in=3600)

    async def at(now: str) -> None:
        async with database.transaction() as session:
            (await session.get_one(Clock, clock)).now = datetime.fromisoformat(now)

    await at("2055-01-31T00:59:59Z")
    assert (await shop.http.get(path)).status_code == 200
    await at("2055-01-31T01:00:00Z")
    asked = [("GET", path), ("GET", f"{path}/cancel"), ("POST", f"{path}/cancel"), ("POST", f"{path}/card-change")]
    for method, address in asked:
        answer = await shop.http.request(method, address)
        assert answer.status_code == 410, address
        assert "This link has expired" in answer.text
    assert (await shop.get(f"/v1/agreements/{agreement}")).json()["status"] == "active"


async def test_no_browser_keeps_runs_frames_or_passes_on_anything(shop: Shop, database: Database, vault: Vault) -> None:
    path = await link(shop, await running(database, vault, shop))
    for address in (path, f"{path}/cancel", "/portal/unknown"):
        page = await shop.http.get(address)
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        # A policy on forms would also forbid the way to the provider's page.
        assert ("form-action 'self'" in policy) is (address != path)
        for name, value in {
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "x-robots-tag": "noindex, nofollow",
        }.items():
            assert page.headers[name] == value, address
        assert "set-cookie" not in page.headers
        assert "<script" not in page.text
        assert not re.search(r'\s(src|style|on\w+)="', page.text)


async def test_cancelling_is_asked_for_and_then_final_however_often_it_is_pressed(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    path = await link(shop, agreement)
    asked = await shop.http.get(f"{path}/cancel?lang=ar")
    assert asked.status_code == 200
    assert f'action="{path}/cancel?lang=ar"' in asked.text
    assert (await shop.get(f"/v1/agreements/{agreement}")).json()["status"] == "active", "asking cancels nothing"
    for _ in range(2):
        pressed = await shop.http.post(f"{path}/cancel?lang=ar")
        assert (pressed.status_code, pressed.headers["location"]) == (303, f"{path}?lang=ar")
    read = (await shop.get(f"/v1/agreements/{agreement}")).json()
    assert (read["status"], read["revocation"]["initiator"]) == ("revoked", "customer")
    events = (await shop.get("/v1/events", agreement=agreement)).json()["data"]
    assert [event["type"] for event in events].count("agreement.revoked") == 1


async def test_the_customers_wish_for_another_card_is_one_wish(shop: Shop, database: Database, vault: Vault) -> None:
    """Pressed twice it is the same change, and leads back here."""
    agreement = await running(database, vault, shop)
    path = await link(shop, agreement)
    pressed = [await shop.http.post(f"{path}/card-change?lang=ar") for _ in range(2)]
    assert [answer.status_code for answer in pressed] == [503, 503], "nobody answers for the provider here"
    assert f'href="{path}?lang=ar"' in pressed[0].text
    [asked] = (await shop.get(f"/v1/agreements/{agreement}/card-changes")).json()["data"]
    assert (asked["initiator"], asked["status"], asked["return_url"]) == ("customer", "opened", None)
    async with database.transaction() as session:
        row = await session.get_one(CardChange, asked["id"])
        of = await session.get_one(PortalLink, row.portal_link_id)
        assert of.language == "ar", "the language last chosen is the one the customer comes back to"
    back = await shop.http.get(f"{path}?back=1")
    assert "لم يتغيّر شيء حتى الآن" in back.text


async def test_a_link_that_was_sent_before_goes_on_working(shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop)
    sent = (await shop.post(f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"})).json()
    await shop.http.post(f"{await link(shop, agreement)}/card-change")
    [asked] = (await shop.get(f"/v1/agreements/{agreement}/card-changes")).json()["data"]
    assert (asked["id"], asked["status"]) == (sent["id"], "opened")
    assert (await shop.http.get(sent["url"].removeprefix(HERE))).status_code == 200


async def test_an_outage_is_told_as_a_page(shop: Shop, settings: Settings, vault: Vault, temporal: Client) -> None:
    gone = Database("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    transport = httpx.ASGITransport(create_app(settings, gone, vault, temporal, QUICK))
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as http:
        for method, path in (
            ("GET", "/portal/any"),
            ("POST", "/portal/any/cancel"),
            ("GET", "/card-changes/any"),
            ("GET", "/pay/any"),
            ("POST", "/pay/any"),
            ("GET", "/returns/pivot/any"),
        ):
            answer = await http.request(method, path, headers={"Accept-Language": "ar"})
            assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
            assert int(answer.headers["retry-after"]) > 0
            assert 'lang="ar"' in answer.text
