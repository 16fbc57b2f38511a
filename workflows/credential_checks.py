"""Asks providers every day whether customers still have their cards on file there."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import CHECK_CREDENTIALS, CheckInput, Urgency, gateway_queue
    from workflows import builds
    from workflows.messages import CredentialChecksStart

_ROUNDS_PER_RUN = 100


@workflow.defn
class CredentialChecksWorkflow:
    """One per namespace, for all agreements: a timer in each of them would be paid for by every cycle."""

    @workflow.init
    def __init__(self, start: CredentialChecksStart) -> None:
        self._next_at = start.next_at or workflow.now() + start.interval
        self._nudged = False

    @workflow.run
    async def run(self, start: CredentialChecksStart) -> None:
        """Never ends; it continues as new before its history grows long, and when nudged to another build."""
        for _ in range(_ROUNDS_PER_RUN):
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._nudged, timeout=self._next_at - workflow.now(), timeout_summary="until the next check"
                )
            if self._nudged:
                break
            for gateway in start.gateways:
                await self._check(gateway)
            self._next_at = workflow.now() + start.interval
        builds.continue_as_new(start.model_copy(update={"next_at": self._next_at}))

    async def _check(self, gateway: str) -> None:
        await workflow.execute_activity(
            CHECK_CREDENTIALS,
            CheckInput(gateway=gateway),
            task_queue=gateway_queue(gateway),
            start_to_close_timeout=timedelta(hours=20),
            heartbeat_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=10)),
            summary=f"ask {gateway} which credentials are still on file",
            priority=Priority(priority_key=Urgency.BACKFILL),
        )

    @workflow.signal
    def nudge(self) -> None:
        """Another build of the worker is wanted: the next check is to be done by it."""
        self._nudged = True
