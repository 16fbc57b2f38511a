"""Looks for work that a crash left between a commit and its consequence, and has it taken up."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import SWEEP
    from workflows import builds

_ROUNDS_PER_RUN = 200


@workflow.defn
class SweeperWorkflow:
    """One per namespace. Everything it does is safe to do twice."""

    def __init__(self) -> None:
        self._asked = False

    @workflow.run
    async def run(self, interval: timedelta) -> None:
        """Never ends; it continues as new before its history grows long, or when another build is wanted."""
        for _ in range(_ROUNDS_PER_RUN):
            self._asked = False
            await workflow.execute_activity(
                SWEEP,
                start_to_close_timeout=timedelta(minutes=1),
                heartbeat_timeout=timedelta(seconds=10),  # a sweep that dies with its worker must not hold up the next
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
                summary="start what was left behind",
            )
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._asked, timeout=interval, timeout_summary="until the next sweep"
                )
            if builds.another_build_is_wanted():
                break
        builds.continue_as_new(interval)

    @workflow.signal(description="sweep now, for something that should not wait")
    def hurry(self) -> None:
        """A stop switch was turned: running agreements are to be told within seconds."""
        self._asked = True
