"""Charges over HTTP: what was tried, and why what came next was chosen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agreements.retries import Action, Decision
from agreements.status import AttemptStatus
from store.changes import change
from store.database import Database
from store.tables import Attempt, Charge
from tests.api.conftest import Shop, assert_problem
from tests.api.test_provider_news import with_attempt


async def _decline(database: Database, agreement_id: str, attempt_id: str) -> str:
    """The attempt failed and a retry was chosen; the charge's id."""
    async with change(database, agreement_id) as locked:
        attempt = await locked.session.get_one(Attempt, attempt_id)
        charge = await locked.session.get_one(Charge, attempt.charge_id)
        attempt.status = AttemptStatus.FAILED
        decision = Decision(
            action=Action.RETRY,
            at=datetime(2055, 2, 1, tzinfo=UTC),
            rule="insufficient_funds_ladder",
            rulebook_version="2026-11.1",
            budget_left=3,
            inputs={"attempt": 1},
        )
        locked.decide(decision, charge, attempt)
        locked.event("charge.retry_scheduled", charge)
    return charge.id


async def test_a_charge_shows_its_attempts_and_decisions(shop: Shop, live_shop: Shop, database: Database) -> None:
    agreement_id, attempt_id = await with_attempt(database, shop, AttemptStatus.PROCESSING)
    charge_id = await _decline(database, agreement_id, attempt_id)
    read = (await shop.get(f"/v1/charges/{charge_id}")).json()
    assert read["agreement"] == agreement_id
    assert [(attempt["gateway_request_id"], attempt["status"]) for attempt in read["attempts"]] == [
        (attempt_id, "failed")
    ]
    assert [(decision["rule"], decision["chosen_at"], decision["inputs"]) for decision in read["decisions"]] == [
        ("insufficient_funds_ladder", "2055-02-01T00:00:00Z", {"attempt": 1})
    ]
    listed = (await shop.get("/v1/charges", agreement=agreement_id)).json()["data"]
    assert [charge["id"] for charge in listed] == [charge_id]
    assert (await shop.get("/v1/charges", status="succeeded")).json()["data"] == []
    assert_problem(await live_shop.get(f"/v1/charges/{charge_id}"), 404, "not_found")
    assert (await live_shop.get("/v1/charges")).json()["data"] == []


async def test_the_timeline_tells_a_decision_before_the_event_it_led_to(shop: Shop, database: Database) -> None:
    agreement_id, attempt_id = await with_attempt(database, shop, AttemptStatus.PROCESSING)
    for _ in range(3):
        await _decline(database, agreement_id, attempt_id)
    path, seen, cursor = f"/v1/agreements/{agreement_id}/timeline", [], None
    while True:
        page = (await shop.get(path, limit=1, **({"cursor": cursor} if cursor else {}))).json()
        seen += page["data"]
        if not (cursor := page["next_cursor"]):
            break
    assert [entry["kind"] for entry in seen] == ["decision", "event"] * 3
    assert seen[0]["decision"]["budget_left"] == 3
    assert seen[1]["type"] == "charge.retry_scheduled"
    assert [entry["sequence"] for entry in seen[1::2]] == [1, 2, 3]
    assert datetime.fromisoformat(seen[0]["at"]) <= datetime.now(UTC) + timedelta(seconds=1)
