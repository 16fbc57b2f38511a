"""A test clock's mover never misses a target, however late the last one was reached."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from temporalio import activity
from temporalio.worker import Worker

from activities.contract import ADVANCE_CLOCK, AGREEMENTS_QUEUE, ClockInput
from tests.support.clock import WorkflowClock
from workflows.client import advance_clock
from workflows.test_clock import TestClockWorkflow


async def test_a_target_set_while_the_last_one_is_being_reached_is_run_too(clock: WorkflowClock) -> None:
    clock_id = f"clk_{uuid4().hex}"
    moves: list[str] = []
    reached, go_on = asyncio.Event(), asyncio.Event()

    @activity.defn(name=ADVANCE_CLOCK)
    async def advance(given: ClockInput) -> None:
        moves.append(given.clock_id)
        reached.set()
        await go_on.wait()

    workflows = Worker(clock.client, task_queue=AGREEMENTS_QUEUE, workflows=[TestClockWorkflow], activities=[advance])
    async with workflows:
        await advance_clock(clock.client, clock_id)
        await reached.wait()
        await advance_clock(clock.client, clock_id)
        go_on.set()
        await clock.client.get_workflow_handle(f"test-clock/{clock_id}").result()
        assert moves == [clock_id, clock_id]
        await advance_clock(clock.client, clock_id)
        await clock.client.get_workflow_handle(f"test-clock/{clock_id}").result()
    assert moves == [clock_id] * 3
