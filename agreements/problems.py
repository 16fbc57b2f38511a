"""What is wrong with an agreement's terms as a whole. Field limits are in `agreements/terms.py`.

Sources: design §4, gateways/ottu.md §2.2 (what each type requires), payment-rules §3.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple

from agreements import schedule
from agreements.schedule import DateRule, ForbiddenWindow, business_days, dates
from agreements.terms import (
    ON_DEMAND,
    AgreementType,
    AmountVariability,
    CatchUp,
    CatchUpThen,
    Frequency,
    Roll,
    Terms,
    complete,
)


class TermsProblem(NamedTuple):
    """One reason for a 422. `pointer` is a JSON pointer (RFC 6901) relative to the terms."""

    pointer: str
    detail: str


_RECURRING = ("frequency", "amount_variability", "expiry_date", "cycle_interval_days", "total_cycles")
_REQUIRED: dict[AgreementType, tuple[str, ...]] = {
    AgreementType.RECURRING: _RECURRING,
    AgreementType.INSTALLMENT: (*_RECURRING, "seller"),
    AgreementType.UNSCHEDULED: ("frequency",),
    AgreementType.EVENT_BASED: (),
    AgreementType.OTHER: ("frequency",),
}
_MAY_BE_IRREGULAR = {*ON_DEMAND, AgreementType.OTHER}

# Neighbouring dates of every frequency repeat their gaps within a few years; this many cycles show them all, and
# decades of holidays where dates roll.
_CYCLES_CHECKED = 1000

_SHORTEST_TO_ROLL = 7
"""Days. Long weekends alone would put cycles that come more often on the same business day again and again."""


def problems(terms: Terms, today: date, windows: tuple[ForbiddenWindow, ...] = ()) -> list[TermsProblem]:
    """Everything that keeps the terms from being agreed to; [] means sound.

    `today` is the day in the terms' zone, `windows` are the forbidden hours of the payment method's rail.
    """
    found = [
        *_missing(terms),
        *_frequency(terms),
        *_amounts(terms),
        *_dates(terms, today),
        *_debit_window(terms),
        *_catch_up(terms),
        *_rolling(terms),
    ]
    # Dates are only worth looking at once the fields that make them are sound.
    return found or list(_due_dates(complete(terms, today), windows))


def _missing(terms: Terms) -> Iterator[TermsProblem]:
    for field in _REQUIRED[terms.type]:
        if getattr(terms, field) is None:
            yield TermsProblem(f"/{field}", f"required for an agreement of type {terms.type}")


def _frequency(terms: Terms) -> Iterator[TermsProblem]:
    frequency = terms.frequency
    if terms.type in ON_DEMAND and frequency not in (None, Frequency.IRREGULAR):
        yield TermsProblem("/frequency", f"must be irregular for an agreement of type {terms.type}, not {frequency}")
    if frequency is Frequency.IRREGULAR and terms.type not in _MAY_BE_IRREGULAR:
        yield TermsProblem("/frequency", f"irregular is not possible for an agreement of type {terms.type}")
    if frequency is Frequency.OTHER and terms.cycle_interval_days is None and terms.type is AgreementType.OTHER:
        yield TermsProblem("/cycle_interval_days", "required with frequency other: it is the period")


def _amounts(terms: Terms) -> Iterator[TermsProblem]:
    variable = terms.amount_variability is AmountVariability.VARIABLE
    amount, cap = terms.amount, terms.max_amount_per_cycle
    if amount is None and not variable and terms.type not in ON_DEMAND:
        yield TermsProblem("/amount", "required when the amount is fixed")
    if cap is None and variable:
        yield TermsProblem("/max_amount_per_cycle", "required when the amount is variable")
    if cap is not None and amount is not None and amount.value > cap:
        yield TermsProblem(
            "/max_amount_per_cycle", f"amount above cap: {amount.value} is more than {cap} (minor units)"
        )


def _dates(terms: Terms, today: date) -> Iterator[TermsProblem]:
    start, expiry = terms.start_date or today, terms.expiry_date
    if start < today:
        yield TermsProblem("/start_date", f"{start} is before today, {today} in {terms.timezone}")
    if expiry is not None and expiry < start:
        yield TermsProblem("/expiry_date", f"{expiry} is before the start date, {start}")


def _debit_window(terms: Terms) -> Iterator[TermsProblem]:
    minutes = terms.debit_window_minutes
    if minutes is None:
        return
    opens = datetime.combine(date.min, time.fromisoformat(terms.debit_time))
    if opens + timedelta(minutes=minutes) > datetime.combine(date.min, time.min) + timedelta(days=1):
        detail = f"{minutes} minutes from {terms.debit_time} on do not end by midnight"
        yield TermsProblem("/debit_window_minutes", detail)


def _catch_up(terms: Terms) -> Iterator[TermsProblem]:
    within, then = terms.catch_up.within_days, terms.catch_up.then
    period = schedule.shortest_period(terms) if _has_period(terms) else None
    # The default shrinks with the period; a wish that cannot be met is refused.
    if period is not None and within > CatchUp().within_days and 2 * within >= period:
        yield TermsProblem("/catch_up/within_days", f"{within} days are not less than half of a period of {period}")
    if then is CatchUpThen.MERGE and terms.amount_variability is not AmountVariability.VARIABLE:
        detail = "merge needs a variable amount: where it is fixed, the payer agreed to no other"
        yield TermsProblem("/catch_up/then", detail)


def _has_period(terms: Terms) -> bool:
    missing = terms.frequency is Frequency.OTHER and terms.cycle_interval_days is None
    return schedule.has_schedule(terms) and not missing


def _rolling(terms: Terms) -> Iterator[TermsProblem]:
    roll, calendar = terms.business_days.roll, terms.business_days.calendar
    if calendar is not None and not business_days.known(calendar):
        detail = (
            f"{calendar!r} is neither a country (PH), a part of one (US-CA) nor a market (XNYS) with known holidays"
        )
        yield TermsProblem("/business_days/calendar", detail)
    if roll is Roll.NONE:
        return
    if calendar is None:
        yield TermsProblem("/business_days/calendar", f"required to roll dates ({roll})")
    period = schedule.shortest_period(terms) if _has_period(terms) else None
    if period is not None and period < _SHORTEST_TO_ROLL:
        detail = f"a period of {period} days is too short to roll: cycles would meet on one business day, use none"
        yield TermsProblem("/business_days/roll", detail)


def _due_dates(terms: Terms, windows: tuple[ForbiddenWindow, ...]) -> Iterator[TermsProblem]:
    if not schedule.has_schedule(terms):
        return
    last = schedule.last_cycle(schedule.Plan(terms))
    if last == 0:
        first = schedule.cycle_date(terms, 1)
        yield TermsProblem("/expiry_date", f"{terms.expiry_date} is before the first due date, {first}")
        return
    dated = [dates.dated(terms, n) for n in range(1, min(last or _CYCLES_CHECKED, _CYCLES_CHECKED) + 1)]
    stuck = next((day for day, rules in dated if DateRule.ROLL_IMPOSSIBLE in rules), None)
    if stuck is not None:
        detail = f"{stuck} has no business day near it, within the terms, that is not another cycle's: use none"
        yield TermsProblem("/business_days/roll", detail)
    yield from _gaps(terms, [day for day, _ in dated])
    if last is not None:
        yield from _pushed_out(terms, windows, schedule.cycle_date(terms, last))


def _pushed_out(terms: Terms, windows: tuple[ForbiddenWindow, ...], last: date) -> Iterator[TermsProblem]:
    """Whether the rail puts the last debit off until the terms have ended, at its latest place in the debit window."""
    latest = datetime.combine(last, time.fromisoformat(terms.debit_time))
    latest += timedelta(minutes=(terms.debit_window_minutes or 1) - 1)
    instant = schedule.local_instant(last, f"{latest:%H:%M}", terms.timezone)
    moved, rules = schedule.allowed(schedule.Plan(terms, windows=windows), instant)
    end = schedule.ends_at(terms)
    if rules and end is not None and moved >= end:
        detail = f"{', '.join(rules)} puts the debit of {last} off until the terms have ended: use an earlier time"
        yield TermsProblem("/debit_time", detail)


def _gaps(terms: Terms, days: list[date]) -> Iterator[TermsProblem]:
    """The first two due dates that lie closer together than the minimum gap."""
    gap = terms.cycle_interval_days or 0
    for earlier, later in pairwise(days):
        if (later - earlier).days < gap:
            detail = f"due dates {earlier} and {later} are {(later - earlier).days} days apart, fewer than {gap}"
            yield TermsProblem("/cycle_interval_days", detail)
            return
