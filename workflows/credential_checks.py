"""Asks providers every day whether customers still have their cards on file there."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import CHECK_CREDENTIALS, CheckInput, Urgency, gateway_queue
    from workflows.messages import CredentialChecksStart

_ROUNDS_PER_RUN = 100


@workflow.defn
class CredentialChecksWorkflow:
    """One per namespace, for all agreements: a timer in each of them would be paid for by every cycle."""

    @workflow.run
    async def run(self, start: CredentialChecksStart) -> None:
        """Never ends; it continues as new before its history grows long."""
        for _ in range(_ROUNDS_PER_RUN):
            await workflow.sleep(start.interval, summary="until the next check")
            for gateway in start.gateways:
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
        workflow.continue_as_new(start)
