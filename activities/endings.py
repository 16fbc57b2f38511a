"""The step that ends an agreement because its time is over."""

from __future__ import annotations

from temporalio import activity

from activities.contract import STEPS, StepInput
from activities.workbench import Workbench
from agreements import schedule
from agreements.agenda import StepKind
from agreements.standing import Standing
from store import lifecycle


class Endings:
    """What the calendar ends."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=STEPS[StepKind.EXPIRE])
    async def expire(self, step: StepInput) -> Standing:
        """The expiry date is over in the agreement's zone."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            ends_at = schedule.ends_at(change.terms)
            if not change.agreement.ended and ends_at is not None and ends_at <= change.now:
                await lifecycle.expire(change)
        return change.standing
