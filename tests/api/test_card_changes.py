"""Card changes over HTTP: what is accepted, what the answer shows, and the customer's page."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from store.changes import change
from store.database import Database
from store.lifecycle import revoke
from store.tables import Authorization, CardChange
from store.vault import Vault
from tests.api.conftest import Shop, activate, assert_problem


async def running(database: Database, vault: Vault, shop: Shop) -> str:
    """An agreement with a credential."""
    made = await shop.create()
    await activate(database, vault, made["id"], f"at_{made['id']}")
    return str(made["id"])


async def ask(shop: Shop, agreement: str, **body: Any) -> dict[str, Any]:
    answer = await shop.post(f"/v1/agreements/{agreement}/card-changes", {"initiator": "customer"} | body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_link_is_answered_and_listed(shop: Shop, live_shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop)
    made = await ask(shop, agreement, return_url="https://shop.example/cards")
    assert made["id"].startswith("ccr_")
    assert made["url"].startswith("https://pay.example/card-changes/")
    assert (made["status"], made["initiator"], made["agreement"]) == ("pending", "customer", agreement)
    newer = await ask(shop, agreement, initiator="merchant")
    listed = (await shop.get(f"/v1/agreements/{agreement}/card-changes", limit=1)).json()
    assert ([row["id"] for row in listed["data"]], listed["has_more"]) == ([newer["id"]], True)
    path = f"/v1/agreements/{agreement}/card-changes"
    [older] = (await shop.get(path, cursor=listed["next_cursor"])).json()["data"]
    assert (older["id"], older["status"], older["url"]) == (made["id"], "expired", None)
    assert_problem(await live_shop.get(path), 404, "not_found")


async def test_a_repeat_is_given_the_same_link(shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop)
    path, body = f"/v1/agreements/{agreement}/card-changes", {"initiator": "merchant"}
    first, again = await shop.post(path, body, key="again"), await shop.post(path, body, key="again")
    assert first.json() == again.json()
    assert len((await shop.get(path)).json()["data"]) == 1


@pytest.mark.parametrize(
    "body", [{}, {"initiator": "engine"}, {"initiator": "customer", "return_url": "ftp://shop.example"}]
)
async def test_what_makes_no_sense_is_refused(
    shop: Shop, database: Database, vault: Vault, body: dict[str, Any]
) -> None:
    agreement = await running(database, vault, shop)
    assert_problem(await shop.post(f"/v1/agreements/{agreement}/card-changes", body), 422, "invalid_request")


async def test_only_a_running_agreement_has_a_card_to_change(shop: Shop, database: Database, vault: Vault) -> None:
    waiting = (await shop.create(reference="sub-1002"))["id"]
    body = {"initiator": "merchant"}
    assert_problem(await shop.post(f"/v1/agreements/{waiting}/card-changes", body), 409, "state_conflict")
    ended = await running(database, vault, shop)
    async with change(database, ended) as locked:
        await revoke(locked, initiator="merchant", reason=None)
    assert_problem(await shop.post(f"/v1/agreements/{ended}/card-changes", body), 409, "state_conflict")


async def test_looking_at_the_page_changes_nothing(shop: Shop, database: Database, vault: Vault) -> None:
    """Mail scanners open links."""
    agreement = await running(database, vault, shop)
    made = await ask(shop, agreement)
    path = made["url"].removeprefix("https://pay.example")
    page = await shop.http.get(path)
    assert page.status_code == 200
    assert "₱499.00" in page.text
    assert '<form method="post"' in page.text
    assert "<script" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    async with database.transaction() as session:
        row = await session.get_one(CardChange, made["id"])
        asked = await session.exec(select(Authorization).where(Authorization.card_change_id == made["id"]))
        assert (row.status, row.opened_at, asked.all()) == ("pending", None, [])


async def test_the_button_asks_for_one_page_however_often_it_is_pressed(
    shop: Shop, database: Database, vault: Vault
) -> None:
    """No worker answers here: the customer is told to try again, and the request made first still stands."""
    agreement = await running(database, vault, shop)
    made = await ask(shop, agreement)
    path = made["url"].removeprefix("https://pay.example")
    pressed = [await shop.http.post(path) for _ in range(2)]
    assert [answer.status_code for answer in pressed] == [503, 503]
    assert "try again" in pressed[0].text
    async with database.transaction() as session:
        [_] = await session.exec(select(Authorization).where(Authorization.card_change_id == made["id"]))
        assert (await session.get_one(CardChange, made["id"])).status == "opened"


async def test_a_link_nobody_made_is_not_known(shop: Shop) -> None:
    for answer in (await shop.http.get("/card-changes/guessed"), await shop.http.post("/card-changes/guessed")):
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


async def test_a_link_is_found_by_a_keyed_hash(shop: Shop, database: Database, vault: Vault) -> None:
    agreement = await running(database, vault, shop)
    made = await ask(shop, agreement)
    async with database.transaction() as session:
        row = await session.get_one(CardChange, made["id"])
    assert row.link_hash == vault.fingerprint(made["url"].rsplit("/", 1)[1])
