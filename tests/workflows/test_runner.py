"""One setting decides whether workflow code runs in Temporal's sandbox, which refuses code that would not replay."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import pytest
    from temporalio.client import WorkflowHistory
    from temporalio.contrib.pydantic import pydantic_data_converter
    from temporalio.worker import Replayer

    from tests.workflows.record import FOLDER
    from workflows.agreement import AgreementWorkflow
    from workflows.runner import runner

_PATH = FOLDER / "0.3.0" / "clean_cycles-1.json"


@workflow.defn(name=AgreementWorkflow.__name__)
class ReadsTheWallClock:
    @workflow.run
    async def run(self, start: object) -> str:
        return datetime.now(UTC).isoformat()


async def replayed(kind: type, sandboxed: bool, history: WorkflowHistory) -> Exception | None:
    replayer = Replayer(
        workflows=[kind], data_converter=pydantic_data_converter, workflow_runner=runner(sandboxed=sandboxed)
    )
    return (await replayer.replay_workflow(history, raise_on_replay_failure=False)).replay_failure


@pytest.mark.parametrize("sandboxed", [True, False])
async def test_a_recorded_history_replays_either_way(sandboxed: bool) -> None:
    history = WorkflowHistory.from_json(_PATH.stem, _PATH.read_text())
    assert await replayed(AgreementWorkflow, sandboxed, history) is None


@pytest.mark.parametrize(("sandboxed", "refused"), [(True, True), (False, False)])
async def test_only_the_sandbox_refuses_the_wall_clock(
    caplog: pytest.LogCaptureFixture, sandboxed: bool, refused: bool
) -> None:
    """In the first workflow task, which is all there is of this history. It fails, and so is tried again for ever."""
    recorded = json.loads(_PATH.read_text())
    recorded["events"] = recorded["events"][:3]
    await replayed(ReadsTheWallClock, sandboxed, WorkflowHistory.from_json(_PATH.stem, recorded))
    assert ("Cannot access datetime.datetime.now" in caplog.text) is refused
