"""The shapes of answers that only the API gives; agreements and charges look as in `agreements/views.py`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from agreements.views import ChargeView, View
from store.pages import Page
from store.tables import DecisionRecord, Event, TestClock

T = TypeVar("T")


class ListView(BaseModel, Generic[T]):
    """A page. `next_cursor` is for the `cursor` parameter (`after` of events) of the next request."""

    model_config = ConfigDict(frozen=True)

    data: list[T]
    has_more: bool
    next_cursor: str | None


class EventView(View):
    """An event, as webhooks bring it."""

    id: str
    type: str
    created_at: datetime
    sequence: int
    livemode: bool
    data: dict[str, Any]


class DecisionView(View):
    """What was decided after a decline and why; `at` is when, `chosen_at` the instant chosen for the next attempt."""

    at: datetime
    action: str
    chosen_at: datetime | None
    rule: str
    rulebook_version: str
    budget_left: int | None
    inputs: dict[str, Any]


class ChargeDetail(ChargeView):
    """A charge with every decision taken about it."""

    decisions: list[DecisionView]


class TimelineEntry(View):
    """One thing that happened (`kind` event) or was decided (`kind` decision). Fields of the other kind are null."""

    kind: str
    at: datetime
    charge: str | None
    cycle: int | None = None
    event: str | None = None
    type: str | None = None
    sequence: int | None = None
    details: dict[str, Any] | None = None
    decision: DecisionView | None = None


class TestClockView(View):
    """A test clock. `ready` means it stands at `now` and everything due by then is done."""

    id: str
    now: datetime
    status: str


def page(found: Page[Any], data: list[T]) -> ListView[T]:
    """The answer for a page of rows that were made into `data`."""
    return ListView(data=data, has_more=found.next_cursor is not None, next_cursor=found.next_cursor)


def event(row: Event) -> EventView:
    """`created_at` is the agreement's own time, as everywhere."""
    return EventView(
        id=row.id, type=row.type, created_at=row.at, sequence=row.sequence, livemode=row.livemode, data=row.data
    )


def decision(row: DecisionRecord) -> DecisionView:
    """A stored decision."""
    return DecisionView(
        at=row.at,
        action=row.action,
        chosen_at=row.chosen_at,
        rule=row.rule,
        rulebook_version=row.rulebook_version,
        budget_left=row.budget_left,
        inputs=row.inputs,
    )


def timeline_entry(row: Event | DecisionRecord, cycles: Mapping[str, int | None]) -> TimelineEntry:
    """An event without its copy of the agreement, or a decision. `cycles` are those of the decisions' charges."""
    if isinstance(row, DecisionRecord):
        cycle = cycles.get(row.charge_id) if row.charge_id else None
        return TimelineEntry(kind="decision", at=row.at, charge=row.charge_id, cycle=cycle, decision=decision(row))
    charge = row.data.get("charge") or {}
    return TimelineEntry(
        kind="event",
        at=row.at,
        charge=charge.get("id"),
        cycle=charge.get("cycle"),
        event=row.id,
        type=row.type,
        sequence=row.sequence,
        details={name: value for name, value in row.data.items() if name not in ("agreement", "charge")},
    )


def test_clock(row: TestClock) -> TestClockView:
    """A clock that has a target is on its way."""
    return TestClockView(id=row.id, now=row.now, status="advancing" if row.target else "ready")
