"""Lists: every row once and in order whatever is added meanwhile, and cursors that belong to one list."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import ids
from store.changes import change
from store.database import Database
from store.tables import WebhookEndpoint
from store.vault import Vault
from tests.api.conftest import Shop, assert_problem, open_shop
from tests.api.running import ON_DEMAND, php, running


async def add(database: Database, shop: Shop, id_: str) -> str:
    row = WebhookEndpoint(
        id=id_,
        merchant_id=shop.principal.merchant_id,
        livemode=shop.principal.livemode,
        url="https://m.example/",
        event_types=["*"],
        sealed_secret="",
    )
    async with database.transaction() as session:
        session.add(row)
    return id_


# What happens between two pages: rows added by this process, or by one whose clock is behind.
BETWEEN = st.lists(st.sampled_from(["new", "late"]), max_size=3)


@given(there=st.integers(0, 12), limit=st.integers(1, 5), between=st.lists(BETWEEN, max_size=13))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_rows_that_are_there_are_seen_once_and_in_order_whatever_is_added(
    database: Database, vault: Vault, http: httpx.AsyncClient, there: int, limit: int, between: list[list[str]]
) -> None:
    shop = await open_shop(database, vault, http, livemode=False)
    early = [ids.new("whe") for _ in range(13 * 3)]
    old = [await add(database, shop, ids.new("whe")) for _ in range(there)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": limit}
    for added in [*between, *([[]] * 20)]:
        page = (await shop.get("/v1/webhook-endpoints", **query)).json()
        assert len(page["data"]) <= limit
        assert page["has_more"] == (page["next_cursor"] is not None)
        seen += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
        for kind in added:
            await add(database, shop, ids.new("whe") if kind == "new" else early.pop())
    assert [id_ for id_ in seen if id_ in old] == list(reversed(old))
    assert len(set(seen)) == len(seen)
    assert seen == sorted(seen, reverse=True)


@given(counts=st.lists(st.integers(1, 4), min_size=1, max_size=6), limit=st.integers(1, 5))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_feed_and_timeline_go_on_where_they_were_while_they_grow(
    database: Database, vault: Vault, http: httpx.AsyncClient, counts: list[int], limit: int
) -> None:
    shop = await open_shop(database, vault, http, livemode=False)
    agreement = (await shop.create())["id"]
    told: list[int] = []

    async def grow(count: int) -> None:
        async with change(database, agreement) as locked:
            for _ in range(count):
                told.append(len(told))
                locked.event("agreement.amended", number=told[-1])

    async def read(path: str, parameter: str, numbers: Callable[[Any], int]) -> list[int]:
        seen: list[int] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            page = (await shop.get(path, **query)).json()
            seen += [numbers(row) for row in page["data"]]
            if not page["has_more"]:
                return seen
            query[parameter] = page["next_cursor"]
            if len(told) < 40:
                await grow(1)

    for count in counts:
        await grow(count)
    timeline = await read(f"/v1/agreements/{agreement}/timeline", "cursor", lambda row: row["details"]["number"])
    feed = await read("/v1/events", "after", lambda row: row["data"]["number"])
    assert timeline == list(range(len(timeline)))
    assert len(timeline) >= sum(counts)
    assert feed == told


Reader = Callable[[str], Awaitable[httpx.Response]]


async def test_a_cursor_of_another_list_or_merchant_is_none(
    shop: Shop, database: Database, vault: Vault, http: httpx.AsyncClient
) -> None:
    other = await open_shop(database, vault, http, livemode=False)
    paths = ["/v1/agreements", "/v1/charges", "/v1/webhook-endpoints"]
    cursors: dict[tuple[int, str], str] = {}
    of: dict[int, list[str]] = {}
    for number, owner in enumerate((shop, other)):
        agreements = [await running(owner, database, vault, **ON_DEMAND), await running(owner, database, vault)]
        for agreement in agreements:
            await agreement.command("pause")
            await agreement.command("resume")
        for _ in range(2):
            assert (await agreements[0].charge(amount=php(49_900))).status_code == 201
            await add(database, owner, ids.new("whe"))
            await owner.post(f"{agreements[0].path}/card-changes", {"initiator": "merchant"})
        own = [f"{agreements[0].path}/timeline", f"{agreements[0].path}/card-changes", f"{agreements[1].path}/schedule"]
        of[number] = [*paths, *own]
        for path in of[number]:
            size = "count" if path.endswith("schedule") else "limit"
            page = (await owner.get(path, **{size: 1})).json()
            assert page["has_more"], path
            cursors[number, path] = page["next_cursor"]
            assert (await owner.get(path, cursor=page["next_cursor"])).status_code == 200
    asked = [
        (path, cursor)
        for path in of[0]
        for (number, source), cursor in cursors.items()
        if (number, source) != (0, path)
    ]
    answers = await asyncio.gather(*(shop.get(path, cursor=cursor) for path, cursor in asked))
    for answer in answers:
        assert_problem(answer, 422, "invalid_request", "/query/cursor")
    feed = (await other.get("/v1/events", limit=1)).json()["next_cursor"]
    assert_problem(await shop.get("/v1/events", after=feed), 422, "invalid_request", "/query/after")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1.5", "x", ""])
async def test_a_page_has_between_1_and_200_rows(shop: Shop, limit: str) -> None:
    for path in ("/v1/agreements", "/v1/charges", "/v1/events", "/v1/webhook-endpoints"):
        assert_problem(await shop.get(path, limit=limit), 422, "invalid_request", "/query/limit")
        assert (await shop.get(path, limit=200)).json() == {"data": [], "has_more": False, "next_cursor": None}


async def test_a_filter_nobody_knows_is_refused(shop: Shop) -> None:
    answer = await shop.get("/v1/agreements", costumer_id="cus-7")
    assert_problem(answer, 422, "invalid_request", "/query/costumer_id")
