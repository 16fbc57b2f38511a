"""Promise 9 at its seams: a process that died between a commit and its consequence leaves nothing undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.contract import ClockInput
from activities.sweep import Reach, Sweeps
from activities.test_clocks import TestClocks
from activities.workbench import Workbench
from agreements.declarations import DeclarationStanding
from agreements.deliveries import Run
from agreements.refunds import RefundStanding
from agreements.standing import Standing
from store import ids, lifecycle
from store.changes import change
from store.tables import Agreement, Delivery, Notification, TestClock
from tests.promises.support import START
from tests.promises.webhook_receiver import Receiver, a_receiver, an_endpoint
from tests.support.house import House, Shop, agreement_body
from worker import reach
from workflows import client as workflows

AT_ONCE = timedelta(0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as found:
        yield found


@pytest.fixture
async def waiting(shop: Shop) -> str:
    """An agreement whose customer has not decided yet."""
    return str((await shop.call("POST", "/v1/agreements", agreement_body(None, **far()), expect=201))["id"])


def far() -> dict[str, Any]:
    return {"terms": {"start_date": "2099-01-31", "expiry_date": "2100-12-31"}}


class Told:
    """Records what a sweep tells; `broken` agreements raise."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.started: list[str] = []
        self.news: list[str] = []
        self.looked: list[str] = []
        self.deliveries: list[str] = []
        self.clocks: list[str] = []

    async def start(self, standing: Standing) -> None:
        if standing.agreement.id in self.broken:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        self.started.append(standing.agreement.id)

    async def tell(self, standing: Standing, notification: str) -> None:
        if standing.agreement.id in self.broken:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        self.news.append(notification)

    async def look(self, standing: Standing) -> None:
        self.looked.append(standing.agreement.id)

    async def advance(self, clock: str) -> None:
        self.clocks.append(clock)

    async def start_refund(self, refund: RefundStanding) -> None:
        self.started.append(refund.refund_id)

    async def start_declaration(self, declaration: DeclarationStanding) -> None:
        self.started.append(declaration.declaration_id)

    async def tell_refund_news(self, refund: RefundStanding, notification: str) -> None:
        self.news.append(notification)

    async def deliver(self, runs: Sequence[Run]) -> None:
        self.deliveries += [run.delivery_id for run in runs]

    async def sweep(self, house: House, left_behind: timedelta = AT_ONCE) -> None:
        told = Reach(
            self.start,
            self.tell,
            self.look,
            self.deliver,
            self.advance,
            self.start_refund,
            self.tell_refund_news,
            self.start_declaration,
        )
        await ActivityEnvironment().run(Sweeps(house.database, told, left_behind).sweep)


async def left_behind(house: House, agreement: str, *types: str) -> list[str]:
    """Deliveries of a change whose process died right after its commit."""
    async with change(house.database, agreement) as locked:
        for type_ in types:
            locked.event(type_)
    return locked.delivery_ids


async def set_agreement(house: House, agreement: str, **values: object) -> None:
    async with house.database.transaction() as session:
        await session.exec(update(Agreement).where(col(Agreement.id) == agreement).values(values))


async def test_deliveries_a_crash_left_behind_are_started_in_order(
    house: House, shop: Shop, receiver: Receiver, waiting: str
) -> None:
    _, secret = await an_endpoint(shop, receiver)
    types = [f"agreement.{name}" for name in ("amended", "paused", "resumed", "expired")]
    left = await left_behind(house, waiting, *types)
    assert receiver.calls == []
    sweeps = Sweeps(house.database, reach(house.temporal), AT_ONCE)
    await asyncio.gather(*(ActivityEnvironment().run(sweeps.sweep) for _ in range(3)))
    await receiver.until(calls=4)
    assert [event["type"] for event in receiver.events(secret)] == types
    for delivery in left:
        async with house.database.transaction() as session:
            assert (await session.get_one(Delivery, delivery)).started


async def test_a_sweep_leaves_alone_what_others_still_hold(
    house: House, shop: Shop, receiver: Receiver, waiting: str
) -> None:
    await an_endpoint(shop, receiver)
    left = await left_behind(house, waiting, "agreement.amended")
    told = Told()
    await told.sweep(house, left_behind=timedelta(hours=1))
    assert not set(left) & set(told.deliveries)
    await told.sweep(house)
    assert left == [delivery for delivery in told.deliveries if delivery in left]


async def test_an_agreement_whose_workflow_was_never_started_is_started(house: House, shop: Shop, waiting: str) -> None:
    await set_agreement(house, waiting, started=False)
    told = Told()
    await told.sweep(house)
    await told.sweep(house)
    assert told.started.count(waiting) == 1


async def test_a_clock_whose_mover_was_never_started_arrives(house: House, shop: Shop) -> None:
    clock, standing_still = await shop.clock("2027-01-01T00:00:00Z"), await shop.clock("2027-01-01T00:00:00Z")
    async with house.database.transaction() as session:
        (await session.get_one(TestClock, clock)).target = datetime(2027, 2, 1, tzinfo=UTC)
    told = Told()
    await told.sweep(house)
    assert clock in told.clocks
    assert standing_still not in told.clocks
    await ActivityEnvironment().run(Sweeps(house.database, reach(house.temporal), AT_ONCE).sweep)
    assert (await shop.ready(clock))["now"] == "2027-02-01T00:00:00Z"


async def test_a_workflow_on_a_test_clock_that_was_never_told_of_a_revocation(house: House, shop: Shop) -> None:
    """The API died right after the commit. To the workflow's old standing nothing is due, whatever time it is told."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    async with change(house.database, agreement) as locked:
        await lifecycle.revoke(locked, initiator="merchant", reason=None)
    told = Told()
    await told.sweep(house)
    assert clock in told.clocks
    tick, tick_refund, look = (
        partial(tell, house.temporal) for tell in (workflows.tick, workflows.tick_refund, workflows.look)
    )
    clocks = TestClocks(house.database, house.outside, tick, tick_refund, tick_refund, look, patience=AT_ONCE)
    await ActivityEnvironment().run(clocks.advance_clock, ClockInput(clock_id=clock))
    assert (await shop.read(agreement))["revocation"]["provider_status"] == "done"
    await told.sweep(house)
    assert told.clocks.count(clock) == 1


async def test_one_agreement_that_cannot_be_taken_up_does_not_stop_the_others(
    house: House, shop: Shop, receiver: Receiver, waiting: str
) -> None:
    other = str((await shop.call("POST", "/v1/agreements", agreement_body(None, **far()), expect=201))["id"])
    await an_endpoint(shop, receiver)
    left = await left_behind(house, other, "agreement.amended")
    await set_agreement(house, waiting, started=False)
    await set_agreement(house, other, started=False)
    told = Told(waiting)
    await told.sweep(house)
    assert other in told.started
    assert set(left) <= set(told.deliveries)
    async with house.database.transaction() as session:
        assert not (await session.get_one(Agreement, waiting)).started, "the next sweep tries again"
    await set_agreement(house, waiting, started=True)


@pytest.mark.parametrize(
    ("overdue", "looked"),
    [
        (timedelta(minutes=1), False),
        (timedelta(minutes=3), True),
        (timedelta(minutes=9), True),
        (timedelta(minutes=30), False),
        (timedelta(hours=7, minutes=1), True),
        (timedelta(hours=7, minutes=5), False),
    ],
)
async def test_a_workflow_that_missed_its_step_is_told_often_at_first_then_hourly(
    house: House, waiting: str, overdue: timedelta, looked: bool
) -> None:
    await set_agreement(house, waiting, next_step_at=datetime.now(UTC) - overdue)
    told = Told()
    await told.sweep(house)
    assert (waiting in told.looked) is looked
    await set_agreement(house, waiting, next_step_at=None)


async def test_news_nobody_settled_is_told_again(house: House, shop: Shop, waiting: str) -> None:
    row = Notification(
        id=ids.new("ntf"), account_id=shop.account, source="notification", sealed_message="", status="signalled",
        agreement_id=waiting,
    )  # fmt: skip
    async with house.database.transaction() as session:
        session.add(row)
    told = Told()
    await told.sweep(house)
    assert told.news.count(row.id) == 1
    async with house.database.transaction() as session:
        (await session.get_one(Notification, row.id)).status = "settled"
    await told.sweep(house)
    assert told.news.count(row.id) == 1


async def test_a_change_stands_although_temporal_does_not_take_its_deliveries(
    house: House, shop: Shop, receiver: Receiver, waiting: str
) -> None:
    """A step that has moved money must not fail, and so be repeated, for the sake of its webhooks."""
    await an_endpoint(shop, receiver)

    async def away(runs: Sequence[Run]) -> None:
        raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")

    bench = Workbench(house.settings, house.database, house.vault, {}, away)
    async with bench.change(waiting, datetime.now(UTC)) as changed:
        changed.event("agreement.amended")
    assert changed.standing.version > 0
    assert receiver.calls == []
    told = Told()
    await told.sweep(house)
    assert set(changed.delivery_ids) <= set(told.deliveries)
