"""One attempt at a time: the real activity, database and receiver, without Temporal's waiting in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from starlette.responses import RedirectResponse, Response, StreamingResponse
from temporalio.exceptions import ApplicationError

from agreements.deliveries import WAITS
from store.tables import Delivery
from tests.promises.webhook_desk import Desk, a_desk
from tests.support.house import House, Shop


@pytest.fixture
async def desk(house: House, shop: Shop) -> AsyncIterator[Desk]:
    async with a_desk(house, shop) as found:
        yield found


def test_the_plan_is_fourteen_attempts_within_seven_days() -> None:
    assert len(WAITS) + 1 == 14
    assert timedelta(days=6.5) <= sum(WAITS, timedelta()) <= timedelta(days=7)
    assert WAITS[0] <= timedelta(seconds=10)
    assert all(earlier < later for earlier, later in pairwise(WAITS))


async def test_a_receiver_that_always_refuses_is_tried_by_the_plan_and_given_up(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [Response(status_code=500) for _ in range(20)]
    asked, began = [], time.monotonic()
    while isinstance(result := await desk.attempt(delivery, desk.deliveries(scale=1)), ApplicationError):
        asked.append((result.next_retry_delay, timedelta(seconds=time.monotonic() - began)))
        began = time.monotonic()
    for (wait, took), planned in zip(asked, WAITS, strict=True):
        assert wait is not None
        assert planned * 0.9 - took < wait <= planned
    row = await desk.row(delivery)
    assert (result, row.status, row.attempts, row.last_error) == ("failed", "failed", 14, "HTTP 500")
    assert len(desk.receiver.calls) == 14
    assert await desk.attempt(delivery) == "failed", "a repeat sends nothing"
    assert len(desk.receiver.calls) == 14


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        ("7200", timedelta(hours=2)),
        ("0", WAITS[0]),
        ("-5", WAITS[0]),
        ("soon", WAITS[0]),
        ("²", WAITS[0]),
        ("9" * 400, WAITS[0]),
        (str(10**9), timedelta(days=1)),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_lengthens_the_wait_and_never_shortens_it(
    desk: Desk, status: int, sent: str, asked: timedelta
) -> None:
    (delivery,) = await desk.write("agreement.amended")
    header = sent.encode("latin-1")
    answer = Response(status_code=status)
    answer.raw_headers.append((b"retry-after", header))
    desk.receiver.answers = [answer]
    began = time.monotonic()
    result = await desk.attempt(delivery, desk.deliveries(scale=1))
    took = timedelta(seconds=time.monotonic() - began)
    assert isinstance(result, ApplicationError)
    assert result.next_retry_delay is not None
    assert asked * 0.9 - took < result.next_retry_delay <= asked


async def test_an_attempt_that_is_due_by_the_time_it_is_asked_for_waits_for_no_policy_of_temporals(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [Response(status_code=500)]
    result = await desk.attempt(delivery, desk.deliveries(scale=1e-9))
    assert isinstance(result, ApplicationError)
    assert timedelta(0) < (result.next_retry_delay or timedelta(0)) < timedelta(seconds=1)


async def test_retry_after_may_be_a_date(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    until = format_datetime(datetime.now(UTC) + timedelta(hours=3), usegmt=True)
    desk.receiver.answers = [Response(status_code=503, headers={"Retry-After": until})]
    result = await desk.attempt(delivery)
    assert isinstance(result, ApplicationError)
    assert result.next_retry_delay is not None
    assert timedelta(hours=2, minutes=59) < result.next_retry_delay <= timedelta(hours=3)


async def test_a_receiver_that_does_not_answer_in_time_has_not_answered(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.hold.clear()
    result = await desk.attempt(delivery, desk.deliveries(timeout=timedelta(seconds=0.2)))
    assert isinstance(result, ApplicationError)
    assert (await desk.row(delivery)).last_error == "no answer within 0.2 seconds"
    desk.receiver.hold.set()
    assert await desk.attempt(delivery) == "delivered"


async def test_a_receiver_that_drips_its_answer_is_cut_off_by_the_same_limit(desk: Desk) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"."
            await asyncio.sleep(0.05)

    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [StreamingResponse(drip(), 200)]
    assert isinstance(await desk.attempt(delivery, desk.deliveries(timeout=timedelta(seconds=0.3))), ApplicationError)


async def test_an_endless_answer_is_not_read_to_its_end(desk: Desk) -> None:
    sent = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(2000):
            sent += 65536
            yield b"x" * 65536
            await asyncio.sleep(0.001)

    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [StreamingResponse(flood(), 200)]
    assert await desk.attempt(delivery) == "delivered"
    assert sent < 10_000_000
    assert "xxx" not in repr((await desk.row(delivery)).model_dump())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(desk: Desk, status: int) -> None:
    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [RedirectResponse("/elsewhere", status)]
    assert isinstance(await desk.attempt(delivery), ApplicationError)
    assert (await desk.row(delivery)).last_error == f"HTTP {status}"
    assert desk.receiver.elsewhere == 0


async def test_an_endpoint_nobody_listens_at_is_a_failure(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    await desk.change_endpoint(url="http://127.0.0.1:9/hook")
    assert isinstance(await desk.attempt(delivery), ApplicationError)
    assert (await desk.row(delivery)).last_error == "ConnectError: All connection attempts failed"


async def test_a_later_event_waits_until_the_one_before_was_tried(desk: Desk) -> None:
    first, second, third = await desk.write("agreement.amended", "agreement.paused", "agreement.resumed")

    async def in_its_turn(delivery: str) -> str:
        """Called again, as Temporal does, for as long as it gives way: the one before may take its time."""
        while isinstance(result := await desk.attempt(delivery), ApplicationError):
            assert result.type == "gives_way"
        return result

    waiting = asyncio.gather(in_its_turn(third), in_its_turn(second))
    await asyncio.sleep(0)
    assert await desk.attempt(first) == "delivered"
    assert set(await waiting) == {"delivered"}
    types = [headers["webhook-id"] for _, headers, _ in desk.receiver.calls]
    rows = [await desk.row(delivery) for delivery in (first, second, third)]
    assert types == [row.event_id for row in rows]


async def test_a_later_event_asks_to_be_called_again_and_that_counts_as_no_attempt(desk: Desk) -> None:
    first, second = await desk.write("agreement.amended", "agreement.paused")
    result = await desk.attempt(second)
    assert isinstance(result, ApplicationError)
    assert result.type == "gives_way"
    assert (await desk.row(second)).attempts == 0
    assert desk.receiver.calls == []
    desk.receiver.answers = [Response(status_code=500)]
    await desk.attempt(first)
    assert await desk.attempt(second) == "delivered", "order is promised for first attempts only"


async def test_a_later_event_does_not_wait_for_ever(desk: Desk) -> None:
    first, second = await desk.write("agreement.amended", "agreement.paused")
    async with desk.house.database.transaction() as session:
        (await session.get_one(Delivery, first)).queued_at -= timedelta(minutes=2)
    assert await desk.attempt(second) == "delivered"
