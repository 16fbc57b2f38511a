"""What is wrong with an agreement's terms as a whole. Field limits are in `agreements/terms.py`.

Sources: design §4, gateways/ottu.md §2.2 (what each type requires), payment-rules §3.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from agreements import schedule
from agreements.terms import AgreementType, AmountVariability, Frequency, Roll, Terms, complete


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
_ON_DEMAND = {AgreementType.UNSCHEDULED, AgreementType.EVENT_BASED}
_MAY_BE_IRREGULAR = {*_ON_DEMAND, AgreementType.OTHER}

# Neighbouring dates of every frequency repeat their gaps within a few years; this many cycles show them all.
_CYCLES_CHECKED = 1000


def problems(terms: Terms, today: date) -> list[TermsProblem]:
    """Everything that keeps the terms from being agreed to. `today` is the day in the terms' zone; [] means sound."""
    found = [*_missing(terms), *_frequency(terms), *_amounts(terms), *_dates(terms, today), *_rolling(terms)]
    # Dates are only worth looking at once the fields that make them are sound.
    return found or list(_due_dates(complete(terms, today)))


def _missing(terms: Terms) -> Iterator[TermsProblem]:
    for field in _REQUIRED[terms.type]:
        if getattr(terms, field) is None:
            yield TermsProblem(f"/{field}", f"required for an agreement of type {terms.type}")


def _frequency(terms: Terms) -> Iterator[TermsProblem]:
    frequency = terms.frequency
    if terms.type in _ON_DEMAND and frequency not in (None, Frequency.IRREGULAR):
        yield TermsProblem("/frequency", f"must be irregular for an agreement of type {terms.type}, not {frequency}")
    if frequency is Frequency.IRREGULAR and terms.type not in _MAY_BE_IRREGULAR:
        yield TermsProblem("/frequency", f"irregular is not possible for an agreement of type {terms.type}")
    if frequency is Frequency.OTHER and terms.cycle_interval_days is None and terms.type is AgreementType.OTHER:
        yield TermsProblem("/cycle_interval_days", "required with frequency other: it is the period")


def _amounts(terms: Terms) -> Iterator[TermsProblem]:
    variable = terms.amount_variability is AmountVariability.VARIABLE
    amount, cap = terms.amount, terms.max_amount_per_cycle
    if amount is None and not variable and terms.type not in _ON_DEMAND:
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


def _rolling(terms: Terms) -> Iterator[TermsProblem]:
    if terms.business_days.roll is not Roll.NONE:
        yield TermsProblem(
            "/business_days/roll",
            f"{terms.business_days.roll} is not supported yet: due dates cannot be moved off holidays, use none",
        )


def _due_dates(terms: Terms) -> Iterator[TermsProblem]:
    if not schedule.has_schedule(terms):
        return
    last = schedule.last_cycle(schedule.Plan(terms))
    if last == 0:
        first = schedule.cycle_date(terms, 1)
        yield TermsProblem("/expiry_date", f"{terms.expiry_date} is before the first due date, {first}")
        return
    gap = terms.cycle_interval_days
    if gap is None:
        return
    dates = [schedule.cycle_date(terms, n) for n in range(1, min(last or _CYCLES_CHECKED, _CYCLES_CHECKED) + 1)]
    for earlier, later in pairwise(dates):
        if (later - earlier).days < gap:
            detail = f"due dates {earlier} and {later} are {(later - earlier).days} days apart, fewer than {gap}"
            yield TermsProblem("/cycle_interval_days", detail)
            return
