"""Scripted rounds of the workflows that keep house: played by tests, recorded for replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from activities.contract import (
    ADVANCE_CLOCK,
    AUDIT,
    CHECK_CREDENTIALS,
    RECONCILE,
    SWEEP,
    CheckInput,
    ClockInput,
    gateway_queue,
)
from tests.support.clock import WorkflowClock
from workflows.audits import AuditsWorkflow
from workflows.credential_checks import CredentialChecksWorkflow
from workflows.messages import CredentialChecksStart
from workflows.reconciliation import ReconciliationWorkflow
from workflows.sweeper import SweeperWorkflow
from workflows.test_clock import TestClockWorkflow

ROUNDS = 2
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Rounds:
    """What a workflow has done over and over, until it is ended from outside, unless it `ends` by itself."""

    kind: type
    start: Any
    every: timedelta
    gateway: str = field(default_factory=lambda: f"scripted-{uuid4().hex}")
    ends: bool = False
    done: list[str] = field(default_factory=list)

    def _activities(self) -> list[Callable[..., object]]:
        @activity.defn(name=SWEEP)
        async def sweep() -> None:
            self.done.append(SWEEP)

        @activity.defn(name=CHECK_CREDENTIALS)
        async def check(given: CheckInput) -> None:
            self.done.append(given.gateway)

        @activity.defn(name=ADVANCE_CLOCK)
        async def advance(given: ClockInput) -> None:
            self.done.append(given.clock_id)

        @activity.defn(name=AUDIT)
        async def audit() -> None:
            self.done.append(AUDIT)

        @activity.defn(name=RECONCILE)
        async def reconcile() -> None:
            self.done.append(RECONCILE)

        return [sweep, check, advance, audit, reconcile]

    async def play(self, clock: WorkflowClock, **worker_options: int) -> WorkflowHandle[Any, Any]:
        """Plays two rounds of it, or its end, on workers of its own."""
        queue, activities = f"chores-{uuid4().hex}", self._activities()
        async with (
            Worker(clock.client, task_queue=queue, workflows=[self.kind], activities=activities, **worker_options),  # type: ignore[arg-type]
            Worker(clock.client, task_queue=gateway_queue(self.gateway), activities=activities),
        ):
            handle = await clock.client.start_workflow(self.kind.__name__, self.start, id=queue, task_queue=queue)
            if self.ends:
                await handle.result()
            else:
                await clock.advance(handle, self.every * ROUNDS + self.every / 2)
                await handle.terminate()
        assert len(self.done) >= (1 if self.ends else ROUNDS)
        return handle


def swept() -> Rounds:
    """Work left behind by a crash is looked for."""
    return Rounds(SweeperWorkflow, DAY, DAY)


def checked() -> Rounds:
    """A provider is asked daily who still has a card on file."""
    gateway = f"scripted-{uuid4().hex}"
    return Rounds(CredentialChecksWorkflow, CredentialChecksStart(interval=DAY, gateways=[gateway]), DAY, gateway)


def clock_moved() -> Rounds:
    """A test clock reaches its target."""
    return Rounds(TestClockWorkflow, ClockInput(clock_id="clk_1"), DAY, ends=True)


def audited() -> Rounds:
    """The ledger is audited."""
    return Rounds(AuditsWorkflow, DAY, DAY)


def reconciled() -> Rounds:
    """Settlement files that have arrived are reconciled."""
    return Rounds(ReconciliationWorkflow, DAY, DAY)


CHORE_SCENARIOS: dict[str, Callable[[], Rounds]] = {
    make.__name__: make for make in (swept, checked, clock_moved, audited, reconciled)
}
