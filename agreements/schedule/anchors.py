"""The local date of a cycle by its anchor alone, before any roll.

Every date is computed from the anchor, never from the date before it, so a short month or a leap day leaves no trace in
later cycles (payment-rules §3.2 rules 1 and 2).
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

from agreements.schedule.plan import DateRule
from agreements.terms import LAST, Frequency, PaymentDay, Terms

_MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.SEMI_ANNUALLY: 6, Frequency.YEARLY: 12}
_DAYS = {Frequency.DAILY: 1, Frequency.WEEKLY: 7}
_HALF_MONTH = 15

Dated = tuple[date, tuple[DateRule, ...]]
"""A date and the rules that made it."""


def has_schedule(terms: Terms) -> bool:
    """Whether debits come by the calendar. Irregular agreements are debited on demand only."""
    return terms.frequency not in (None, Frequency.IRREGULAR)


def fixed_days(terms: Terms) -> int | None:
    """The period in days where it is always the same; None where it counts months."""
    if terms.frequency is Frequency.OTHER:
        if terms.cycle_interval_days is None:
            raise ValueError("frequency other needs cycle_interval_days")
        return terms.cycle_interval_days
    return None if terms.frequency is None else _DAYS.get(terms.frequency)


def anchored(terms: Terms, n: int) -> Dated:
    """The date of cycle `n` (from 1). Raises ValueError without a start date or a schedule, OverflowError past 9999."""
    if n < 1:
        raise ValueError(f"cycles count from 1, not {n}")
    if terms.start_date is None:
        raise ValueError("terms without a start date have no dates yet")
    first, first_rules = _first_date(terms.start_date, terms.payment_processing_day)
    days = fixed_days(terms)
    if days is not None:
        # Without calendar months a date has no day of the month to keep, so only cycle 1 can be clamped.
        return first + timedelta(days=days * (n - 1)), first_rules if n == 1 else (DateRule.ANCHOR,)
    anchor = terms.payment_processing_day or terms.start_date.day
    months, wanted = _month_and_day(terms, anchor, n - 1)
    day, rules = _clamped(first.year, first.month + months, wanted)
    return day, first_rules if n == 1 else rules


def _first_date(start: date, processing_day: PaymentDay | None) -> Dated:
    """The first date on or after `start` whose day is the processing day, clamped in short months; else `start`."""
    if processing_day is None:
        return start, (DateRule.ANCHOR,)
    day, rules = _clamped(start.year, start.month, processing_day)
    if day < start:
        day, rules = _clamped(start.year, start.month + 1, processing_day)
    return day, rules if day == start else (*rules, DateRule.FIRST_ON_OR_AFTER_START)


def _month_and_day(terms: Terms, anchor: PaymentDay, periods: int) -> tuple[int, PaymentDay]:
    """Months after cycle 1's month, and the day wanted in that month, `periods` periods after cycle 1."""
    if terms.frequency is not Frequency.SEMI_MONTHLY:
        if terms.frequency not in _MONTHS:
            raise ValueError(f"a frequency of {terms.frequency} has no due dates")
        return _MONTHS[terms.frequency] * periods, anchor
    early, late = _pair(anchor)
    months, second = divmod(periods + (anchor == late), 2)
    return months, late if second else early


def _pair(anchor: PaymentDay) -> tuple[PaymentDay, PaymentDay]:
    """The two days of a semi-monthly month: fifteen days apart, or the 15th and the last."""
    if anchor == LAST:
        return _HALF_MONTH, LAST
    return (anchor, anchor + _HALF_MONTH) if anchor <= _HALF_MONTH else (anchor - _HALF_MONTH, anchor)


def _clamped(year: int, month: int, day: PaymentDay) -> Dated:
    """A day of a month (months past 12 run into later years), or the month's last day where it has no such day."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    if year > date.max.year:
        raise OverflowError("the schedule runs past the year 9999")
    length = monthrange(year, month)[1]
    if day == LAST:
        return date(year, month, length), (DateRule.ANCHOR, DateRule.LAST_DAY)
    if day <= length:
        return date(year, month, day), (DateRule.ANCHOR,)
    rule = DateRule.LEAP_DAY if (month, day) == (2, 29) else DateRule.SHORT_MONTH
    return date(year, month, length), (DateRule.ANCHOR, rule)
