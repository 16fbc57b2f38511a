"""Promise 6, as a merchant's receiver sees it: everything arrives, signed, numbered, in order, however it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlmodel import col, select
from starlette.responses import RedirectResponse, Response
from temporalio.client import ActivityExecutionStatus

from store.tables import Delivery, Event
from tests.promises.webhook_receiver import Receiver, a_receiver, an_endpoint, an_endpoint_at, nobody
from tests.support.house import House, Shop

HUNG = "no answer within 15 seconds"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as found:
        yield found


async def deliveries_of(house: House, agreement: str) -> list[Delivery]:
    """In the order of the events."""
    query = select(Delivery).join(Event, col(Event.id) == Delivery.event_id).where(Event.agreement_id == agreement)
    async with house.database.transaction() as session:
        return list(await session.exec(query.order_by(col(Event.sequence))))


async def log_of(shop: Shop, event: str) -> list[dict[str, Any]]:
    """Every attempt to deliver an event to the merchant's only endpoint, as the API lists them."""
    (delivery,) = (await shop.call("GET", f"/v1/events/{event}/deliveries"))["data"]
    assert [entry["number"] for entry in delivery["log"]] == list(range(1, delivery["attempts"] + 1))
    assert [entry["error"] is None for entry in delivery["log"]].index(True) == delivery["attempts"] - 1
    return list(delivery["log"])


async def until_finished(house: House, agreement: str, seconds: float = 60) -> list[Delivery]:
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
        async with asyncio.timeout(60):
            found = await house.temporal.get_activity_handle(row.id).describe()
            while found.status is ActivityExecutionStatus.RUNNING:
                found = await house.temporal.get_activity_handle(row.id).describe()
        assert (found.activity_type, found.status) == ("deliver", ActivityExecutionStatus.COMPLETED)
        assert found.priority.fairness_key == shop.merchant_id, "merchants take turns"


async def test_a_receiver_that_fails_in_every_way_loses_nothing(house: House, shop: Shop) -> None:
    """It is away, hangs, breaks, sends elsewhere and asks for time; then it recovers."""
    with nobody() as port:
        _, secret = await an_endpoint_at(shop, f"http://127.0.0.1:{port}/hooks")
        clock = await shop.clock("2027-01-31T00:00:00Z")
        agreement = await shop.agree(clock, script="insufficient_funds,success", terms={"total_cycles": 2})
        async with asyncio.timeout(60):
            while not all(row.attempts >= 2 for row in await deliveries_of(house, agreement)):
                await asyncio.sleep(0.05)
    async with a_receiver(port) as receiver:
        receiver.answers = [
            None,
            Response(status_code=500),
            RedirectResponse("/elsewhere", 302),
            Response(status_code=429, headers={"Retry-After": "1"}),
            Response("database is down: sk_live_4eC39HqLyjWDarjtT1zdp7dc\0", status_code=503),
        ]
        await shop.advance(clock, "2027-04-01T00:00:00Z")
        # The later its first attempts, the longer its plan has it wait after the call that hangs: half a minute.
        rows = await until_finished(house, agreement, 140)
        received = receiver.events(secret)
        assert receiver.elsewhere == 0, "a redirect is a failure, not a direction"
    told = await shop.events(agreement)
    assert {event["id"] for event in received} == {event["id"] for event in told}
    assert sorted({event["sequence"] for event in received}) == list(range(1, len(told) + 1))
    assert {row.status for row in rows} == {"delivered"}

    log = [entry for event in told for entry in await log_of(shop, event["id"])]
    assert len(log) == sum(row.attempts for row in rows)
    failed = [entry["error"] for entry in log if entry["error"]]
    refused = [error for error in failed if error == "ConnectError: All connection attempts failed"]
    assert len(refused) == len(log) - len(receiver.calls) >= 2
    assert sorted(set(failed) - set(refused)) == ["HTTP 302", "HTTP 429", "HTTP 500", "HTTP 503", HUNG]
    assert [entry["latency_ms"] >= 15_000 for entry in log if entry["error"] == HUNG] == [True]
    assert [entry["answer"] for entry in log if entry["status"] == 503] == ["database is down: [redacted]"]


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
    assert broken < 60, "the plan's own wait of five minutes, scaled down"


async def test_a_slow_receiver_delays_nobody_s_debit(house: House, shop: Shop, receiver: Receiver) -> None:
    await an_endpoint(shop, receiver)
    receiver.hold.clear()
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, terms={"total_cycles": 2})
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert (await shop.read(agreement))["status"] == "completed"
    assert [row["status"] for row in await shop.ledger(agreement)] == ["succeeded", "succeeded"]
    await receiver.until(calls=1)
    first, *others = [at for at, _, _ in receiver.calls]
    early = [at for at in others if at < first + timedelta(seconds=14)]  # after fifteen it is given up
    assert early == [], "the second event waits for the first one's answer"
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
    receiver.answers = [Response(status_code=503, headers={"Retry-After": "60"})]
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
    took: list[timedelta] = []
    for calls in range(1, 6):  # a busy machine may hold up one of them
        await shop.call("POST", f"/v1/agreements/{agreement}/pause", {})
        await receiver.until(calls)
        took.append(receiver.calls[-1][0] - (await deliveries_of(house, agreement))[-1].created_at)
        if took[-1] < timedelta(seconds=1):
            return
        await shop.call("POST", f"/v1/agreements/{agreement}/resume", {})
    pytest.fail(f"within {took}")
