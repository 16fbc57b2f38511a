"""Which queue a task waits in, and which of those that wait goes first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.common import Priority
from temporalio.worker import Worker

from activities.contract import (
    AGREEMENTS_QUEUE,
    CHECK_CREDENTIALS,
    DECLARE,
    DELIVERIES_QUEUE,
    NEWS,
    OBEY,
    REFUND,
    REFUND_NEWS,
    STEPS,
    Urgency,
    gateway_queue,
    step_queue,
    urgency,
)
from agreements.agenda import Step, StepKind
from tests.support.house import House
from worker import Share, workers
from workflows import client as workflows

CALLS = {
    *(STEPS[kind] for kind in StepKind if step_queue(kind, "antom") == gateway_queue("antom")),
    REFUND,
    DECLARE,
    CHECK_CREDENTIALS,
}
WITHOUT = {*(STEPS[kind] for kind in StepKind if step_queue(kind, "antom") is None), NEWS, REFUND_NEWS, OBEY}


def step(kind: StepKind, attempt: int = 1, *, on_demand: bool = False) -> Step:
    return Step(kind=kind, due_at=datetime(2027, 1, 1, tzinfo=UTC), attempt=attempt, on_demand=on_demand, title="")


@pytest.mark.parametrize(
    ("sooner", "later"),
    [
        (step(StepKind.REVOKE), step(StepKind.CHARGE)),
        (step(StepKind.AUTHORIZE), step(StepKind.CHARGE)),
        (step(StepKind.REVOKE), step(StepKind.INQUIRE)),
        (step(StepKind.INQUIRE), step(StepKind.CHARGE)),
        (step(StepKind.REVERSE), step(StepKind.CHARGE)),
        (step(StepKind.CHARGE, on_demand=True), step(StepKind.CHARGE)),
        (step(StepKind.CHARGE), step(StepKind.CHARGE, attempt=2)),
        (step(StepKind.CHARGE, attempt=2), step(StepKind.RELEASE)),
    ],
    ids=lambda given: f"{given.kind.name}{given.attempt}",
)
def test_what_somebody_waits_for_goes_before_the_first_of_the_month(sooner: Step, later: Step) -> None:
    assert urgency(sooner) < urgency(later)


def test_a_step_that_calls_nobody_takes_nothing_of_a_providers_rate() -> None:
    calls_nobody = {"announce", "lapse", "expire", "expire_authorization", "expire_card_change"}
    assert {STEPS[kind] for kind in StepKind if step_queue(kind, "antom") is None} == {
        *calls_nobody,
        "remind_of_card_change",
        "warn_of_expiry",
    }


async def test_no_provider_is_called_from_the_queue_of_the_workflows(house: House) -> None:
    """There an activity may be eager: handed to the worker that asked for it, past every rate limit of a queue."""
    apart = await workflows.connect(house.settings)  # one client takes one worker per queue
    hosted = {made.task_queue: _activities(made) for made in workers(replace(house.parts, temporal=apart))}
    assert hosted[AGREEMENTS_QUEUE] >= WITHOUT
    assert hosted[AGREEMENTS_QUEUE].isdisjoint(CALLS)
    assert hosted[DELIVERIES_QUEUE].isdisjoint(CALLS)
    for gateway in house.parts.gateways:
        assert hosted[gateway_queue(gateway)] >= CALLS


async def test_webhooks_may_have_workers_of_their_own(house: House) -> None:
    parted: dict[Share, set[str]] = {"webhooks": set(), "debits": set()}
    for only, found in parted.items():
        apart = await workflows.connect(house.settings)
        found |= {made.task_queue for made in workers(replace(house.parts, temporal=apart), only)}
    assert parted["webhooks"] == {DELIVERIES_QUEUE}
    assert parted["debits"] == {AGREEMENTS_QUEUE, *map(gateway_queue, house.parts.gateways)}


def _activities(made: Worker) -> set[str | None]:
    definitions = (activity._Definition.must_from_callable(each) for each in made.config()["activities"])
    return {definition.name for definition in definitions}


async def test_a_large_merchants_backlog_holds_up_neither_a_small_merchant_nor_a_revocation(house: House) -> None:
    """120 tasks of one merchant wait when 6 of another come, and last a revocation. Without fairness the six would be
    at the places 120 to 125, without priorities the revocation last of all.
    """
    done = await _order(house.temporal, large=120, small=6)
    places = [place for place, key in enumerate(done) if key == "small"]
    assert max(places) < 60
    assert done.index("revocation") < 20


async def _order(client: Client, *, large: int, small: int) -> list[str]:
    """The order in which one worker with one slot is handed what waits in a queue."""
    queue, done = f"gateway-{uuid4().hex}", list[str]()

    @activity.defn(name="charge")
    async def charge(who: str) -> None:
        done.append(who)

    async def start(who: str, key: str, first: Urgency) -> None:
        await client.start_activity(
            "charge",
            who,
            id=f"{queue}/{uuid4().hex}",
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            priority=Priority(priority_key=first, fairness_key=key),
        )

    await asyncio.gather(*(start("large", "large", Urgency.RENEWAL) for _ in range(large)))
    await asyncio.gather(*(start("small", "small", Urgency.RENEWAL) for _ in range(small)))
    await start("revocation", "large", Urgency.REVOCATION)
    async with asyncio.timeout(60):
        while await _waiting(client, queue) < large + small + 1:
            await asyncio.sleep(0.02)
    async with Worker(client, task_queue=queue, activities=[charge], max_concurrent_activities=1):
        async with asyncio.timeout(60):
            while len(done) < large + small + 1:
                await asyncio.sleep(0.02)
    return done


async def _waiting(client: Client, queue: str) -> int:
    """How many the server knows to wait in the queue: it puts them there after it has answered."""
    asked = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_stats=True,
    )
    return (await client.workflow_service.describe_task_queue(asked)).stats.approximate_backlog_count
