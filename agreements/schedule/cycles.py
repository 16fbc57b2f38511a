"""Which cycle is due when, how many there are, and which comes next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from agreements.schedule import business_days
from agreements.schedule.anchors import anchored, has_schedule
from agreements.schedule.business_days import REACH
from agreements.schedule.dates import cycle_date, dated
from agreements.schedule.instants import debit_instant, ends_at, today
from agreements.schedule.plan import DateRule, Plan, PlannedCycle
from agreements.terms import Roll

_ROLLS = {rule for rule in DateRule if rule.startswith("roll_")}
_NEARBY = 3
"""Days between a cycle's date and its instant's local day: a day a zone left out, windows that wrap midnight."""


def due_at(plan: Plan, n: int) -> datetime:
    """The instant cycle `n` is due (UTC): the debit time on its local date, with the agreement's jitter, moved out of
    forbidden windows.
    """
    return debit_instant(plan, cycle_date(plan.terms, n))[0]


def last_cycle(plan: Plan) -> int | None:
    """The number of cycles the terms allow: total cycles, cut at the expiry date (inclusive). 0 if none fits.

    A cycle whose first allowed instant comes only after the expiry date does not fit. None without a last one: terms
    without a schedule, or with neither a total nor an expiry date.
    """
    terms = plan.terms
    end = ends_at(terms)
    if not has_schedule(terms) or terms.expiry_date is None or end is None:
        return terms.total_cycles if has_schedule(terms) else None
    expiry = terms.expiry_date
    last = _first(lambda n: anchored(terms, n)[0] > expiry) - 1
    if terms.total_cycles is not None:
        last = min(terms.total_cycles, last)
    while last > 0 and due_at(plan, last) >= end:
        last -= 1
    return last


def next_cycle_after(plan: Plan, instant: datetime) -> int:
    """The first cycle due after `instant`. It may lie past `last_cycle`: the caller compares."""
    terms = plan.terms
    reach = _NEARBY if terms.business_days.roll is Roll.NONE else _NEARBY + REACH
    early = today(terms.timezone, instant) - timedelta(days=reach)
    n = _first(lambda n: anchored(terms, n)[0] >= early)
    while due_at(plan, n) <= instant:
        n += 1
    return n


def planned(plan: Plan, first: int, count: int) -> list[PlannedCycle]:
    """Up to `count` cycles from `first` on, none past `last_cycle`."""
    last = last_cycle(plan)
    stop = first + count if last is None else min(first + count, last + 1)
    return [_planned(plan, n) for n in range(first, stop)] if has_schedule(plan.terms) else []


def _planned(plan: Plan, n: int) -> PlannedCycle:
    day, rules = dated(plan.terms, n)
    instant, later_rules = debit_instant(plan, day)
    calendar = plan.terms.business_days.calendar
    return PlannedCycle(
        cycle=n,
        date=day,
        due_at=instant,
        rules=(*rules, *later_rules),
        calendar=business_days.edition(calendar) if calendar and not _ROLLS.isdisjoint(rules) else None,
    )


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
