"""A test clock on its way: the only mover of its time, so that a crash in the middle merely delays it."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contract import ADVANCE_CLOCK, ClockInput

_LONGEST = timedelta(hours=6)


@workflow.defn
class TestClockWorkflow:
    """Runs everything due up to the target, in order, each at its own virtual instant (design §3)."""

    __test__ = False

    def __init__(self) -> None:
        self._asked = True

    @workflow.run
    async def run(self, clock: ClockInput) -> None:
        """Ends when the clock stands at its target and everything is quiet; a repeat goes on from the clock's row."""
        while self._asked:
            self._asked = False
            await workflow.execute_activity(
                ADVANCE_CLOCK,
                clock,
                start_to_close_timeout=_LONGEST,
                heartbeat_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10)),
                summary="run everything that falls due on the way",
            )

    @workflow.signal
    def advance(self) -> None:
        """A new target is on the clock's row. It may have come when the last one was reached, but this run not over."""
        self._asked = True
