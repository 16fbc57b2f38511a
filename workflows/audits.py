"""Has the ledger audited against its invariants, for ever."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import AUDIT
    from workflows import builds

_ROUNDS_PER_RUN = 200


@workflow.defn
class AuditsWorkflow:
    """One per namespace, apart from the sweeper: an audit that takes long must not hold up a sweep."""

    @workflow.run
    async def run(self, interval: timedelta) -> None:
        """Never ends; it continues as new before its history grows long, or when another build is wanted."""
        for _ in range(_ROUNDS_PER_RUN):
            await workflow.sleep(interval, summary="until the next audit")
            await workflow.execute_activity(
                AUDIT,
                start_to_close_timeout=timedelta(hours=1),
                heartbeat_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=5)),
                summary="audit the ledger",
            )
            if builds.another_build_is_wanted():
                break
        builds.continue_as_new(interval)
