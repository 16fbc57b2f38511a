"""How workflows have one step done: an activity of one provider call at most, repeated until it works."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel
from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

Answer = TypeVar("Answer", bound=BaseModel)

# One provider call of at most 15 s, with a heartbeat: a worker that dies is noticed long before the call's own limit.
_CALL = timedelta(seconds=30)
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
        start_to_close_timeout=_CALL,
        heartbeat_timeout=_HEARTBEAT,
        retry_policy=_UNTIL_IT_WORKS,
        summary=summary,
        priority=priority,
    )
    return answer
