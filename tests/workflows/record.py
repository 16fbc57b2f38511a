"""Records the scenarios' histories for replay: `python -m tests.workflows.record`.

One folder per released version. Histories are recorded once, before a release, and never again: a workflow that cannot
replay them would break agreements that run in production.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from temporalio.client import Client, WorkflowHandle, WorkflowHistory

from tests.support.clock import WorkflowClock, workflow_clock
from tests.workflows.build_scenarios import BUILD_SCENARIOS
from tests.workflows.chore_scenarios import CHORE_SCENARIOS
from tests.workflows.declaration_scenarios import DECLARATION_SCENARIOS
from tests.workflows.refund_scenarios import REFUND_SCENARIOS
from tests.workflows.scenarios import SCENARIOS


class Playable(Protocol):
    """A scripted life of a workflow."""

    async def play(self, clock: WorkflowClock, **worker_options: int) -> WorkflowHandle[Any, Any]:
        """Plays it to its end."""


EVERY: dict[str, Callable[[], Playable]] = {
    **SCENARIOS,
    **REFUND_SCENARIOS,
    **DECLARATION_SCENARIOS,
    **CHORE_SCENARIOS,
    **BUILD_SCENARIOS,
}
FOLDER = Path(__file__).parent.parent / "histories"


async def runs(client: Client, workflow_id: str) -> list[WorkflowHistory]:
    """The history of every run of a workflow, oldest first: each names the next, while lists lag behind."""
    described = await client.get_workflow_handle(workflow_id).describe()
    run, found = described.raw_info.first_run_id, list[WorkflowHistory]()
    while run:
        found.append(await client.get_workflow_handle(workflow_id, run_id=run).fetch_history())
        run = found[-1].events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return found


async def record(folder: Path) -> None:
    """Plays every scenario and writes one file per run into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    async with workflow_clock() as clock:
        for name, make in EVERY.items():
            handle = await make().play(clock)
            for number, history in enumerate(await runs(clock.client, handle.id), 1):
                text = json.dumps(json.loads(history.to_json()), separators=(",", ":"))
                # Identities and sticky queues carry the name of the machine that recorded them.
                anonymous = text.replace(socket.gethostname(), "recorder")
                (folder / f"{name}-{number}.json").write_text(anonymous + "\n")


if __name__ == "__main__":
    asyncio.run(record(FOLDER / version("autodebit")))
