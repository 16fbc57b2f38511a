"""Which build of the worker a run goes on with, where workers have versions (docs/upgrades.md).

A run is pinned to the build its first task was done by, and its next run may begin on the build that is wanted by then:
code changes between runs, never under one. Without versions nothing here has any effect.
"""

from __future__ import annotations

from typing import Any, NoReturn

from temporalio import workflow
from temporalio.workflow import ContinueAsNewVersioningBehavior


def another_build_is_wanted() -> bool:
    """Whether new runs would begin on another build than this one, be it newer or, after a rollback, older."""
    return workflow.info().is_target_worker_deployment_version_changed()


def continue_as_new(start: Any) -> NoReturn:
    """The next run, on the build that is wanted now. Callers do so only when something has happened in this one: then
    no state of Temporal's routing can make a workflow roll over and over.
    """
    wanted = ContinueAsNewVersioningBehavior.AUTO_UPGRADE if another_build_is_wanted() else None
    workflow.continue_as_new(start, initial_versioning_behavior=wanted)
