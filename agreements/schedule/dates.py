"""The local date of a cycle: its anchor's, moved to a business day where the terms want that.

A roll stays between start and expiry date, both included. Of two cycles that would fall on one business day both stay
where they are: rolling keeps the order of the anchors' dates, so each period keeps exactly one debit.
"""

from __future__ import annotations

from datetime import date

from agreements.schedule import business_days
from agreements.schedule.anchors import Dated, anchored, fixed_days
from agreements.schedule.business_days import REACH
from agreements.schedule.plan import DateRule
from agreements.terms import LAST, Roll, Terms


def cycle_date(terms: Terms, n: int) -> date:
    """The local date of cycle `n`. Raises OverflowError past the year 9999."""
    return dated(terms, n)[0]


def roll_mode(terms: Terms) -> Roll:
    """The last day of the month rolls backwards or not at all: forwards it would leave its month (payment-rules §3.2
    rule 5).
    """
    mode = terms.business_days.roll
    last = terms.payment_processing_day == LAST and fixed_days(terms) is None
    return Roll.PRECEDING if last and mode is not Roll.NONE else mode


def dated(terms: Terms, n: int) -> Dated:
    """The date of cycle `n` and the rules that made it. A cycle past the expiry date is not rolled."""
    day, rules = anchored(terms, n)
    if terms.business_days.roll is Roll.NONE or _is_open(terms, day) or not _exists(terms, n, day):
        return day, rules
    target, rule = _rolled(terms, day)
    if rule is None or any(_rolls_to(terms, other, target) for other in (n - 1, n + 1)):
        return day, (*rules, DateRule.ROLL_IMPOSSIBLE)
    return target, (*rules, rule)


def _rolled(terms: Terms, day: date) -> tuple[date, DateRule | None]:
    first, last = terms.start_date or date.min, terms.expiry_date or date.max
    return business_days.rolled(day, roll_mode(terms), lambda found: first <= found <= last and _is_open(terms, found))


def _rolls_to(terms: Terms, n: int, target: date) -> bool:
    if n < 1:
        return False
    day, _ = anchored(terms, n)
    return abs(day - target).days <= REACH and _exists(terms, n, day) and _rolled(terms, day)[0] == target


def _exists(terms: Terms, n: int, day: date) -> bool:
    within = terms.expiry_date is None or day <= terms.expiry_date
    return within and (terms.total_cycles is None or n <= terms.total_cycles)


def _is_open(terms: Terms, day: date) -> bool:
    calendar = terms.business_days.calendar
    if calendar is None:
        raise ValueError("rolling needs a calendar")
    return business_days.is_open(calendar, day)
