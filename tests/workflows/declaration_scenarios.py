"""Scripted lives of a customs declaration: played by tests, recorded for replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from activities.contract import DECLARE, DeclarationInput, gateway_queue
from agreements.declarations import DeclarationStanding, DeclarationStatus
from tests.support.clock import WorkflowClock
from workflows.declaration import DeclarationWorkflow
from workflows.messages import DeclarationStart, declaration_workflow_id

Handle = WorkflowHandle[DeclarationWorkflow, DeclarationStatus]


@dataclass(frozen=True)
class DeclarationScenario:
    """Where a declaration starts, and what its calls answer."""

    first: DeclarationStanding
    calls: list[DeclarationStanding]

    async def play(self, clock: WorkflowClock, **worker_options: int) -> Handle:
        """Plays it to its end on workers of its own; every call must come, and none beside them."""
        coming = list(self.calls)

        @activity.defn(name=DECLARE)
        async def call(given: DeclarationInput) -> DeclarationStanding:
            assert given.declaration_id == self.first.declaration_id
            return coming.pop(0)

        queue, id_ = f"declarations-{uuid4().hex}", declaration_workflow_id(self.first.declaration_id)
        async with (
            Worker(clock.client, task_queue=queue, workflows=[DeclarationWorkflow], **worker_options),  # type: ignore[arg-type]
            Worker(clock.client, task_queue=gateway_queue(self.first.gateway), activities=[call]),
        ):
            start = DeclarationStart(declaration=self.first)
            handle: Handle = await clock.client.start_workflow(DeclarationWorkflow.run, start, id=id_, task_queue=queue)
            await clock.advance(handle, timedelta(days=2))
            assert await handle.result() is DeclarationStatus.SUCCEEDED
        assert coming == []
        return handle


def declared_and_asked_about() -> DeclarationScenario:
    """Taken by the provider, and cleared by customs a day later."""
    now = datetime.now(UTC)
    first = DeclarationStanding(
        declaration_id=f"dcl_{uuid4().hex}",
        agreement_id="agr_1",
        merchant_id="mer_1",
        gateway=f"scripted-{uuid4().hex}",
        title="declare CNY 88.00 at customs",
        status=DeclarationStatus.PENDING,
        as_of=now,
        next_at=now,
    )
    taken = first.model_copy(update={"next_at": now + timedelta(days=1)})
    cleared = taken.model_copy(update={"status": DeclarationStatus.SUCCEEDED, "next_at": None})
    return DeclarationScenario(first, [taken, cleared])


DECLARATION_SCENARIOS: dict[str, Callable[[], DeclarationScenario]] = {
    declared_and_asked_about.__name__: declared_and_asked_about
}
