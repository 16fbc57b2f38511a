"""What Temporal's own history says of one cycle: when it was over, its events, and which of them are billed."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

_AT_ONCE = 16

_ACTIONS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: "workflow started",
    EventType.EVENT_TYPE_TIMER_STARTED: "timer started",
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "activity started",
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: "search attributes written",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: "signal sent",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: "update accepted",
    EventType.EVENT_TYPE_MARKER_RECORDED: "markers recorded",
}
"""Temporal Cloud's billable actions that leave an event (docs.temporal.io/evaluate/cloud/actions). Activity retries are
counted from the event that starts the last attempt; heartbeats leave none, and a clean cycle is too quick for one.
"""


@dataclass(frozen=True)
class Cycle:
    """From one rest of a workflow to the next: the events after its first timer up to and with its second."""

    rested_at: datetime
    over_at: datetime
    events: tuple[str, ...]
    actions: dict[str, int]

    @classmethod
    def of(cls, history: Sequence[HistoryEvent]) -> Cycle | None:
        """None while the workflow has not come to rest twice."""
        rests = [n for n, event in enumerate(history) if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
        if len(rests) < 2:
            return None
        between = history[rests[0] + 1 : rests[1] + 1]
        return cls(
            rested_at=_time(history[rests[0]]),
            over_at=_time(history[rests[1]]),
            events=tuple(_name(event) for event in between),
            actions=dict(actions(between)),
        )

    @property
    def clean(self) -> bool:
        """No news came between, and nothing was tried twice."""
        return "workflow_execution_signaled" not in self.events and not self.actions.get("activity retried")


@dataclass(frozen=True)
class Size:
    """Of a workflow at one moment, as the server counts it."""

    events: int
    bytes: int
    transitions: int

    def __sub__(self, other: Size) -> Size:
        return Size(self.events - other.events, self.bytes - other.bytes, self.transitions - other.transitions)


def actions(events: Iterable[HistoryEvent]) -> Counter[str]:
    """The billable actions among these events, by kind."""
    found: Counter[str] = Counter()
    for event in events:
        if event.event_type in _ACTIONS:
            found[_ACTIONS[event.event_type]] += 1
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            found["activity retried"] += max(event.activity_task_started_event_attributes.attempt - 1, 0)
    return +found


def summary(found: Sequence[tuple[Cycle, Size | None]]) -> dict[str, Any]:
    """What a clean cycle writes, and how many were clean; of all of them where none was."""
    clean = [(cycle, size) for cycle, size in found if cycle.clean] or found
    usual, _ = Counter(cycle.events for cycle, _ in clean).most_common(1)[0]
    sizes = [size for _, size in clean if size is not None]
    return {
        "cycles": len(found),
        "clean_share": round(sum(cycle.clean for cycle, _ in found) / len(found), 4),
        "usual": list(usual),
        "most_events": max(len(cycle.events) for cycle, _ in found),
        "actions": next(cycle.actions for cycle, _ in clean if cycle.events == usual),
        "bytes": statistics.median(size.bytes for size in sizes) if sizes else None,
        "transitions": statistics.median(size.transitions for size in sizes) if sizes else None,
    }


class NotAtRest(Exception):
    """A workflow had not come to rest yet when something fell due."""


async def cycles(temporal: Client, workflow_ids: Sequence[str], due: datetime) -> list[Cycle | None]:
    """The first cycle of each, None where it is not over. Raises NotAtRest where one first rested after `due`."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(id_: str) -> Cycle | None:
        async with places:
            events = temporal.get_workflow_handle(id_).fetch_history_events()
            return Cycle.of(rested_before(due, [event async for event in events]))

    return await asyncio.gather(*(one(id_) for id_ in workflow_ids))


async def size(temporal: Client, workflow_id: str) -> Size:
    """How big its history is now."""
    info = (await temporal.get_workflow_handle(workflow_id).describe()).raw_description.workflow_execution_info
    return Size(info.history_length, info.history_size_bytes, info.state_transition_count)


def rested_before(due: datetime, history: Sequence[HistoryEvent]) -> Sequence[HistoryEvent]:
    """The history as it is. Raises NotAtRest when its first timer was started at `due` or later."""
    timers = (event for event in history if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED)
    first = next(timers, None)
    if first is not None and _time(first) >= due:
        raise NotAtRest
    return history


def _name(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()


def _time(event: HistoryEvent) -> datetime:
    return event.event_time.ToDatetime(tzinfo=UTC)
