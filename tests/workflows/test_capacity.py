"""What a worker takes on at once lies between a floor and a ceiling, and the machine's CPU and memory say where.

How the readings are weighed in between is Temporal's own; what is ours is that every kind of task goes by them, by the
same targets, and within bounds that fit.
"""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from temporalio.worker import FixedSizeSlotSupplier, ResourceBasedSlotSupplier, WorkerTuner

from activities.capacity import LEAST, LEAST_WEBHOOKS, MOST, MOST_WEBHOOKS, activities_at_once

SLOTS = st.integers(1, 1000)


def by_the_machine(tuner: WorkerTuner) -> tuple[ResourceBasedSlotSupplier, ResourceBasedSlotSupplier]:
    """Of activities, and of workflow tasks."""
    activities, workflow_tasks = tuner._get_activity_task_slot_supplier(), tuner._get_workflow_task_slot_supplier()
    assert isinstance(activities, ResourceBasedSlotSupplier)
    assert isinstance(workflow_tasks, ResourceBasedSlotSupplier)
    return activities, workflow_tasks


@given(most=SLOTS, least=SLOTS)
@example(most=1, least=LEAST)
@example(most=MOST, least=LEAST)
@example(most=MOST_WEBHOOKS, least=LEAST_WEBHOOKS)
def test_slots_follow_the_machine_between_a_floor_and_a_ceiling(most: int, least: int) -> None:
    tuner = activities_at_once(most, least)
    activities, workflow_tasks = by_the_machine(tuner)
    assert activities.slot_config.maximum_slots == most
    assert activities.slot_config.minimum_slots == min(most, least), "never above the ceiling"
    assert (workflow_tasks.slot_config.minimum_slots, workflow_tasks.slot_config.maximum_slots) == (LEAST, 100)
    tuner._to_bridge_tuner()  # raises for what Temporal does not take


def test_a_machine_nine_tenths_busy_is_given_nothing_beyond_the_floor() -> None:
    """By CPU and by memory alike, and by one measure for all, which Temporal asks for."""
    targets = {supplier.tuner_config for tuner in (activities_at_once(), activities_at_once(MOST_WEBHOOKS))
               for supplier in by_the_machine(tuner)}  # fmt: skip
    [target] = targets
    assert (target.target_cpu_usage, target.target_memory_usage) == (0.9, 0.9)


def test_what_we_do_not_use_keeps_a_few_slots_only() -> None:
    tuner = activities_at_once()
    for supplier in (tuner._get_local_activity_task_slot_supplier(), tuner._get_nexus_slot_supplier()):
        assert isinstance(supplier, FixedSizeSlotSupplier)
        assert supplier.num_slots == LEAST
