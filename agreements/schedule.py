"""When each cycle of an agreement is due.

Every date is computed from the anchor, never from the date before it, so a short month or a leap day leaves no trace in
later cycles (payment-rules §3.2). Cycles count from 1. Functions that need a start date raise ValueError without one:
`terms.complete` fills it. Functions about cycles raise ValueError when the terms have no schedule (`has_schedule`).
Dates follow from the terms alone; instants also depend on who is debited and how, so they take a `Plan`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from agreements.terms import Frequency, Terms


class DateRule(StrEnum):
    """What acted on a due date, for the merchant's preview."""

    ANCHOR = "anchor"
    """Every date: counted from the anchor."""
    FIRST_ON_OR_AFTER_START = "first_on_or_after_start"
    """Cycle 1 waits for the payment processing day."""
    SHORT_MONTH = "short_month"
    """The month has no such day: its last day instead."""
    LEAP_DAY = "leap_day"
    """29 February falls on 28 February in a common year."""
    DST_GAP = "dst_gap"
    """The clocks skip the debit time that day: the first instant after the gap."""
    DST_OVERLAP = "dst_overlap"
    """The debit time comes twice that day: the first of them."""


@dataclass(frozen=True, slots=True)
class ForbiddenWindow:
    """Hours in which a payment method's rail takes no debits: from `start` up to, not including, `end`, by the clocks
    of `timezone` (IANA). It wraps midnight when it ends before it starts. `id` names the rule in previews.
    """

    id: str
    timezone: str
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Plan:
    """What an agreement's instants are computed from.

    `key` is the agreement's id, `windows` the forbidden hours of its payment method's rail.
    """

    terms: Terms
    key: str = ""
    windows: tuple[ForbiddenWindow, ...] = ()


class PlannedCycle(BaseModel):
    """One coming cycle: its local date, its instant (UTC), and the rules that acted on it, in the order they acted."""

    model_config = ConfigDict(frozen=True)

    cycle: int
    date: date
    due_at: datetime
    rules: tuple[str, ...]


_MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.SEMI_ANNUALLY: 6, Frequency.YEARLY: 12}
_DAYS = {Frequency.DAILY: 1, Frequency.WEEKLY: 7}
_HALF_MONTH = 15

CATCH_UP = timedelta(days=3)


def today(timezone: str, now: datetime) -> date:
    """The calendar day at `now` in an IANA zone."""
    return now.astimezone(ZoneInfo(timezone)).date()


def has_schedule(terms: Terms) -> bool:
    """Whether debits come by the calendar. Irregular agreements are debited on demand only."""
    return terms.frequency not in (None, Frequency.IRREGULAR)


def cycle_date(terms: Terms, n: int) -> date:
    """The local date of cycle `n`. Raises OverflowError past the year 9999."""
    return _dated(terms, n)[0]


def due_at(plan: Plan, n: int) -> datetime:
    """The instant cycle `n` is due (UTC): the debit time on its date, in the agreement's zone."""
    return local_instant(cycle_date(plan.terms, n), plan.terms.debit_time, plan.terms.timezone)


def local_instant(day: date, clock_time: str, timezone: str) -> datetime:
    """The instant (UTC) of a local "HH:MM": the first valid one after a DST gap, the first of two in an overlap."""
    return _instant(day, clock_time, timezone)[0]


def last_cycle(plan: Plan) -> int | None:
    """The number of cycles the terms allow: total cycles, cut at the expiry date (inclusive). 0 if none fits.

    None without a last one: terms without a schedule, or with neither a total nor an expiry date.
    """
    terms = plan.terms
    if not has_schedule(terms):
        return None
    total, expiry = terms.total_cycles, terms.expiry_date
    if expiry is None:
        return total
    within = _first(lambda n: cycle_date(terms, n) > expiry) - 1
    return within if total is None else min(total, within)


def ends_at(terms: Terms) -> datetime | None:
    """The end of the expiry date (UTC): the first instant of the next local day. None without an expiry date."""
    if terms.expiry_date is None:
        return None
    return local_instant(terms.expiry_date + timedelta(days=1), "00:00", terms.timezone)


def next_cycle_after(plan: Plan, instant: datetime) -> int:
    """The first cycle due after `instant`. It may lie past `last_cycle`: the caller compares."""
    return _first(lambda n: due_at(plan, n) > instant)


def planned(plan: Plan, first: int, count: int) -> list[PlannedCycle]:
    """Up to `count` cycles from `first` on, none past `last_cycle`."""
    last = last_cycle(plan)
    stop = first + count if last is None else min(first + count, last + 1)
    return [_plan(plan.terms, n) for n in range(first, stop)] if has_schedule(plan.terms) else []


def catch_up_limit(terms: Terms) -> timedelta:
    """How long after its due instant a missed cycle may still be collected by itself (payment-rules §3.2 rule 9).

    Three days, and always less than half the period: two hours less, so that the 22-hour day of a DST change is safe.
    """
    days = _fixed_days(terms)
    return CATCH_UP if days is None else min(CATCH_UP, timedelta(days=days) / 2 - timedelta(hours=2))


def _plan(terms: Terms, n: int) -> PlannedCycle:
    day, rules = _dated(terms, n)
    instant, dst = _instant(day, terms.debit_time, terms.timezone)
    return PlannedCycle(cycle=n, date=day, due_at=instant, rules=(*rules, dst) if dst else rules)


def _dated(terms: Terms, n: int) -> tuple[date, tuple[DateRule, ...]]:
    if n < 1:
        raise ValueError(f"cycles count from 1, not {n}")
    if terms.start_date is None:
        raise ValueError("terms without a start date have no dates yet")
    first, first_rules = _first_date(terms.start_date, terms.payment_processing_day)
    days = _fixed_days(terms)
    if days is not None:
        # Without calendar months a date has no day of the month to keep, so only cycle 1 can be clamped.
        return first + timedelta(days=days * (n - 1)), first_rules if n == 1 else (DateRule.ANCHOR,)
    anchor = terms.payment_processing_day or terms.start_date.day
    months, wanted = _month_and_day(terms, anchor, n - 1)
    day, rules = _clamped(first.year, first.month + months, wanted)
    return day, first_rules if n == 1 else rules


def _first_date(start: date, processing_day: int | None) -> tuple[date, tuple[DateRule, ...]]:
    """The first date on or after `start` whose day is the processing day, clamped in short months; else `start`."""
    if processing_day is None:
        return start, (DateRule.ANCHOR,)
    day, rules = _clamped(start.year, start.month, processing_day)
    if day < start:
        day, rules = _clamped(start.year, start.month + 1, processing_day)
    return day, rules if day == start else (*rules, DateRule.FIRST_ON_OR_AFTER_START)


def _month_and_day(terms: Terms, anchor: int, periods: int) -> tuple[int, int]:
    """Months after cycle 1's month, and the day wanted in that month, `periods` periods after cycle 1."""
    if terms.frequency is not Frequency.SEMI_MONTHLY:
        if terms.frequency not in _MONTHS:
            raise ValueError(f"a frequency of {terms.frequency} has no due dates")
        return _MONTHS[terms.frequency] * periods, anchor
    early = anchor if anchor <= _HALF_MONTH else anchor - _HALF_MONTH
    months, late = divmod(periods + (anchor > _HALF_MONTH), 2)
    return months, early + _HALF_MONTH * late


def _clamped(year: int, month: int, day: int) -> tuple[date, tuple[DateRule, ...]]:
    """A day of a month (months past 12 run into later years), or the month's last day where it has no such day."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    if year > date.max.year:
        raise OverflowError("the schedule runs past the year 9999")
    length = monthrange(year, month)[1]
    if day <= length:
        return date(year, month, day), (DateRule.ANCHOR,)
    rule = DateRule.LEAP_DAY if (month, day) == (2, 29) else DateRule.SHORT_MONTH
    return date(year, month, length), (DateRule.ANCHOR, rule)


def _fixed_days(terms: Terms) -> int | None:
    """The period in days where it is always the same."""
    if terms.frequency is Frequency.OTHER:
        if terms.cycle_interval_days is None:
            raise ValueError("frequency other needs cycle_interval_days")
        return terms.cycle_interval_days
    return None if terms.frequency is None else _DAYS.get(terms.frequency)


def _instant(day: date, clock_time: str, timezone: str) -> tuple[datetime, DateRule | None]:
    zone = ZoneInfo(timezone)
    local = datetime.combine(day, time.fromisoformat(clock_time), zone)
    utc, late = local.astimezone(UTC), local.replace(fold=1)
    if local.utcoffset() == late.utcoffset():
        return utc, None
    if utc.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return utc, DateRule.DST_OVERLAP
    # In a gap the two readings lie on either side of the change of clocks.
    return _clock_change(late.astimezone(UTC), utc, zone), DateRule.DST_GAP


def _clock_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC, whole seconds) between the two at which the zone's offset changes."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _first(holds: Callable[[int], bool]) -> int:
    """The smallest cycle for which a condition holds that, once true, stays true."""
    high = 1
    while not holds(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
