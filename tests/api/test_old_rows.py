"""What is no longer kept: old events go from the front, never one that is still to be sent, and no reader is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from sqlmodel import col, select

from agreements.deliveries import DeliveryStatus
from agreements.invariants import Invariant
from store import audit, ids, old_rows
from store.changes import change
from store.database import Database
from store.old_rows import PURGED
from store.tables import AuditMark, Delivery, DeliveryAttempt, Event
from tests.api.conftest import Shop, assert_problem

DAYS = timedelta(days=1)


@pytest.fixture
async def unmarked(database: Database) -> AsyncIterator[None]:
    """Other tests' events are as if none was ever purged."""
    yield
    async with database.transaction() as session:
        await session.exec(delete(AuditMark).where(col(AuditMark.name) == PURGED))


async def told(database: Database, agreement_id: str, *names: str) -> list[str]:
    """Events written in one change; their ids."""
    async with change(database, agreement_id) as locked:
        for name in names:
            locked.event(f"agreement.{name}")
    query = select(Event.id).where(Event.agreement_id == agreement_id).order_by(col(Event.sequence))
    async with database.transaction() as session:
        return list(await session.exec(query))[-len(names) :]


async def purge(database: Database, agreement_id: str, before: datetime, *, days_later: int = 9) -> list[int]:
    """The numbers that are left after a purge so many days from now."""
    now = datetime.now(UTC) + days_later * DAYS
    query = select(Event.sequence).where(Event.agreement_id == agreement_id).order_by(col(Event.sequence))
    async with database.transaction() as session:
        await old_rows.purge_events(session, [agreement_id], before, now)
        return list(await session.exec(query))


async def delivered(database: Database, events: Sequence[str]) -> None:
    """Their deliveries have ended, and left a line in the log."""
    async with database.transaction() as session:
        for row in (await session.exec(select(Delivery).where(col(Delivery.event_id).in_(events)))).all():
            row.status, row.finished_at = DeliveryStatus.DELIVERED, datetime.now(UTC)
            attempt = DeliveryAttempt(
                id=ids.new("dla"), delivery_id=row.id, number=1, at=row.created_at, status=200, latency_ms=3
            )
            session.add(attempt)


@pytest.mark.usefixtures("unmarked")
async def test_old_events_go_from_the_front_and_none_that_is_still_to_be_sent(
    shop: Shop, live_shop: Shop, database: Database
) -> None:
    endpoint = (await shop.post("/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/hook"})).json()["id"]
    agreement = (await shop.create())["id"]
    first, second, third, fourth = await told(database, agreement, "activated", "paused", "resumed", "amended")
    before = datetime.now(UTC)
    young = await told(database, agreement, "paused", "resumed")

    await delivered(database, [first, third, fourth])
    assert await purge(database, agreement, before, days_later=7) == [1, 2, 3, 4, 5, 6], "its runs may not be over"
    async with database.transaction() as session:
        assert await old_rows.purged_until(session) is None
    assert await purge(database, agreement, before) == [2, 3, 4, 5, 6], "the second one may still go out"
    await delivered(database, [second, *young])
    assert await purge(database, agreement, before) == [4, 5, 6], "the newest old one stays, and the young ones"
    assert await purge(database, agreement, before) == [4, 5, 6]

    listed = (await shop.get(f"/v1/webhook-endpoints/{endpoint}/deliveries")).json()["data"]
    assert [row["event"] for row in listed] == [*reversed(young), fourth]
    assert_problem(await shop.get(f"/v1/events/{first}"), 404, "not_found")
    assert_problem(await shop.post(f"/v1/events/{first}/redeliver"), 404, "not_found")
    timeline = (await shop.get(f"/v1/agreements/{agreement}/timeline")).json()["data"]
    assert [entry["sequence"] for entry in timeline] == [4, 5, 6]

    async def feed(reader: Shop, after: str) -> list[str]:
        return [event["id"] for event in (await reader.get("/v1/events", after=after)).json()["data"]]

    assert await feed(shop, first) == await feed(shop, second) == [fourth, *young]
    assert await feed(shop, fourth) == young, "whoever has read on is where they were"
    assert await feed(live_shop, first) == [], "of others nothing is told"
    unknown = ids.new("evt")
    assert_problem(await shop.get("/v1/events", after=unknown), 422, "invalid_request", "/query/after")


@pytest.mark.usefixtures("unmarked")
async def test_a_purge_is_told_from_a_loss(shop: Shop, database: Database) -> None:
    agreement = (await shop.create())["id"]
    await told(database, agreement, "activated", "paused", "resumed")
    before = datetime.now(UTC)
    await told(database, agreement, "paused", "resumed")

    async def found(*lost: int, mark: datetime | None = None) -> bool:
        """Whether the audit finds something once these are lost, all of which is taken back."""
        async with database.transaction() as session:
            await session.exec(delete(Event).where(col(Event.agreement_id) == agreement, col(Event.sequence).in_(lost)))
            if mark is not None:
                reached = mark.isoformat()
                await session.exec(update(AuditMark).where(col(AuditMark.name) == PURGED).values(reached=reached))
            violations = await audit.of_agreements(session, [agreement])
            await session.rollback()
        return Invariant.EVENTS_WITHOUT_GAPS in {each.invariant for each in violations}

    assert await found(1)
    assert await purge(database, agreement, before) == [3, 4, 5]
    assert not await found()
    assert await found(4), "in the middle"
    assert await found(5), "at the end"
    assert await found(3), "at the start of what is young"
    assert await found(mark=before - DAYS), "nothing so young was ever purged"


async def test_the_walk_comes_to_every_agreement(shop: Shop, database: Database) -> None:
    agreement = (await shop.create())["id"]
    await told(database, agreement, "activated", "paused", "resumed")
    query = select(Event.sequence).where(Event.agreement_id == agreement).order_by(col(Event.sequence))
    async with database.transaction() as session:
        await session.merge(AuditMark(name="old rows", reached=agreement[:-1]))
        for later, left in ((399 * DAYS, [1, 2, 3]), (401 * DAYS, [3])):
            await old_rows.walk_on(session, 400 * DAYS, datetime.now(UTC) + later)
            assert list(await session.exec(query)) == left
            await session.merge(AuditMark(name="old rows", reached=agreement[:-1]))
        await session.rollback()
