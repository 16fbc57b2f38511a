"""Test clocks over HTTP. What advancing does is the workflows' business; here nobody moves the clock."""

from __future__ import annotations

from store.database import Database
from store.tables import TestClock
from tests.api.conftest import Shop, assert_problem, body


async def test_a_clock_stands_until_it_is_advanced(shop: Shop, database: Database) -> None:
    made = await shop.post("/v1/test-clocks", {"now": "2055-01-01T08:00:00+08:00"})
    assert made.status_code == 201
    clock = made.json()
    assert clock == {"id": clock["id"], "now": "2055-01-01T00:00:00Z", "status": "ready"}
    path = f"/v1/test-clocks/{clock['id']}"
    assert (await shop.get(path)).json() == clock

    early = await shop.post(f"{path}/advance", {"to": "2026-12-31T23:59:59Z"})
    assert_problem(early, 422, "invalid_request", "/to")
    started = await shop.post(f"{path}/advance", {"to": "2055-02-01T00:00:00Z"})
    assert (started.status_code, started.json()["status"]) == (202, "advancing")
    assert (await shop.get(path)).json()["status"] == "advancing"
    assert_problem(await shop.post(f"{path}/advance", {"to": "2055-03-01T00:00:00Z"}), 409, "clock_advancing")
    async with database.transaction() as session:
        assert str((await session.get_one(TestClock, clock["id"])).target) == "2055-02-01 00:00:00+00:00"


async def test_an_agreement_takes_its_time_from_its_clock(shop: Shop) -> None:
    clock = (await shop.post("/v1/test-clocks", {"now": "2058-01-30T20:00:00Z"})).json()["id"]
    made = await shop.create(test_clock=clock, terms={"start_date": None, "expiry_date": "2059-12-31"})
    assert made["terms"]["start_date"] == "2058-01-31", "today in Manila"
    assert made["created_at"] == "2058-01-30T20:00:00Z"
    past = await shop.post("/v1/agreements", body(test_clock=clock, reference="past"))
    assert_problem(past, 422, "invalid_request", "/terms/start_date")
