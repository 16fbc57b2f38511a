"""How workflow code is run: in Temporal's sandbox, which finds code that would not replay, or straight."""

from __future__ import annotations

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

_OURS = (
    "activities.contract",
    "agreements",
    "workflows.details",
    "workflows.messages",
    "workflows.orders",
    "workflows.search_attributes",
)
"""Pure code and frozen shapes: without state of their own they are the same for every workflow, and are read once per
worker instead of once per workflow. The modules that define workflows are not among them.
"""


def runner(*, sandboxed: bool) -> WorkflowRunner:
    """What a worker is given as its `workflow_runner`. The sandbox costs 4 to 6 ms of CPU per workflow that is taken
    into the worker's cache, and nothing after that.
    """
    if not sandboxed:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*_OURS))
