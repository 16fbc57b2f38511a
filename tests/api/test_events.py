"""The feed and the endpoints: nothing is skipped, nothing of others is seen."""

from __future__ import annotations

from sqlmodel import select

from store.changes import change, changing
from store.database import Database
from store.tables import Delivery, WebhookEndpoint
from store.vault import Vault
from tests.api.conftest import Shop, activate, assert_problem


async def _event(database: Database, agreement_id: str, name: str) -> None:
    async with change(database, agreement_id) as locked:
        locked.event(f"agreement.{name}")


async def _types(shop: Shop, **query: object) -> list[str]:
    return [event["type"] for event in (await shop.get("/v1/events", **query)).json()["data"]]


async def test_the_feed_never_skips_a_row_that_commits_late(shop: Shop, database: Database) -> None:
    slow = (await shop.create(reference="slow"))["id"]
    quick = (await shop.create(reference="quick"))["id"]
    async with database.transaction() as session:
        async with changing(session, slow) as locked:
            locked.event("agreement.activated")
        # Written first, not committed yet, while a later one commits.
        await _event(database, quick, "paused")
        assert await _types(shop) == [], "the later one waits, else its reader would pass over the earlier one"
    assert await _types(shop) == ["agreement.activated", "agreement.paused"]


async def test_the_feed_goes_on_after_a_cursor_or_an_event(shop: Shop, live_shop: Shop, database: Database) -> None:
    one = (await shop.create(reference="one"))["id"]
    other = (await shop.create(reference="other"))["id"]
    for name in ("activated", "paused", "resumed"):
        await _event(database, one, name)
    await _event(database, other, "revoked")
    first = (await shop.get("/v1/events", limit=2)).json()
    assert first["has_more"] is True
    assert await _types(shop, after=first["next_cursor"]) == ["agreement.resumed", "agreement.revoked"]
    last = first["data"][-1]
    assert await _types(shop, after=last["id"]) == ["agreement.resumed", "agreement.revoked"]
    assert await _types(shop, agreement=other) == ["agreement.revoked"]
    assert [event["sequence"] for event in (await shop.get("/v1/events", agreement=one)).json()["data"]] == [1, 2, 3]
    assert last["data"]["agreement"]["id"] == one
    assert await _types(live_shop) == []
    assert_problem(await live_shop.get("/v1/events", after=last["id"]), 422, "invalid_request")


async def test_the_timeline_pages_through_events_and_decisions(shop: Shop, database: Database) -> None:
    agreement_id = (await shop.create())["id"]
    for number in range(5):
        await _event(database, agreement_id, f"number_{number}")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        found = (await shop.get(f"/v1/agreements/{agreement_id}/timeline", **query)).json()
        seen += [entry["type"] for entry in found["data"]]
        if not (cursor := found["next_cursor"]):
            break
    assert seen == [f"agreement.number_{number}" for number in range(5)]


async def test_a_webhook_endpoint_lives_from_create_to_delete(shop: Shop, database: Database, vault: Vault) -> None:
    made = (await shop.post("/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/hook", "description": "mine"})).json()
    assert made["secret"].startswith("whsec_")
    assert made["event_types"] == ["*"]
    path = f"/v1/webhook-endpoints/{made['id']}"
    assert (await shop.get(path)).json() == {name: value for name, value in made.items() if name != "secret"}
    assert [found["id"] for found in (await shop.get("/v1/webhook-endpoints")).json()["data"]] == [made["id"]]
    async with database.transaction() as session:
        row = await session.get_one(WebhookEndpoint, made["id"])
        assert vault.open("webhook_secret", row.sealed_secret) == made["secret"]

    agreement_id = (await shop.create())["id"]
    await activate(database, vault, agreement_id, "at_secret")
    assert (await shop.http.delete(path, headers=shop.bearer)).status_code == 204
    await _event(database, agreement_id, "paused")
    async with database.transaction() as session:
        deliveries = await session.exec(select(Delivery).where(Delivery.endpoint_id == made["id"]))
        assert len(deliveries.all()) == 1, "only of the event before it was deleted"
    for answer in (await shop.get(path), await shop.http.delete(path, headers=shop.bearer)):
        assert_problem(answer, 404, "not_found")


async def test_a_webhook_endpoint_is_its_owner_s(shop: Shop, live_shop: Shop) -> None:
    made = (await shop.post("/v1/webhook-endpoints", {"url": "https://m.example/"})).json()
    path = f"/v1/webhook-endpoints/{made['id']}"
    assert_problem(await live_shop.get(path), 404, "not_found")
    assert_problem(await live_shop.http.delete(path, headers=live_shop.bearer), 404, "not_found")
    assert (await shop.get(path)).status_code == 200


async def test_event_types_are_known_ones(shop: Shop) -> None:
    sent = {"url": "https://m.example/", "event_types": ["charge.succeeded", "charge.celebrated"]}
    assert_problem(await shop.post("/v1/webhook-endpoints", sent), 422, "invalid_request", "/event_types/1")
