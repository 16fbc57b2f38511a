"""How workflow code is run: in Temporal's sandbox, which finds code that would not replay, or straight."""

from __future__ import annotations

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

_OURS = (
    "activities.contract",
    "agreements",
    "workflows.builds",
    "workflows.calls",
    "workflows.details",
    "workflows.messages",
    "workflows.orders",
    "workflows.search_attributes",
)
"""Pure code and frozen shapes: without state of their own they are the same for every workflow, and are read once per
worker instead of once per workflow. The modules that define workflows are not among them.
"""


def runner(*, sandboxed: bool) -> WorkflowRunner:
    """What a worker is given as its `workflow_runner`.

    The sandbox loads a workflow's own module anew for each workflow that enters the worker's cache: about 5 ms of CPU,
    and as much again where Python may not keep bytecode (PYTHONDONTWRITEBYTECODE). After that it costs nothing.
    """
    if not sandboxed:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*_OURS))
