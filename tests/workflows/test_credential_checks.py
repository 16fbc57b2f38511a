"""The daily check runs every day, at every gateway that can be asked, and for ever."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from temporalio import activity
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, Worker

from activities.contract import CHECK_CREDENTIALS, CheckInput, gateway_queue
from tests.support.clock import WorkflowClock
from tests.workflows.record import runs
from workflows.credential_checks import CredentialChecksWorkflow
from workflows.messages import CredentialChecksStart


async def test_every_gateway_is_asked_once_a_day(clock: WorkflowClock) -> None:
    queue, gateways = f"checks-{uuid4().hex}", [f"scripted-{uuid4().hex}" for _ in range(2)]
    asked: list[str] = []

    @activity.defn(name=CHECK_CREDENTIALS)
    async def check(given: CheckInput) -> None:
        asked.append(given.gateway)

    start = CredentialChecksStart(interval=timedelta(days=1), gateways=gateways)
    async with (
        Worker(clock.client, task_queue=queue, workflows=[CredentialChecksWorkflow]),
        Worker(clock.client, task_queue=gateway_queue(gateways[0]), activities=[check]),
        Worker(clock.client, task_queue=gateway_queue(gateways[1]), activities=[check]),
    ):
        handle = await clock.client.start_workflow(CredentialChecksWorkflow.run, start, id=queue, task_queue=queue)
        await clock.advance(handle, timedelta(hours=23))
        assert asked == []
        await clock.advance(handle, timedelta(days=3))
        await handle.terminate()
    assert asked == gateways * 3
    replayer = Replayer(workflows=[CredentialChecksWorkflow], data_converter=pydantic_data_converter)
    for history in await runs(clock.client, queue):
        await replayer.replay_workflow(history)
