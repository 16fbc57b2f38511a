"""How workflows have one step done: by one activity, repeated until it works."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel
from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

Answer = TypeVar("Answer", bound=BaseModel)

LONGEST_STEP = timedelta(seconds=30)
"""Two provider calls at most, each within `settings.LONGEST_CALL`."""
# A worker that dies is noticed long before that.
_HEARTBEAT = timedelta(seconds=10)
_UNTIL_IT_WORKS = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)


async def done(
    activity: str,
    argument: BaseModel,
    answers: type[Answer],
    summary: str,
    *,
    task_queue: str | None = None,
    priority: Priority = Priority.default,
) -> Answer:
    """The answer of an activity, however often it had to be tried; `task_queue` None is the workflow's own."""
    answer: Answer = await workflow.execute_activity(
        activity,
        argument,
        result_type=answers,
        task_queue=task_queue,
        start_to_close_timeout=LONGEST_STEP,
        heartbeat_timeout=_HEARTBEAT,
        retry_policy=_UNTIL_IT_WORKS,
        summary=summary,
        priority=priority,
    )
    return answer
