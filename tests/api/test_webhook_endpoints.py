"""Webhook endpoints as their merchant handles them; nobody sends anything here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from store.changes import change
from store.database import Database
from store.tables import Delivery, RetiredSecret
from tests.api.conftest import Shop, assert_problem

PATH = "/v1/webhook-endpoints"
Span = tuple[datetime, datetime]


async def made(shop: Shop, **body: Any) -> dict[str, Any]:
    answer = await shop.post(PATH, {"url": "https://m.example/hook"} | body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def patch(shop: Shop, endpoint: str, **body: Any) -> httpx.Response:
    return await shop.http.patch(f"{PATH}/{endpoint}", json=body, headers=shop.bearer)


async def write(database: Database, agreement: str, *names: str) -> None:
    async with change(database, agreement) as locked:
        for name in names:
            locked.event(f"agreement.{name}")


async def statuses(shop: Shop, endpoint: str, **query: Any) -> list[tuple[str, str]]:
    """Type and status of an endpoint's deliveries, newest first."""
    answer = await shop.get(f"{PATH}/{endpoint}/deliveries", **query)
    assert answer.status_code == 200, answer.text
    return [(found["type"], found["status"]) for found in answer.json()["data"]]


async def test_an_endpoint_is_changed_disabled_and_enabled(shop: Shop, database: Database) -> None:
    endpoint = (await made(shop))["id"]
    agreement = (await shop.create())["id"]
    await write(database, agreement, "paused")
    changed = (await patch(shop, endpoint, url="https://m.example/new", event_types=["agreement.resumed"])).json()
    assert (changed["url"], changed["event_types"]) == ("https://m.example/new", ["agreement.resumed"])
    assert (changed["status"], changed["description"], changed["waiting"]) == ("enabled", None, 1)

    disabled = (await patch(shop, endpoint, disabled=True, description="moving house")).json()
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "merchant")
    assert disabled["description"] == "moving house"
    await write(database, agreement, "resumed", "amended")
    assert await statuses(shop, endpoint) == [("agreement.resumed", "parked"), ("agreement.paused", "parked")]
    again = (await patch(shop, endpoint, disabled=True)).json()
    assert again["disabled_at"] == disabled["disabled_at"]
    listed = (await shop.get(PATH)).json()["data"]
    assert [(found["status"], found["waiting"]) for found in listed] == [("disabled", 2)]

    enabled = (await patch(shop, endpoint, disabled=False)).json()
    assert (enabled["status"], enabled["disabled_at"], enabled["waiting"]) == ("enabled", None, 2)
    assert await statuses(shop, endpoint, status="pending") == await statuses(shop, endpoint)
    assert await statuses(shop, endpoint, status="parked") == []

    assert (await shop.http.delete(f"{PATH}/{endpoint}", headers=shop.bearer)).status_code == 204
    async with database.transaction() as session:
        rows = (await session.exec(select(Delivery).where(Delivery.endpoint_id == endpoint))).all()
    assert [(row.status, row.finished_at is not None) for row in rows] == [("dropped", True)] * 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "ftp://m.example/"}, "/url"),
        ({"url": None}, "/url"),
        ({"event_types": []}, "/event_types"),
        ({"event_types": ["charge.celebrated"]}, "/event_types/0"),
        ({"disabled": "yes"}, "/disabled"),
        ({"disabled": None}, "/disabled"),
        ({"secret": "whsec_mine"}, "/secret"),
    ],
)
async def test_a_change_that_makes_no_sense_changes_nothing(shop: Shop, body: dict[str, Any], pointer: str) -> None:
    endpoint = await made(shop)
    assert_problem(await patch(shop, endpoint["id"], **{"description": "x"} | body), 422, "invalid_request", pointer)
    read = (await shop.get(f"{PATH}/{endpoint['id']}")).json()
    assert read == {name: value for name, value in endpoint.items() if name != "secret"}


async def test_a_live_endpoint_stays_public(live_shop: Shop) -> None:
    endpoint = (await made(live_shop))["id"]
    for url in ("http://m.example/", "https://10.0.0.7/", "https://localhost/"):
        assert_problem(await patch(live_shop, endpoint, url=url), 422, "invalid_request", "/url")


async def test_secrets_overlap_for_as_long_as_asked(shop: Shop, database: Database) -> None:
    first = await made(shop)
    path = f"{PATH}/{first['id']}/rotate-secret"
    secrets, rotations = {first["secret"]}, list[Span]()
    for _ in range(2):
        asked = datetime.now(UTC)
        rotated = (await shop.post(path)).json()
        rotations.append((asked, datetime.now(UTC)))
        secrets.add(rotated.pop("secret"))
        assert rotated == (await shop.get(f"{PATH}/{first['id']}")).json()
    assert len(secrets) == 3

    async def retired() -> list[RetiredSecret]:
        async with database.transaction() as session:
            query = select(RetiredSecret).where(RetiredSecret.endpoint_id == first["id"]).order_by(RetiredSecret.id)
            return list(await session.exec(query))

    def sign_for(overlap: timedelta, rows: list[RetiredSecret], rotations: list[Span]) -> bool:
        """Counted from some moment of the rotation, however long it took."""
        ended = [row.signs_until - overlap for row in rows]
        return all(asked <= at <= answered for at, (asked, answered) in zip(ended, rotations, strict=True))

    assert sign_for(timedelta(days=1), await retired(), rotations)
    asked = datetime.now(UTC)
    assert (await shop.post(path, {"overlap": 600})).status_code == 200
    rows = await retired()
    assert sign_for(timedelta(minutes=10), rows[-1:], [(asked, datetime.now(UTC))])
    assert len({row.signs_until for row in rows}) == 1, "a shorter overlap ends earlier ones, too"
    for overlap in (-1, 30 * 86400 + 1, "600", 1.5, True):
        assert_problem(await shop.post(path, {"overlap": overlap}), 422, "invalid_request", "/overlap")
    for _ in range(6):
        assert (await shop.post(path)).status_code == 200
    assert_problem(await shop.post(path), 409, "state_conflict")
    assert (await shop.post(path, {"overlap": 0})).status_code == 200, "a leaked secret can always be replaced"


async def test_an_event_is_sent_again_to_one_endpoint_or_all(shop: Shop, live_shop: Shop, database: Database) -> None:
    all_, some = await made(shop), await made(shop, event_types=["agreement.revoked"])
    agreement = (await shop.create())["id"]
    await write(database, agreement, "paused")
    (event,) = (await shop.get("/v1/events", agreement=agreement)).json()["data"]
    path = f"/v1/events/{event['id']}"
    assert (await shop.get(path)).json() == event
    late = await made(shop)
    await patch(shop, late["id"], disabled=True)

    async def again(**body: Any) -> list[tuple[str, str]]:
        answer = await shop.post(f"{path}/redeliver", body)
        assert answer.status_code == 202, answer.text
        return sorted((found["endpoint"], found["status"]) for found in answer.json()["data"])

    assert await again() == sorted([(all_["id"], "pending"), (late["id"], "parked")])
    assert await again(endpoint=some["id"]) == [(some["id"], "pending")]
    listed = (await shop.get(f"{path}/deliveries")).json()["data"]
    assert {found["endpoint"] for found in listed} == {all_["id"], some["id"], late["id"]}
    assert all(found["log"] == [] and found["event"] == event["id"] for found in listed)
    page = (await shop.get(f"{path}/deliveries", limit=2)).json()
    rest = (await shop.get(f"{path}/deliveries", cursor=page["next_cursor"])).json()
    assert page["data"] + rest["data"] == listed

    others = await made(live_shop)
    for endpoint in (others["id"], "whe_nope"):
        answer = await shop.post(f"{path}/redeliver", {"endpoint": endpoint})
        assert_problem(answer, 422, "invalid_request", "/endpoint")
    assert_problem(await live_shop.post(f"{path}/redeliver"), 404, "not_found")
    for theirs in (path, f"{path}/deliveries", f"{PATH}/{all_['id']}/deliveries"):
        assert_problem(await live_shop.get(theirs), 404, "not_found")


async def test_the_feed_of_one_type(shop: Shop, database: Database) -> None:
    agreement = (await shop.create())["id"]
    await write(database, agreement, "paused", "resumed", "paused")
    found = (await shop.get("/v1/events", type="agreement.paused", limit=1)).json()
    rest = (await shop.get("/v1/events", type="agreement.paused", after=found["next_cursor"])).json()
    assert [event["sequence"] for event in found["data"] + rest["data"]] == [1, 3]
    assert_problem(await shop.get("/v1/events", type="agreement.celebrated"), 422, "invalid_request", "/query/type")
