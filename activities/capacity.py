"""How much a worker takes on at once: no more than its machine gets done in time.

What is taken on runs against clocks: a heartbeat's, ten seconds or thirty in all, a provider's patience. A worker that
takes on everything it is offered while its machine is busy finishes little of it in time, is given the rest again, and
gets slower still. What it leaves in the queue waits there, in order, or goes to a worker that has time.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.worker import (
    FixedSizeSlotSupplier,
    ResourceBasedSlotConfig,
    ResourceBasedSlotSupplier,
    ResourceBasedTunerConfig,
    WorkerTuner,
)

LEAST = 8
"""Also on a busy machine: providers are waited for without doing anything."""
MOST = 50
"""Of what is no call to a provider."""

LEAST_WEBHOOKS, MOST_WEBHOOKS = 50, 200
"""A receiver that hangs is waited for up to 15 seconds, at no cost; more of them than one have places here."""

_BUSY = ResourceBasedTunerConfig(target_memory_usage=0.9, target_cpu_usage=0.9)
_RAMP = timedelta(milliseconds=5)
_MOST_WORKFLOW_TASKS = 100
"""Ten seconds are all that one of them has."""


def activities_at_once(most: int = MOST, least: int = LEAST) -> WorkerTuner:
    """`least` on a machine nine tenths busy, up to `most` on one that is not; workflow tasks likewise."""
    return WorkerTuner.create_composite(
        workflow_supplier=_up_to(_MOST_WORKFLOW_TASKS),
        activity_supplier=_up_to(most, least),
        local_activity_supplier=FixedSizeSlotSupplier(LEAST),
        nexus_supplier=FixedSizeSlotSupplier(LEAST),
    )


def _up_to(most: int, least: int = LEAST) -> ResourceBasedSlotSupplier:
    slots = ResourceBasedSlotConfig(minimum_slots=min(least, most), maximum_slots=most, ramp_throttle=_RAMP)
    return ResourceBasedSlotSupplier(slots, _BUSY)
