"""Promise 6 where a receiver is away for long: its endpoint is disabled, nothing is lost, it catches up in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlmodel import col, delete, select
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.responses import Response
from temporalio.exceptions import ApplicationError

from activities import chores
from activities.webhook_calls import shown
from agreements.deliveries import DEAD_AFTER, Run
from store import deliveries, retention, webhook_endpoints
from store.changes import change
from store.retention import Kept
from store.tables import Delivery, DeliveryAttempt, Event
from tests.promises.webhook_desk import Desk, a_desk
from tests.promises.webhook_receiver import Receiver, a_receiver, an_endpoint
from tests.support.house import House, Shop
from workflows import client as workflows


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as found:
        yield found


@pytest.fixture
async def desk(house: House, shop: Shop) -> AsyncIterator[Desk]:
    async with a_desk(house, shop) as found:
        yield found


async def until(shop: Shop, endpoint: str, **values: object) -> dict[str, Any]:
    """The endpoint once it looks like this."""
    async with asyncio.timeout(60):
        while True:
            read = await shop.call("GET", f"/v1/webhook-endpoints/{endpoint}")
            if values.items() <= read.items():
                return read
            await asyncio.sleep(0.05)


def opens(receiver: Receiver, call: int, secret: str) -> bool:
    _, headers, body = receiver.calls[call]
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


async def test_a_receiver_that_is_gone_gets_everything_in_order_when_it_is_back(
    house: House, shop: Shop, receiver: Receiver
) -> None:
    endpoint, secret = await an_endpoint(shop, receiver)
    path = f"/v1/webhook-endpoints/{endpoint}"
    receiver.answers = [Response(status_code=410) for _ in range(20)]
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, terms={"total_cycles": 2})
    seen = await until(shop, endpoint, status="disabled")
    assert (seen["disabled_reason"], seen["disabled_at"] >= seen["failing_since"]) == ("gone", True)
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    async with change(house.database, agreement) as locked:
        for number in range(18):
            locked.event("agreement.amended", number=number)
    told = await shop.events(agreement)
    assert (await until(shop, endpoint, waiting=len(told)))["status"] == "disabled"
    calls = len(receiver.calls)
    receiver.answers = []

    rotated = await shop.call("POST", f"{path}/rotate-secret", expect=200)
    assert rotated["secret"] not in (secret, None)
    enabled = await shop.call("PATCH", path, {"disabled": False})
    assert (enabled["status"], enabled["disabled_reason"], enabled["failing_since"]) == ("enabled", None, None)
    async with change(house.database, agreement) as locked:
        locked.event("agreement.amended", number="last")
    assert locked.delivery_ids == [], "it queues up behind those that were parked before"
    sweep = chores.catching_up(house.database, partial(workflows.start_runs, house.temporal))
    await sweep(datetime.now(UTC))
    await until(shop, endpoint, waiting=0)
    # While nothing fails they arrive in order; what was tried before it was disabled is tried again with the others.
    arrived = receiver.events(secret)[calls:]
    assert [event["sequence"] for event in arrived] == list(range(1, len(told) + 2))
    assert all(opens(receiver, call, rotated["secret"]) for call in range(calls, len(receiver.calls))), "both sign"

    async with change(house.database, agreement) as locked:
        locked.event("agreement.amended", number="after all")
    await workflows.start_deliveries(house.temporal, shop.merchant_id, locked.delivery_ids)
    await receiver.until(calls=calls + len(told) + 2)


async def test_an_event_is_sent_again_signed_by_the_secrets_of_then(
    house: House, shop: Shop, receiver: Receiver
) -> None:
    endpoint, secret = await an_endpoint(shop, receiver, "agreement.paused")
    agreement = await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
    await shop.call("POST", f"/v1/agreements/{agreement}/pause", {})
    await until(shop, endpoint, waiting=0)
    await receiver.until(calls=1)
    rotated = await shop.call("POST", f"/v1/webhook-endpoints/{endpoint}/rotate-secret", {"overlap": 0}, expect=200)
    (paused,) = (await shop.call("GET", f"/v1/events?agreement={agreement}&type=agreement.paused"))["data"]
    (sent,) = (await shop.call("POST", f"/v1/events/{paused['id']}/redeliver", expect=202))["data"]
    assert (sent["endpoint"], sent["status"], sent["attempts"]) == (endpoint, "pending", 1)
    await receiver.until(calls=2)
    assert receiver.calls[0][2] == receiver.calls[1][2]
    assert receiver.calls[0][1]["webhook-id"] == receiver.calls[1][1]["webhook-id"] == paused["id"]
    assert [opens(receiver, call, secret) for call in (0, 1)] == [True, False]
    assert [opens(receiver, call, rotated["secret"]) for call in (0, 1)] == [False, True]

    activated = (await shop.events(agreement))[0]["id"]
    assert (await shop.call("POST", f"/v1/events/{activated}/redeliver", expect=202))["data"] == []
    await shop.call("POST", f"/v1/events/{activated}/redeliver", {"endpoint": endpoint}, expect=202)
    await receiver.until(calls=3)
    assert receiver.calls[2][1]["webhook-id"] == activated, "the endpoint was named, whatever types it wants"


async def test_a_dead_endpoint_is_disabled_before_anything_is_given_up(desk: Desk) -> None:
    first, second = await desk.write("agreement.amended", "agreement.paused")
    desk.receiver.answers = [Response(status_code=500) for _ in range(3)]
    await desk.change_endpoint(failing_since=datetime.now(UTC) - DEAD_AFTER + timedelta(minutes=1))
    work = desk.deliveries(scale=1)
    assert isinstance(await desk.attempt(first, work), ApplicationError)
    assert (await desk.read_endpoint()).disabled_at is None
    async with desk.house.database.transaction() as session:
        (await session.get_one(Delivery, first)).attempts = 13
    await desk.change_endpoint(failing_since=datetime.now(UTC) - DEAD_AFTER)
    assert await desk.attempt(first, work) == "parked"
    endpoint = await desk.read_endpoint()
    assert (endpoint.disabled_reason, endpoint.disabled_at is not None) == ("failing", True)
    assert [(row.status, row.attempts) for row in [await desk.row(first), await desk.row(second)]] == [
        ("parked", 14),
        ("parked", 0),
    ]
    assert await desk.attempt(second, work) == "parked", "it was on its way to be tried"
    assert len(desk.receiver.calls) == 2
    assert await desk.write("agreement.resumed") == [], "what happens from here on starts nothing in Temporal"


async def test_an_endpoint_that_takes_something_is_alive(desk: Desk) -> None:
    first, second = await desk.write("agreement.amended", "agreement.paused")
    desk.receiver.answers = [Response(status_code=500)]
    assert isinstance(await desk.attempt(first), ApplicationError)
    assert (await desk.read_endpoint()).failing_since is not None
    assert await desk.attempt(second) == "delivered"
    assert (await desk.read_endpoint()).failing_since is None


async def test_an_answer_of_the_address_before_says_nothing_about_the_new_one(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [Response(status_code=410)]
    desk.receiver.hold.clear()
    trying = asyncio.create_task(desk.attempt(delivery))
    await desk.receiver.until(calls=1)
    await desk.change_endpoint(url=f"{desk.receiver.url}?new")
    desk.receiver.hold.set()
    assert isinstance(await trying, ApplicationError)
    assert (await desk.read_endpoint()).disabled_at is None


async def test_only_the_latest_run_of_a_delivery_sends(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [Response(status_code=500)]
    assert isinstance(await desk.attempt(delivery), ApplicationError)
    async with desk.house.database.transaction() as session:
        await webhook_endpoints.enable(session, await webhook_endpoints.lock(session, desk.endpoint))
    told: list[Run] = []

    async def start(runs: Sequence[Run]) -> None:
        told.extend(runs)

    await chores.catching_up(desk.house.database, start)(datetime.now(UTC))
    assert Run(delivery, desk.shop.merchant_id, 2) in told
    assert await desk.attempt(delivery, run=1) == "superseded"
    assert len(desk.receiver.calls) == 1
    assert await desk.attempt(delivery, run=2) == "delivered"


async def test_an_answer_to_an_earlier_run_is_in_the_log_and_ends_no_later_one(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.hold.clear()
    trying = asyncio.create_task(desk.attempt(delivery))
    await desk.receiver.until(calls=1)
    async with desk.house.database.transaction() as session:
        event = await session.get_one(Event, (await desk.row(delivery)).event_id)
        await deliveries.send_again(session, event, desk.endpoint, datetime.now(UTC))
    desk.receiver.hold.set()
    assert await trying == "pending"
    row = await desk.row(delivery)
    assert (row.run, row.status, row.attempts, row.last_status) == (2, "pending", 1, 204)
    assert await desk.attempt(delivery) == "delivered"
    assert (await desk.row(delivery)).attempts == 2


async def test_a_slow_receiver_takes_only_some_of_a_worker_s_places(desk: Desk) -> None:
    waiting = await desk.write(*["agreement.amended"] * 21)
    async with desk.house.database.transaction() as session:
        for delivery in waiting:
            (await session.get_one(Delivery, delivery)).attempts = 1  # nobody gives way any more
    desk.receiver.hold.clear()
    work = desk.deliveries()
    trying = [asyncio.create_task(desk.attempt(delivery, work)) for delivery in waiting[:20]]
    await desk.receiver.until(calls=20)
    result = await desk.attempt(waiting[20], work)
    assert isinstance(result, ApplicationError)
    assert (result.type, (await desk.row(waiting[20])).attempts) == ("busy", 1), "which counts as no attempt"
    desk.receiver.hold.set()
    assert set(await asyncio.gather(*trying)) == {"delivered"}
    assert await desk.attempt(waiting[20], work) == "delivered"


async def test_the_log_forgets_in_time(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    assert await desk.attempt(delivery) == "delivered"
    kept, database = Kept(timedelta(days=2), timedelta(days=900), timedelta(days=900)), desk.house.database
    query = select(DeliveryAttempt.number).where(DeliveryAttempt.delivery_id == delivery)
    for age, left in ((timedelta(days=1), [1]), (timedelta(days=3), [])):
        async with database.transaction() as session:
            # A purge has its measure: here it is not used up by what other tests left in the log. All is taken back.
            await session.exec(delete(DeliveryAttempt).where(col(DeliveryAttempt.delivery_id) != delivery))
            await retention.purge(session, kept, datetime.now(UTC) + age)
            assert list(await session.exec(query)) == left
            await session.rollback()


def test_what_the_log_shows_of_an_answer_is_printable_short_and_no_secret() -> None:
    secret = "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQ="
    echoed = f'{{"secret": "{secret}", "bare": "{secret[6:]}", "key": "sk_test_abc", "auth": "Bearer xyz.abc"}}'
    assert shown(echoed.encode(), [secret]) == (
        '{"secret": "[redacted]", "bare": "[redacted]", "key": "[redacted]", "auth": "[redacted]'
    )
    assert shown(b"card 4111 1111 1111 1111, order 123456789012") == "card [redacted], order 123456789012"
    assert shown(b"\x00\x1b[31mred\n\xff") == "[31mred �"
    assert len(shown(b"x" * 5000)) == 300
