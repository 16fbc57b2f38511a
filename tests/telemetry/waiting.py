"""A workflow that takes a step when it starts, one an hour later, and one when it is told to."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
async def step() -> None:
    """Does nothing."""


@workflow.defn
class WaitingWorkflow:
    """Stands for an agreement."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self) -> None:
        """Ends after the third step."""
        await self._step()
        await workflow.sleep(timedelta(hours=1))
        await self._step()
        await workflow.wait_condition(lambda: self._told)
        await self._step()

    @workflow.signal
    def tell(self) -> None:
        """Somebody asks for the third."""
        self._told = True

    async def _step(self) -> None:
        await workflow.execute_activity(step, start_to_close_timeout=timedelta(seconds=10))
