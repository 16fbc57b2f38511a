"""Looks every day for settlement files that providers have delivered, and has them reconciled."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import RECONCILE
    from workflows import builds

_ROUNDS_PER_RUN = 100


@workflow.defn
class ReconciliationWorkflow:
    """One per namespace. Everything it does is safe to do twice."""

    @workflow.run
    async def run(self, interval: timedelta) -> None:
        """Never ends; it continues as new before its history grows long, or when another build is wanted."""
        for _ in range(_ROUNDS_PER_RUN):
            await workflow.execute_activity(
                RECONCILE,
                start_to_close_timeout=timedelta(hours=6),
                heartbeat_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=10)),
                summary="reconcile settlement files that have arrived",
            )
            await workflow.sleep(interval, summary="until the next look")
            if builds.another_build_is_wanted():
                break
        builds.continue_as_new(interval)
