"""The settlement folder is looked into at once, then every day, and for ever."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from temporalio import activity
from temporalio.worker import Replayer, Worker

from activities.contract import RECONCILE
from tests.support.clock import WorkflowClock
from tests.workflows.record import runs
from workflows.reconciliation import ReconciliationWorkflow


async def test_the_folder_is_looked_into_every_day(clock: WorkflowClock) -> None:
    queue, looks = f"reconciliation-{uuid4().hex}", 0

    @activity.defn(name=RECONCILE)
    async def reconcile() -> int:
        nonlocal looks
        looks += 1
        return 0

    async with Worker(clock.client, task_queue=queue, workflows=[ReconciliationWorkflow], activities=[reconcile]):
        handle = await clock.client.start_workflow(
            ReconciliationWorkflow.run, timedelta(days=1), id=queue, task_queue=queue
        )
        await clock.advance(handle, timedelta(hours=23))
        assert looks == 1
        await clock.advance(handle, timedelta(days=3))
        await handle.terminate()
    assert looks == 4
    replayer = Replayer(workflows=[ReconciliationWorkflow], data_converter=clock.client.data_converter)
    for history in await runs(clock.client, queue):
        await replayer.replay_workflow(history)
