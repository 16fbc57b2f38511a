"""What a schedule is computed from, and what it says: the plan, and a cycle with the rules that acted on its date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agreements.terms import Terms, TimeZone


class DateRule(StrEnum):
    """What acted on a due date, for the merchant's preview. A forbidden window acts under its own id."""

    ANCHOR = "anchor"
    """Every date: counted from the anchor."""
    FIRST_ON_OR_AFTER_START = "first_on_or_after_start"
    """Cycle 1 waits for the payment processing day."""
    LAST_DAY = "last_day"
    """The payment processing day is the month's last, whichever that is."""
    SHORT_MONTH = "short_month"
    """The month has no such day: its last day instead."""
    LEAP_DAY = "leap_day"
    """29 February falls on 28 February in a common year."""
    ROLL_FOLLOWING = "roll_following"
    """A weekend or holiday: the next business day."""
    ROLL_PRECEDING = "roll_preceding"
    """A weekend or holiday: the business day before."""
    ROLL_MODIFIED_FOLLOWING = "roll_modified_following"
    """A weekend or holiday, and the next business day lies in another month: the business day before."""
    ROLL_REVERSED = "roll_reversed"
    """A weekend or holiday without a business day on the wanted side inside the terms: the other side's."""
    ROLL_IMPOSSIBLE = "roll_impossible"
    """A weekend or holiday that stays: the terms hold no business day near it, or only one that is another cycle's."""
    JITTER = "jitter"
    """The agreement's own second of the debit window."""
    DST_GAP = "dst_gap"
    """The clocks skip the debit time that day: the first instant after the gap."""
    DST_OVERLAP = "dst_overlap"
    """The debit time comes twice that day: the first of them."""


class ForbiddenWindow(BaseModel):
    """Hours in which a payment method's rail takes no debits: from `start` up to, not including, `end`, by the clocks
    of `timezone`. It wraps midnight when it ends before it starts. `id` names the rule in previews.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=64)]
    timezone: TimeZone
    start: Annotated[time, Field(strict=True)]
    end: Annotated[time, Field(strict=True)]

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.start == self.end:
            raise ValueError("start and end are the same")
        return self


@dataclass(frozen=True, slots=True)
class Plan:
    """What an agreement's instants are computed from.

    `key` is the agreement's id, `windows` the forbidden hours of its payment method's rail.
    """

    terms: Terms
    key: str = ""
    windows: tuple[ForbiddenWindow, ...] = ()


class PlannedCycle(BaseModel):
    """One coming cycle: its local date, its instant (UTC), and the rules that acted on it, in the order they acted.

    `calendar` says by which holidays the date was rolled, with the version of the data; null where none acted.
    """

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    cycle: int
    date: date
    due_at: datetime
    rules: tuple[str, ...]
    calendar: str | None = None
