"""The keys merchants call with: rotated, ended, shown by their use; test and live strictly apart."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from settings import Settings
from store import api_keys
from store.database import Database
from store.tables import ApiKey, TrailEntry
from tests.api.conftest import Shop, assert_problem
from tests.api.test_merchants import _exit_code, _printed, environment

__all__ = ["environment"]


async def status(http: httpx.AsyncClient, key: str, path: str = "/v1/agreements") -> int:
    return (await http.get(path, headers={"Authorization": f"Bearer {key}"})).status_code


async def _json(environment: dict[str, str], *words: str) -> Any:
    """What a command that succeeds tells programs: nothing else is on its output."""
    code, output = await _exit_code(environment, *words)
    assert code == 0, output
    return json.loads(output)


async def test_a_key_is_rotated_at_once_or_with_an_overlap(
    environment: dict[str, str], http: httpx.AsyncClient, database: Database
) -> None:
    made = await _printed(environment, "merchants", "create", "Example Store")
    merchant = made["merchant"]
    second = await _printed(environment, "merchants", "rotate-key", merchant, "--overlap-hours", "1")
    third = await _printed(environment, "merchants", "rotate-key", merchant, "--overlap-hours", "2")
    keys = [made["key"], second["key"], third["key"]]
    assert [await status(http, key) for key in keys] == [200, 200, 200]
    async with database.transaction() as session:
        first = (await session.exec(select(ApiKey).where(ApiKey.key_hash == api_keys.hashed(made["key"])))).one()
        assert first.works_until is not None
        assert first.works_until < datetime.now(UTC) + timedelta(hours=1), "no later overlap prolongs it"
        first.works_until -= timedelta(hours=1)  # the hour is over
    assert [await status(http, key) for key in keys] == [401, 200, 200]
    words = ("merchants", "rotate-key", merchant, "--reason", "a laptop was lost")
    fourth = await _printed(environment, *words)
    assert [await status(http, key) for key in (*keys, fourth["key"])] == [401, 401, 401, 200], "the overlaps too"
    async with database.transaction() as session:
        mine = select(TrailEntry).where(TrailEntry.merchant_id == merchant).order_by(TrailEntry.id)
        trail = (await session.exec(mine)).all()
    assert (trail[0].call, trail[0].actor) == ("autodebit merchants create", "operator")
    assert {entry.reason for entry in trail if entry.object_id == fourth["key id"]} == {"a laptop was lost"}


async def test_a_mode_has_keys_of_its_own(environment: dict[str, str], http: httpx.AsyncClient) -> None:
    made = await _printed(environment, "merchants", "create", "Example Store")
    live = await _printed(environment, "merchants", "rotate-key", made["merchant"], "--live")
    assert live["key"].startswith("sk_live_")
    assert [await status(http, key) for key in (made["key"], live["key"])] == [200, 200], "each rotated on its own"
    clock = {"now": "2055-01-01T00:00:00Z"}
    headers = {"Authorization": f"Bearer {live['key']}"}
    assert_problem(await http.post("/v1/test-clocks", json=clock, headers=headers), 422, "test_mode_only")


async def test_a_key_is_shown_to_programs_as_well(environment: dict[str, str], http: httpx.AsyncClient) -> None:
    made = await _json(environment, "merchants", "create", "Example Store", "--live", "--json")
    merchant = made["merchant"]
    rotated = await _json(environment, "merchants", "rotate-key", merchant, "--live", "--overlap-hours", "1", "--json")
    assert [await status(http, answer["key"]) for answer in (made, rotated)] == [200, 200]
    assert rotated | {"key": "", "key_id": "", "ended": []} == made | {"key": "", "key_id": "", "ended": []}
    assert (made["livemode"], made.keys()) == (True, {"merchant", "livemode", "key_id", "key"})
    (ended,) = rotated["ended"]
    assert ended["id"] == made["key_id"]
    left = datetime.fromisoformat(ended["works_until"]) - datetime.now(UTC)
    assert timedelta(minutes=55) < left <= timedelta(hours=1)
    listed = await _json(environment, "merchants", "list", "--json")
    (found,) = [row for row in listed if row["id"] == merchant]
    assert [key["id"] for key in found["keys"]] == [made["key_id"], rotated["key_id"]]


async def test_a_key_or_a_merchant_is_disabled(environment: dict[str, str], http: httpx.AsyncClient) -> None:
    made = await _printed(environment, "merchants", "create", "Example Store")
    merchant = made["merchant"]
    live = await _printed(environment, "merchants", "rotate-key", merchant, "--live")
    for _ in range(2):
        assert (await _exit_code(environment, "merchants", "disable", live["key id"]))[0] == 0
    assert [await status(http, key) for key in (made["key"], live["key"])] == [200, 401]
    for _ in range(2):
        assert (await _exit_code(environment, "merchants", "disable", merchant))[0] == 0
    refused = await http.get("/v1/agreements", headers={"Authorization": f"Bearer {made['key']}"})
    assert "disabled" in assert_problem(refused, 401, "unauthorized")["detail"]
    code, said = await _exit_code(environment, "merchants", "rotate-key", merchant)
    assert (code, said.strip()) == (1, f"{merchant} is disabled")


@pytest.mark.parametrize("words", [("rotate-key", "mer_nobody"), ("disable", "mer_nobody"), ("disable", "key_none")])
async def test_nobody_s_key_is_refused_in_one_line(environment: dict[str, str], words: tuple[str, ...]) -> None:
    code, said = await _exit_code(environment, "merchants", *words)
    assert (code, len(said.splitlines())) == (1, 1)


async def test_merchants_are_listed_with_the_use_of_their_keys(
    environment: dict[str, str], http: httpx.AsyncClient
) -> None:
    made = await _printed(environment, "merchants", "create", "Listed Store")
    live = await _printed(environment, "merchants", "rotate-key", made["merchant"], "--live")
    before = datetime.now(UTC)
    await status(http, made["key"])
    said = await _json(environment, "merchants", "list", "--json")
    (found,) = [row for row in said if row["id"] == made["merchant"]]
    test, unused = found["keys"]
    assert (found["name"], test["ending"], test["livemode"]) == ("Listed Store", made["key"][-4:], False)
    assert before <= datetime.fromisoformat(test["last_used_at"]) <= datetime.now(UTC)
    assert (unused["id"], unused["last_used_at"], unused["works"]) == (live["key id"], None, True)
    code, table = await _exit_code(environment, "merchants", "list")  # into a pipe, where nothing is folded or cut
    assert code == 0
    assert all(
        text in table
        for text in ("Listed Store", made["merchant"], test["id"], unused["id"], f"…{made['key'][-4:]}", "never")
    )
    assert made["key"] not in table + json.dumps(said)


async def test_the_use_of_a_key_is_written_once_a_minute(shop: Shop, database: Database) -> None:
    async def row() -> ApiKey:
        async with database.transaction() as session:
            return (await session.exec(select(ApiKey).where(ApiKey.key_hash == api_keys.hashed(shop.key)))).one()

    async def set_back(by: timedelta) -> datetime:
        async with database.transaction() as session:
            moment = (await session.get_one(ApiKey, (await row()).id)).last_used_at
            assert moment is not None
            (await session.get_one(ApiKey, (await row()).id)).last_used_at = moment - by
        return moment - by

    await asyncio.gather(*(shop.get("/v1/agreements") for _ in range(10)))
    recently = await set_back(timedelta(seconds=20))
    await shop.get("/v1/agreements")
    assert (await row()).last_used_at == recently
    long_ago = await set_back(timedelta(seconds=41))
    async with database.transaction() as session:
        await session.get_one(ApiKey, (await row()).id, with_for_update=True)
        assert (await shop.get("/v1/agreements")).is_success, "nobody waits for the row"
    assert (await row()).last_used_at == long_ago
    await asyncio.gather(*(shop.get("/v1/agreements") for _ in range(10)))
    used = (await row()).last_used_at
    assert used is not None
    assert used > long_ago + timedelta(seconds=60)


async def test_only_the_hash_of_a_key_is_kept(shop: Shop, database: Database, settings: Settings) -> None:
    async with database.transaction() as session:
        row = (await session.exec(select(ApiKey).where(ApiKey.merchant_id == shop.principal.merchant_id))).one()
    assert len(shop.key) == len("sk_test_") + 43, "256 bits"
    assert shop.key[:-4] not in row.model_dump_json()
