"""Promise 9 across releases: what running agreements have done, the present code does again, step for step."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.support.clock import WorkflowClock
from tests.support.house import House, Shop
from tests.workflows.record import EVERY, FOLDER, runs
from worker import WORKFLOWS

RECORDED = sorted(FOLDER.glob("*/*.json"))


def replayer(converter: DataConverter = pydantic_data_converter) -> Replayer:
    return Replayer(workflows=WORKFLOWS, data_converter=converter)


def test_every_scenario_was_recorded() -> None:
    """In some release; what came later has no history in the earlier ones."""
    assert {path.name.rpartition("-")[0] for path in RECORDED} == set(EVERY)
    assert len([path for path in RECORDED if path.stem.startswith("long_history")]) > 1


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_history_replays(path: Path) -> None:
    await replayer().replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))


async def test_a_history_that_went_another_way_does_not_replay() -> None:
    """Else the tests around it could not fail."""
    path = next(path for path in RECORDED if path.stem == "refresh-1")
    went_another_way = json.loads(path.read_text())
    for event in went_another_way["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled and scheduled["activityType"]["name"] == "refresh":
            scheduled["activityType"]["name"] = "charge"
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(WorkflowHistory.from_json(path.stem, went_another_way))


@pytest.mark.parametrize("name", EVERY)
async def test_a_scenario_plays_without_a_cache_and_replays(clock: WorkflowClock, name: str) -> None:
    """Without a cache every workflow task starts from the first event again: a determinism test at each step."""
    handle = await EVERY[name]().play(clock, max_cached_workflows=0)
    for history in await runs(clock.client, handle.id):
        await replayer().replay_workflow(history)


async def test_every_history_of_this_session_replays(house: House, shop: Shop) -> None:
    """Those of the tests that ran before, and a quarter with a decline and a lost answer."""
    clock = await shop.clock("2027-01-31T00:00:00Z")
    script = "insufficient_funds,success,lost_answer_success,success"
    agreement = await shop.agree(clock, script=script, terms={"total_cycles": 3})
    await shop.advance(clock, "2027-05-01T00:00:00Z")
    assert (await shop.read(agreement))["status"] == "completed"
    kinds = ", ".join(f"'{kind.__name__}'" for kind in WORKFLOWS)
    histories = begun(house.temporal.list_workflows(f"WorkflowType IN ({kinds})").map_histories())
    replayed = await replayer(house.temporal.data_converter).replay_workflows(histories, raise_on_replay_failure=False)
    assert {run: repr(failure) for run, failure in replayed.replay_failures.items()} == {}


async def begun(histories: AsyncIterator[WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    """Those a worker has seen: of a run that waits for its first worker, the replayer waits for the first task, too."""
    async for history in histories:
        if any(event.HasField("workflow_task_started_event_attributes") for event in history.events):
            yield history
