"""Promise 6, as a merchant's receiver sees it: everything arrives, signed, numbered, in order, however it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlmodel import col, select
from starlette.responses import RedirectResponse, Response
from temporalio.client import ActivityExecutionStatus

from store.tables import Delivery, Event
from tests.promises.webhook_receiver import Receiver, a_receiver, an_endpoint
from tests.support.house import House, Shop


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as found:
        yield found


async def deliveries_of(house: House, agreement: str) -> list[Delivery]:
    """In the order of the events."""
    query = select(Delivery).join(Event, col(Event.id) == Delivery.event_id).where(Event.agreement_id == agreement)
    async with house.database.transaction() as session:
        return list(await session.exec(query.order_by(col(Event.sequence))))


async def until_finished(house: House, agreement: str, seconds: float = 20) -> list[Delivery]:
    async with asyncio.timeout(seconds):
        rows = await deliveries_of(house, agreement)
        while not all(row.finished_at for row in rows):
            await asyncio.sleep(0.05)
            rows = await deliveries_of(house, agreement)
    return rows


async def test_every_event_of_a_quarter_arrives_once_in_order_and_verified(
    house: House, shop: Shop, receiver: Receiver
) -> None:
    _, secret = await an_endpoint(shop, receiver)
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, script="insufficient_funds,success", terms={"total_cycles": 3})
    await shop.advance(clock, "2027-05-01T00:00:00Z")
    rows = await until_finished(house, agreement)

    told = await shop.events(agreement)
    received = receiver.events(secret)
    assert received == told, "the same documents, in the same order, as in the feed"
    assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
    kinds = [event["type"] for event in told]
    assert kinds.count("charge.succeeded") == 3
    assert {"agreement.activated", "charge.retry_scheduled", "agreement.past_due", "agreement.completed"} <= set(kinds)
    assert {(row.status, row.attempts, row.last_status) for row in rows} == {("delivered", 1, 204)}


async def test_each_delivery_is_a_standalone_activity_of_its_own_id(
    house: House, shop: Shop, receiver: Receiver
) -> None:
    await an_endpoint(shop, receiver)
    agreement = await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
    rows = await until_finished(house, agreement)
    assert rows
    for row in rows:
        async with asyncio.timeout(5):
            found = await house.temporal.get_activity_handle(row.id).describe()
            while found.status is ActivityExecutionStatus.RUNNING:
                found = await house.temporal.get_activity_handle(row.id).describe()
        assert (found.activity_type, found.status) == ("deliver", ActivityExecutionStatus.COMPLETED)


async def test_a_receiver_that_fails_in_every_way_loses_nothing(house: House, shop: Shop, receiver: Receiver) -> None:
    _, secret = await an_endpoint(shop, receiver)
    receiver.answers = [
        Response(status_code=500),
        RedirectResponse("/elsewhere", 302),
        Response(status_code=429, headers={"Retry-After": "1"}),
    ]
    agreement = await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
    rows = await until_finished(house, agreement)
    assert {row.status for row in rows} == {"delivered"}
    assert sum(row.attempts for row in rows) == len(rows) + 3
    received = {event["id"]: event["sequence"] for event in receiver.events(secret)}
    assert sorted(received.values()) == [event["sequence"] for event in await shop.events(agreement)]
    assert receiver.elsewhere == 0, "a redirect is a failure, not a direction"


async def test_retry_after_is_the_least_wait(house: House, shop: Shop, receiver: Receiver) -> None:
    await an_endpoint(shop, receiver, "agreement.authorization_requested")
    receiver.answers = [
        Response(status_code=429, headers={"Retry-After": "2"}),
        Response(status_code=503, headers={"Retry-After": "1"}),
        Response(status_code=500),
    ]
    await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
    await receiver.until(calls=4)
    too_many, unavailable, broken = receiver.gaps()
    assert too_many >= 2
    assert unavailable >= 1
    assert broken < 5, "the plan's own wait of five minutes, scaled down"


async def test_a_slow_receiver_delays_nobody_s_debit(house: House, shop: Shop, receiver: Receiver) -> None:
    await an_endpoint(shop, receiver)
    receiver.hold.clear()
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, terms={"total_cycles": 2})
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert (await shop.read(agreement))["status"] == "completed"
    assert [row["status"] for row in await shop.ledger(agreement)] == ["succeeded", "succeeded"]
    assert len(receiver.calls) == 1, "the second event waits for the first one's answer"
    receiver.hold.set()
    await until_finished(house, agreement)


async def test_an_endpoint_gets_only_the_types_it_asked_for(house: House, shop: Shop, receiver: Receiver) -> None:
    _, secret = await an_endpoint(shop, receiver, "charge.succeeded", "agreement.activated")
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, terms={"total_cycles": 2})
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    await until_finished(house, agreement)
    received = receiver.events(secret)
    assert [event["type"] for event in received] == ["agreement.activated", "charge.succeeded", "charge.succeeded"]
    assert all(earlier["sequence"] < later["sequence"] for earlier, later in pairwise(received))


async def test_every_endpoint_gets_every_event_under_its_own_secret(
    house: House, shop: Shop, receiver: Receiver
) -> None:
    async with a_receiver() as second:
        _, secret = await an_endpoint(shop, receiver)
        _, other = await an_endpoint(shop, second)
        assert secret != other
        agreement = await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
        await until_finished(house, agreement)
        assert receiver.events(secret) == second.events(other) == await shop.events(agreement)


async def test_a_deleted_endpoint_gets_nothing_more(house: House, shop: Shop, receiver: Receiver) -> None:
    endpoint, _ = await an_endpoint(shop, receiver)
    receiver.answers = [Response(status_code=503, headers={"Retry-After": "1"})]
    agreement = await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
    await receiver.until(calls=1)
    before = len(receiver.calls)
    answer = await house.outside.delete(
        f"{house.settings.public_url}/v1/webhook-endpoints/{endpoint}",
        headers={"Authorization": f"Bearer {shop.secret_key}"},
    )
    assert answer.status_code == 204
    rows = await until_finished(house, agreement)
    assert rows[0].status == "dropped"
    assert len(receiver.calls) <= before + len(rows) - 1


async def test_the_first_attempt_is_made_within_a_second_of_the_commit(
    house: House, shop: Shop, receiver: Receiver
) -> None:
    await an_endpoint(shop, receiver, "agreement.paused")
    agreement = await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
    await shop.call("POST", f"/v1/agreements/{agreement}/pause", {})
    await receiver.until(calls=1)
    (row,) = await deliveries_of(house, agreement)
    assert receiver.calls[0][0] - row.created_at < timedelta(seconds=1)
