"""Scripted lives of a refund, one for every way through its workflow: played by tests, recorded for replay."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from activities.contract import REFUND, REFUND_NEWS, RefundInput, RefundNewsInput, gateway_queue
from agreements.refunds import RefundStanding, RefundStatus
from tests.support.clock import WorkflowClock
from workflows.messages import RefundStart, refund_workflow_id
from workflows.refund import RefundWorkflow

Handle = WorkflowHandle[RefundWorkflow, RefundStatus]
Moves = Callable[[WorkflowClock, Handle], Awaitable[None]]


async def time_passes(clock: WorkflowClock, handle: Handle) -> None:
    await clock.advance(handle, timedelta(days=7))


async def nothing(clock: WorkflowClock, handle: Handle) -> None:
    """It ends by itself."""


@dataclass(frozen=True)
class RefundScenario:
    """Where a refund starts, what its calls and its news answer, and what happens from outside."""

    first: RefundStanding
    calls: list[RefundStanding]
    end: RefundStatus
    moves: Moves = nothing
    news: tuple[str, ...] = ()
    after_news: RefundStanding | None = None

    async def play(self, clock: WorkflowClock, **worker_options: int) -> Handle:
        """Plays it to its end on workers of its own; every call must come, and none beside them."""
        coming, moved = list(self.calls), asyncio.Event()

        @activity.defn(name=REFUND)
        async def call(given: RefundInput) -> RefundStanding:
            assert given.refund_id == self.first.refund_id
            return coming.pop(0)

        @activity.defn(name=REFUND_NEWS)
        async def settle(given: RefundNewsInput) -> RefundStanding:
            await moved.wait()  # a message that is repeated finds the refund still there
            assert self.after_news is not None
            return self.after_news

        queue, id_ = f"refunds-{uuid4().hex}", refund_workflow_id(self.first.refund_id)
        async with (
            Worker(clock.client, task_queue=queue, workflows=[RefundWorkflow], activities=[settle], **worker_options),  # type: ignore[arg-type]
            Worker(clock.client, task_queue=gateway_queue(self.first.gateway), activities=[call]),
        ):
            start = RefundStart(refund=self.first, news=list(self.news))
            handle: Handle = await clock.client.start_workflow(RefundWorkflow.run, start, id=id_, task_queue=queue)
            await self.moves(clock, handle)
            moved.set()
            assert await handle.result() is self.end
        assert coming == []
        return handle


def pending(now: datetime, **changes: object) -> RefundStanding:
    """A refund that is due, on a gateway of its own."""
    given: dict[str, object] = {
        "refund_id": f"rfd_{uuid4().hex}",
        "agreement_id": "agr_1",
        "merchant_id": "mer_1",
        "gateway": f"scripted-{uuid4().hex}",
        "title": "refund PHP 100.00 of charge chg_1 (cycle 3)",
        "status": RefundStatus.PENDING,
        "as_of": now,
        "next_at": now,
    }
    return RefundStanding.model_validate({**given, **changes})


def then(before: RefundStanding, status: RefundStatus, next_at: datetime | None = None) -> RefundStanding:
    return before.model_copy(update={"status": status, "next_at": next_at})


def refund_at_once() -> RefundScenario:
    """One call, one answer."""
    first = pending(datetime.now(UTC))
    return RefundScenario(first, [then(first, RefundStatus.SUCCEEDED)], RefundStatus.SUCCEEDED)


def refund_unknown() -> RefundScenario:
    """The answer is lost, the provider never saw the request, it is sent again."""
    now = datetime.now(UTC)
    first = pending(now)
    looks = [then(first, RefundStatus.UNKNOWN, now + timedelta(seconds=seconds)) for seconds in (5, 15, 120)]
    again = then(first, RefundStatus.PENDING, now)
    calls = [*looks, again, then(first, RefundStatus.SUCCEEDED)]
    return RefundScenario(first, calls, RefundStatus.SUCCEEDED, time_passes)


def refund_ended_by_news() -> RefundScenario:
    """It is with the provider, which says so itself when it is done."""
    now = datetime.now(UTC)
    first = pending(now)
    calls = [then(first, RefundStatus.PENDING, now + timedelta(hours=1))]

    async def told(clock: WorkflowClock, handle: Handle) -> None:
        await clock.advance(handle, timedelta(minutes=1))
        for _ in range(2):
            await handle.signal(RefundWorkflow.provider_news, "ntf_1")

    end = then(first, RefundStatus.SUCCEEDED)
    return RefundScenario(first, calls, RefundStatus.SUCCEEDED, told, after_news=end)


def refund_bounced() -> RefundScenario:
    """It had succeeded; a run of its own settles the message that it failed after all."""
    first = then(pending(datetime.now(UTC)), RefundStatus.SUCCEEDED)
    end = then(first, RefundStatus.FAILED)
    return RefundScenario(first, [], RefundStatus.FAILED, news=("ntf_1",), after_news=end)


def refund_on_a_test_clock() -> RefundScenario:
    """Its own time stands still but for ticks; one comes twice, one too early."""
    start = datetime(2027, 1, 31, tzinfo=UTC)
    first = pending(start, test_clock_id="clk_1")
    look = start + timedelta(seconds=5)
    calls = [then(first, RefundStatus.UNKNOWN, look), then(first, RefundStatus.FAILED)]

    async def tick(clock: WorkflowClock, handle: Handle) -> None:
        for seconds in (1, 1, 5):
            await handle.signal(RefundWorkflow.tick, start + timedelta(seconds=seconds))

    return RefundScenario(first, calls, RefundStatus.FAILED, tick)


REFUND_SCENARIOS: dict[str, Callable[[], RefundScenario]] = {
    make.__name__: make
    for make in (refund_at_once, refund_bounced, refund_ended_by_news, refund_on_a_test_clock, refund_unknown)
}
