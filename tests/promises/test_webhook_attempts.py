"""One attempt at a time: the real activity, database and receiver, without Temporal's waiting in between."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col
from starlette.responses import RedirectResponse, Response, StreamingResponse
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contract import DeliveryInput
from activities.deliveries import WAITS, Deliveries
from gateways import http
from store.changes import change
from store.tables import Delivery, WebhookEndpoint
from tests.promises.webhook_receiver import Receiver, a_receiver, an_endpoint
from tests.support.house import House, Shop, agreement_body


@dataclasses.dataclass
class Desk:
    """A merchant with a receiver and an agreement; events are written, and nobody starts their deliveries."""

    house: House
    receiver: Receiver
    client: httpx.AsyncClient
    agreement: str
    endpoint: str

    async def write(self, *types: str) -> list[str]:
        """The deliveries of events written in one change."""
        async with change(self.house.database, self.agreement) as locked:
            for type_ in types:
                locked.event(type_)
        return locked.delivery_ids

    def deliveries(
        self, timeout: float = 5, scale: float = 0.001, client: httpx.AsyncClient | None = None, address: str = ""
    ) -> Deliveries:
        async def resolve(host: str) -> list[str]:
            return [address]

        house = self.house
        return Deliveries(
            house.settings.model_copy(update={"webhook_backoff_scale": scale}),
            house.database,
            house.vault,
            client or self.client,
            timeout=timedelta(seconds=timeout),
            resolve=resolve if address else None,
        )

    async def attempt(self, delivery: str, with_: Deliveries | None = None) -> str | ApplicationError:
        """What the activity answers, or the error with which it asks for another attempt."""
        work = with_ or self.deliveries()
        try:
            return await ActivityEnvironment().run(work.deliver, DeliveryInput(delivery_id=delivery))
        except ApplicationError as error:
            return error

    async def row(self, delivery: str) -> Delivery:
        async with self.house.database.transaction() as session:
            return await session.get_one(Delivery, delivery)

    async def change_endpoint(self, **values: object) -> None:
        async with self.house.database.transaction() as session:
            await session.exec(update(WebhookEndpoint).where(col(WebhookEndpoint.id) == self.endpoint).values(values))


@pytest.fixture(scope="module")
async def agreed(house: House) -> tuple[Shop, str]:
    """A merchant with an agreement that has nothing to do for a long time."""
    shop = await house.shop()
    terms = {"start_date": "2099-01-31", "expiry_date": "2100-12-31"}
    made = await shop.call("POST", "/v1/agreements", agreement_body(None, terms=terms), expect=201)
    return shop, str(made["id"])


@pytest.fixture
async def desk(house: House, agreed: tuple[Shop, str]) -> AsyncIterator[Desk]:
    shop, agreement = agreed
    async with a_receiver() as receiver, http.client() as client:
        endpoint, _ = await an_endpoint(shop, receiver)
        desk = Desk(house, receiver, client, agreement, endpoint)
        yield desk
        await desk.change_endpoint(deleted_at=datetime.now(UTC))


def test_the_plan_is_fourteen_attempts_within_seven_days() -> None:
    assert len(WAITS) + 1 == 14
    assert timedelta(days=6.5) <= sum(WAITS, timedelta()) <= timedelta(days=7)
    assert WAITS[0] <= timedelta(seconds=10)
    assert all(earlier < later for earlier, later in pairwise(WAITS))


async def test_a_receiver_that_always_refuses_is_tried_by_the_plan_and_given_up(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [Response(status_code=500) for _ in range(20)]
    asked = []
    while isinstance(result := await desk.attempt(delivery, desk.deliveries(scale=1)), ApplicationError):
        asked.append(result.next_retry_delay)
    assert tuple(asked) == WAITS
    row = await desk.row(delivery)
    assert (result, row.status, row.attempts, row.last_error) == ("failed", "failed", 14, "HTTP 500")
    assert len(desk.receiver.calls) == 14
    assert await desk.attempt(delivery) == "failed", "a repeat sends nothing"
    assert len(desk.receiver.calls) == 14


async def test_gone_ends_the_delivery(desk: Desk) -> None:
    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [Response(status_code=410)]
    assert await desk.attempt(delivery) == "failed"
    row = await desk.row(delivery)
    assert (row.attempts, row.last_status, row.finished_at is not None) == (1, 410, True)


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
    result = await desk.attempt(delivery, desk.deliveries(scale=1))
    assert isinstance(result, ApplicationError)
    assert result.next_retry_delay == asked


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
    result = await desk.attempt(delivery, desk.deliveries(timeout=0.2))
    assert isinstance(result, ApplicationError)
    assert (await desk.row(delivery)).last_error == "TimeoutError"
    desk.receiver.hold.set()
    assert await desk.attempt(delivery) == "delivered"


async def test_a_receiver_that_drips_its_answer_is_cut_off_by_the_same_limit(desk: Desk) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"."
            await asyncio.sleep(0.05)

    (delivery,) = await desk.write("agreement.amended")
    desk.receiver.answers = [StreamingResponse(drip(), 200)]
    assert isinstance(await desk.attempt(delivery, desk.deliveries(timeout=0.3)), ApplicationError)


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
    started = time.monotonic()
    assert await desk.attempt(delivery) == "delivered"
    assert time.monotonic() - started < 2
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
    assert (await desk.row(delivery)).last_error == "ConnectError"


async def test_a_later_event_waits_until_the_one_before_was_tried(desk: Desk) -> None:
    first, second, third = await desk.write("agreement.amended", "agreement.paused", "agreement.resumed")
    waiting = asyncio.gather(desk.attempt(third), desk.attempt(second))
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
        (await session.get_one(Delivery, first)).created_at -= timedelta(minutes=2)
    assert await desk.attempt(second) == "delivered"


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/hook",
        "https://127.0.0.1/hook",
        "https://10.1.2.3/hook",
        "https://169.254.169.254/latest",
        "https://[::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://[fd00::1]/hook",
    ],
)
async def test_a_live_webhook_does_not_reach_into_our_own_network(desk: Desk, url: str) -> None:
    (delivery,) = await desk.write("agreement.amended")
    await desk.change_endpoint(url=url, livemode=True)
    assert isinstance(await desk.attempt(delivery), ApplicationError)
    row = await desk.row(delivery)
    assert (row.last_error, row.attempts) == ("the address is private", 1)


async def test_a_live_webhook_goes_to_the_address_that_was_checked(desk: Desk) -> None:
    """Else a name could answer with a public address first and a private one a moment later."""
    (delivery,) = await desk.write("agreement.amended")
    await desk.change_endpoint(url="https://hooks.merchant.example:8443/hook?a=1", livemode=True)
    seen: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204, stream=httpx.ByteStream(b""))

    async with http.client(httpx.MockTransport(take)) as client:
        assert await desk.attempt(delivery, desk.deliveries(client=client, address="93.184.215.14")) == "delivered"
    (request,) = seen
    assert str(request.url) == "https://93.184.215.14:8443/hook?a=1"
    assert request.headers["host"] == "hooks.merchant.example:8443"
    assert request.extensions["sni_hostname"] == "hooks.merchant.example"
