"""Which report must hold a movement: a question of the provider's days.

Our clock is not the provider's, and an outcome may have been found out long after the fact: all that is certain is that
the provider booked it between the moment we asked and the moment we knew. A movement whose whole span lies in days that
have been accounted for must be in one of their reports; one whose span reaches beyond them may be in a report that is
still to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from agreements.reconciliation.records import Movement, ReportRow, RowKind

_SKEW = timedelta(minutes=5)
"""As far apart as a provider lets two clocks be before it refuses our requests."""

Span = tuple[date, date]
"""First and last day, both included."""
DATED = (RowKind.PAYMENT, RowKind.REFUND, RowKind.CANCEL)
"""What a payout takes in by the day on which it happened; fees and disputes come when they come."""
Scope = tuple[str, str]
"""Payment method and currency: what is settled at one rhythm."""


class Expected(StrEnum):
    """Where a movement should be."""

    HERE = "here"
    PERHAPS = "perhaps"
    """Here, or in a report that is not there yet."""
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Days:
    """The days a statement accounts for (`own`) and all that any statement of its kind does (`known`)."""

    zone: tzinfo
    own: Mapping[Scope | None, frozenset[date]]
    known: Mapping[Scope | None, frozenset[date]]

    def expect(self, movement: Movement) -> Expected:
        """A movement that several statements might hold is looked for by the earliest of them."""
        scope = None if None in self.own else (movement.payment_method, movement.currency)
        days = _days_of(movement, self.zone)
        known = days & self.known.get(scope, frozenset())
        if not known or min(known) not in self.own.get(scope, frozenset()):
            return Expected.ELSEWHERE
        return Expected.HERE if known == days else Expected.PERHAPS


def of_day(zone: tzinfo, own: Span, others: Iterable[Span] = ()) -> Days:
    """For a report of everything on certain days; `others` are the days of the other reports that are there."""
    mine = _between(own)
    return Days(zone, {None: mine}, {None: mine.union(*map(_between, others))})


def of_batch(zone: tzinfo, rows: Iterable[ReportRow], others: Mapping[Scope, Iterable[Span]]) -> Days:
    """For a payout. Payouts follow each other without a gap, so one accounts for every day after the payout before it
    until the last one it has a row of, whole days, for each payment method and currency; `others` are the first and
    last days of the other payouts. `[derived]`: no provider says where in a day it cuts.
    """
    first: dict[Scope, date] = {}
    last: dict[Scope, date] = {}
    for row in rows:
        if row.kind in DATED and row.at is not None and row.payment_method is not None:
            scope, day = (row.payment_method, row.currency), row.at.astimezone(zone).date()
            first[scope] = min(first.get(scope, day), day)
            last[scope] = max(last.get(scope, day), day)
    own: dict[Scope | None, frozenset[date]] = {}
    known: dict[Scope | None, frozenset[date]] = {}
    for scope, begins in first.items():
        spans = list(others.get(scope, ()))
        before = [end for _, end in spans if end < begins]
        own[scope] = _between((max(before) + timedelta(days=1) if before else begins, last[scope]))
        ends = [last[scope], *(end for _, end in spans)]
        known[scope] = _between((min([begins, *(start for start, _ in spans)]), max(ends)))
    return Days(zone, own, known)


def window(days: Days) -> tuple[datetime, datetime] | None:
    """Between which instants a movement must have ended or begun to be looked for at all; None: nothing is."""
    all_days = sorted(set().union(*days.own.values()))
    if not all_days:
        return None
    begin = datetime.combine(all_days[0], datetime.min.time(), days.zone)
    end = datetime.combine(all_days[-1], datetime.min.time(), days.zone) + timedelta(days=1)
    return begin - _SKEW, end + _SKEW


def _days_of(movement: Movement, zone: tzinfo) -> frozenset[date]:
    began = movement.began or movement.ended
    ended = movement.ended or movement.began
    if began is None or ended is None:
        return frozenset()
    return _between(((began - _SKEW).astimezone(zone).date(), (max(began, ended) + _SKEW).astimezone(zone).date()))


def _between(span: Span) -> frozenset[date]:
    first, last = span
    return frozenset(first + timedelta(days=number) for number in range((last - first).days + 1))
