"""Lives that go over to another build of the worker: played by tests, recorded for replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.contract import STEPS, StepInput, gateway_queue
from agreements.agenda import StepKind
from agreements.standing import Standing
from tests.support.clock import WorkflowClock
from tests.workflows.support import closed, due, standing
from workflows import deployments
from workflows.agreement import AgreementWorkflow
from workflows.credential_checks import CredentialChecksWorkflow
from workflows.messages import AgreementStart, CredentialChecksStart

MONTH = timedelta(days=30)


async def promoted(client: Client, deployment: str, build: str) -> None:
    """Waits for the build's workers, and until every queue knows."""
    async with asyncio.timeout(90):
        while True:
            try:
                await deployments.promote(client, deployment, build)
                break
            except deployments.NotThere:
                await asyncio.sleep(0.1)
        while not (await deployments.describe(client, deployment)).settled:
            await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Moved:
    """A workflow at rest is nudged from one build to the next, and goes on there."""

    kind: type
    start: Any
    ends: bool

    @activity.defn(name=STEPS[StepKind.CHARGE])
    async def charge(self, given: StepInput) -> Standing:
        return closed(self.start.standing)

    async def play(self, clock: WorkflowClock, **worker_options: int) -> WorkflowHandle[Any, Any]:
        """Plays it to its end, or until it rests again."""
        client, deployment, queue = clock.client, f"d-{uuid4().hex}", f"moved-{uuid4().hex}"
        gateway = self.start.standing.agreement.gateway if self.ends else queue

        def workers(build: str) -> tuple[Worker, Worker]:
            version = deployments.config(deployment, build)
            return (
                Worker(client, task_queue=queue, workflows=[self.kind], deployment_config=version, **worker_options),  # type: ignore[arg-type]
                Worker(client, task_queue=gateway_queue(gateway), activities=[self.charge], deployment_config=version),
            )

        older, newer = workers("1.0"), workers("2.0")
        async with older[0], older[1], newer[0], newer[1]:
            await promoted(client, deployment, "1.0")
            handle = await client.start_workflow(self.kind.__name__, self.start, id=queue, task_queue=queue)
            await self._at_rest(handle, 1)
            await promoted(client, deployment, "2.0")
            await handle.signal(AgreementWorkflow.nudge.__name__)
            await self._at_rest(handle, 2)
            if self.ends:
                await clock.advance(handle, MONTH * 2)
                await handle.result()
            else:
                await handle.terminate()
        return handle

    async def _at_rest(self, handle: WorkflowHandle[Any, Any], run: int) -> None:
        """Until the run has set its timer."""
        async with asyncio.timeout(90):
            while True:
                info = (await handle.describe()).raw_info
                if (info.first_run_id != info.execution.run_id) is (run > 1) and info.history_length > 4:
                    return
                await asyncio.sleep(0.05)


def agreement_on_another_build() -> Moved:
    """With a debit to come."""
    now = datetime.now(UTC)
    first = standing(now, charges=(due(1, now + MONTH),), next_charge_at=now + MONTH)
    return Moved(AgreementWorkflow, AgreementStart(standing=first), ends=True)


def checks_on_another_build() -> Moved:
    """Between two checks."""
    return Moved(CredentialChecksWorkflow, CredentialChecksStart(interval=MONTH, gateways=["antom"]), ends=False)


BUILD_SCENARIOS: dict[str, Callable[[], Moved]] = {
    make.__name__: make for make in (agreement_on_another_build, checks_on_another_build)
}
