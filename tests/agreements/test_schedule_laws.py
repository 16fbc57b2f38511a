"""The laws every schedule keeps, over a century, checked against a wall calendar and a clock on the wall.

A sample of plans here; `make laws` goes on to every zone of the tz database (`laws_in_every_zone.py`).
"""

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from agreements.problems import problems
from agreements.schedule import (
    DateRule,
    Plan,
    PlannedCycle,
    allowed,
    due_at,
    ends_at,
    in_debit_window,
    jitter,
    last_cycle,
    next_cycle_after,
    planned,
    today,
)
from agreements.schedule.business_days import rolled
from agreements.terms import Frequency, Roll, Terms
from tests.agreements import wall_calendar
from tests.agreements.strategies import ROLLING, days, instants, plans, rolling_terms
from tests.agreements.wall_calendar import DAY, clock

ZERO = timedelta(0)


def hold_all_laws(plan: Plan, first: int, count: int) -> None:
    """Every law about `count` cycles from `first` on."""
    lines, terms = planned(plan, first, count), plan.terms
    again = planned(plan, first, count)
    assert [line.model_dump_json() for line in again] == [line.model_dump_json() for line in lines]
    anchors = wall_calendar.anchored(terms, first + count - 1)[first - 1 :]
    assert [line.cycle for line in lines] == list(range(first, first + len(lines)))
    for line, anchor in zip(lines, anchors, strict=False):
        assert line.date == wall_calendar.rolled(terms, anchor)
        assert (line.calendar is not None) == any(rule.startswith("roll_") for rule in line.rules)
        assert (line.date != anchor) == (line.calendar is not None)
        the_instant_follows_from_the_date(plan, line)
    stays_inside_the_terms(plan, lines)
    for earlier, later in pairwise(lines):
        assert earlier.date < later.date
        assert earlier.due_at < later.due_at
    if len(lines) < count and (lines or first == 1):
        ends_where_the_terms_end(plan, first + len(lines) - 1, anchors[len(lines)])
    keeps_its_second(plan, lines)


def the_instant_follows_from_the_date(plan: Plan, line: PlannedCycle) -> None:
    terms, spread = plan.terms, jitter(plan)
    assert ZERO <= spread < timedelta(minutes=terms.debit_window_minutes or 0) or spread == ZERO
    assert spread.microseconds == 0
    wanted = datetime.combine(line.date, datetime.min.time()) + clock(terms.debit_time) + spread
    free = wall_calendar.instant(wanted, terms.timezone)
    shown = free.astimezone(ZoneInfo(terms.timezone)).replace(tzinfo=None)
    assert line.due_at == wall_calendar.allowed(plan.windows, free)
    assert not wall_calendar.forbidden(plan.windows, line.due_at)
    assert (DateRule.JITTER in line.rules) == (spread > ZERO)
    assert (DateRule.DST_GAP in line.rules) == (shown != wanted)
    assert {window.id for window in plan.windows}.isdisjoint(line.rules) == (line.due_at == free)
    assert in_debit_window(Plan(terms, plan.key), free) == free


def stays_inside_the_terms(plan: Plan, lines: list[PlannedCycle]) -> None:
    terms, end = plan.terms, ends_at(plan.terms)
    assert terms.start_date
    for line in lines:
        assert terms.start_date <= line.date
        assert terms.expiry_date is None or line.date <= terms.expiry_date
        assert terms.total_cycles is None or line.cycle <= terms.total_cycles
        assert end is None or line.due_at < end


def ends_where_the_terms_end(plan: Plan, last: int, following_anchor: date) -> None:
    """No cycle was left out at the end: the next one has no number, no date or no instant left."""
    terms, end = plan.terms, ends_at(plan.terms)
    if last == terms.total_cycles or (terms.expiry_date and following_anchor > terms.expiry_date):
        return
    assert end
    assert due_at(plan, last + 1) >= end


def keeps_its_second(plan: Plan, lines: list[PlannedCycle]) -> None:
    """The clock on the wall shows the same second at every cycle that nothing else has moved."""
    others = {DateRule.DST_GAP, DateRule.DST_OVERLAP, *(window.id for window in plan.windows)}
    zone = ZoneInfo(plan.terms.timezone)
    plain = [line.due_at.astimezone(zone).time() for line in lines if others.isdisjoint(line.rules)]
    assert len(set(plain)) <= 1


@given(plans(), st.integers(1, 200))
def test_all_laws(plan: Plan, first: int) -> None:
    hold_all_laws(plan, first, 25)


@given(plans(dated=False, frequencies=[f for f in Frequency if f not in (Frequency.IRREGULAR, Frequency.DAILY)]))
def test_all_laws_without_an_end(plan: Plan) -> None:
    hold_all_laws(plan, 1, 60)


@given(rolling_terms())
def test_all_laws_where_dates_roll(terms: Terms) -> None:
    assert terms.start_date
    assume(problems(terms, terms.start_date) == [])
    hold_all_laws(Plan(terms), 1, 60)


@given(rolling_terms(), st.sampled_from(ROLLING), st.integers(1, 9))
def test_rolling_never_breaks_the_order_even_where_it_would_be_refused(
    terms: Terms, frequency: Frequency, interval: int
) -> None:
    """Holidays are announced late: what was sound when it was agreed to may no longer be."""
    terms = terms.model_copy(update={"frequency": frequency, "cycle_interval_days": interval})
    assert terms.business_days.calendar
    lines = planned(Plan(terms), 1, 60)
    stays_inside_the_terms(Plan(terms), lines)
    for earlier, later in pairwise(lines):
        assert earlier.date < later.date
    for line in lines:
        stuck = DateRule.ROLL_IMPOSSIBLE in line.rules
        assert wall_calendar.open_on(terms.business_days.calendar, line.date) != stuck


@given(
    day=days,
    another=st.integers(0, 40),
    mode=st.sampled_from(Roll),
    closed=st.sets(st.integers(-60, 100)),
    run=st.integers(0, 40),
)
def test_a_roll_keeps_order_and_lands_on_business_days(
    day: date, another: int, mode: Roll, closed: set[int], run: int
) -> None:
    """Whatever the closures, weeks of them in a row included."""
    shut = {day + DAY * n for n in closed | set(range(run))}
    there, rule = rolled(day, mode, lambda found: found not in shut)
    later, _ = rolled(day + DAY * another, mode, lambda found: found not in shut)
    assert there <= later
    assert (there != day) == (rule is not None)
    assert there == day or there not in shut
    assert there == day or day in shut
    assert abs(there - day) <= DAY * 14


@given(plans(), instants)
def test_the_next_cycle_is_the_first_due_later(plan: Plan, now: datetime) -> None:
    n = next_cycle_after(plan, now)
    assert due_at(plan, n) > now
    assert n == 1 or due_at(plan, n - 1) <= now


@given(rolling_terms(), instants)
def test_the_next_cycle_is_the_first_due_later_where_dates_roll(terms: Terms, now: datetime) -> None:
    plan = Plan(terms)
    n = next_cycle_after(plan, now)
    assert due_at(plan, n) > now
    assert n == 1 or due_at(plan, n - 1) <= now


@given(rolling_terms())
def test_a_roll_changes_no_number_of_cycles(terms: Terms) -> None:
    still = terms.model_copy(update={"business_days": terms.business_days.model_copy(update={"roll": Roll.NONE})})
    assert last_cycle(Plan(terms)) == last_cycle(Plan(still))


@given(plans(), instants)
def test_any_instant_can_be_moved_out_of_forbidden_windows(plan: Plan, instant: datetime) -> None:
    moved, rules = allowed(plan, instant)
    assert moved == wall_calendar.allowed(plan.windows, instant)
    assert allowed(plan, moved) == (moved, ())
    assert bool(rules) == (moved != instant)


@given(plans(), instants)
def test_any_instant_can_be_moved_into_the_debit_window(plan: Plan, instant: datetime) -> None:
    """The first free moment of the first window that has one; in days without any, the first one after one opened."""
    terms = plan.terms
    found = in_debit_window(plan, instant)
    assert found >= instant
    assert not wall_calendar.forbidden(plan.windows, found)
    if terms.debit_window_minutes is None:
        assert found == wall_calendar.allowed(plan.windows, instant)
        return
    length, late = timedelta(minutes=terms.debit_window_minutes), []
    for n in range(-1, 4):
        opens = datetime.combine(today(terms.timezone, instant) + DAY * n, datetime.min.time()) + clock(
            terms.debit_time
        )
        first = wall_calendar.instant(opens, terms.timezone)
        last = wall_calendar.instant(opens + length - timedelta(seconds=1), terms.timezone)
        if last >= instant:
            free = wall_calendar.allowed(plan.windows, max(first, instant))
            late.append(free)
            if free.replace(microsecond=0) <= last:
                assert found == free
                return
    assert found == late[0]
