"""Links and pages that lead nowhere any more: what could still open something is not kept for longer than it serves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text, update
from sqlmodel import col, select

from agreements.card_changes import CardChangeStatus
from store import old_rows, retention
from store.database import Database
from store.tables import Authorization, CardChange, IdempotencyKey, PortalLink
from store.tables import TestClock as Clock
from store.vault import Vault
from tests.api.conftest import Shop, assert_problem
from tests.api.customers import HERE, running

DAYS = timedelta(days=1)


async def dumped(database: Database, table: str) -> str:
    """As a copy of the table would show it."""
    async with database.transaction() as session:
        found = await (await session.connection()).execute(
            text(f"select string_agg(row_to_json(t)::text, '') from \"{table}\" t")  # noqa: S608
        )
        return str(found.scalar())


async def links_left(database: Database, days_later: int) -> set[str]:
    """After a purge so many days from now, which is taken back."""
    async with database.transaction() as session:
        await retention.purge_links(session, datetime.now(UTC) + days_later * DAYS)
        found = set(await session.exec(select(PortalLink.id)))
        await session.rollback()
    return found


async def test_a_kept_answer_opens_no_page_and_a_repeat_is_given_the_address(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    path = f"/v1/agreements/{agreement}/portal-links"
    first, again = await shop.post(path, {}, key="once"), await shop.post(path, {}, key="once")
    assert (again.status_code, again.json()) == (201, first.json())
    assert list(first.json()) == ["id", "url", "expires_at"]
    assert [answer.headers.get("Idempotency-Replayed") for answer in (first, again)] == [None, "true"]
    token = first.json()["url"].removeprefix(f"{HERE}/portal/")
    assert token not in await dumped(database, "idempotency_keys")

    kept = update(IdempotencyKey).where(
        col(IdempotencyKey.key) == "once", col(IdempotencyKey.merchant_id) == shop.principal.merchant_id
    )
    async with database.transaction() as session:
        await session.exec(kept.values(answer=first.json() | {"url": "https://old.example/portal/kept"}))
    assert (await shop.post(path, {}, key="once")).json()["url"] == "https://old.example/portal/kept", "by 0.3.0"
    async with database.transaction() as session:
        await session.exec(kept.values(answer=first.json() | {"url": None}))
        await session.delete(await session.get_one(PortalLink, first.json()["id"]))
    assert_problem(await shop.post(path, {}, key="once"), 409, "state_conflict")


async def test_a_link_goes_a_month_after_it_ran_out_by_the_clock_of_its_agreement(
    shop: Shop, database: Database, vault: Vault
) -> None:
    async def linked(**changes: Any) -> str:
        agreement = await running(database, vault, shop, **changes)
        return str((await shop.post(f"/v1/agreements/{agreement}/portal-links", {})).json()["id"])

    clock = (await shop.post("/v1/test-clocks", {"now": "2055-01-01T00:00:00Z"})).json()["id"]
    link, standing = await linked(reference="real"), await linked(reference="on a clock", test_clock=clock)
    assert {link, standing} <= await links_left(database, 30)
    left = await links_left(database, 32)
    assert link not in left
    assert standing in left, "its clock stands still"
    async with database.transaction() as session:
        (await session.get_one(Clock, clock)).now += 32 * DAYS
    assert standing in await links_left(database, 29), "it was made a moment ago"
    assert standing not in await links_left(database, 32)


async def test_addresses_of_pages_and_links_that_ended_are_forgotten(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = await running(database, vault, shop)
    made = (await shop.post(f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"})).json()["id"]
    pages = select(Authorization).where(Authorization.agreement_id == agreement)
    async with database.transaction() as session:
        page = (await session.exec(pages)).one()
        page.url, page.status = "https://provider.example/session/1", "open"

    async def addresses(days_later: int) -> tuple[str | None, str]:
        """Of the page and of the link, after a look so many days from now, which is taken back."""
        async with database.transaction() as session:
            await old_rows.blank_links(session, [agreement], datetime.now(UTC) + days_later * DAYS)
            link = await session.get_one(CardChange, made, populate_existing=True)
            found = (await session.exec(pages.execution_options(populate_existing=True))).one().url, link.url
            await session.rollback()
        return found

    assert all(await addresses(31)), "both can be used"
    async with database.transaction() as session:
        (await session.exec(pages)).one().status = "completed"
        (await session.get_one(CardChange, made)).status = CardChangeStatus.EXPIRED
    assert all(await addresses(29))
    assert await addresses(31) == (None, "")
