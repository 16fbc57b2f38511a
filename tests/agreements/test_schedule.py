"""Due dates: the laws over a hundred years, and the days that go wrong elsewhere."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.schedule import (
    Plan,
    catch_up_limit,
    cycle_date,
    due_at,
    ends_at,
    has_schedule,
    last_cycle,
    local_instant,
    next_cycle_after,
    planned,
    today,
)
from agreements.terms import CatchUp, Frequency, PaymentDay, Terms
from tests.agreements.strategies import MONTHLY_STEP, ZONES, clock_times, days, instants, monthly, scheduled_terms

cycles = st.integers(1, 1200)


def dates(terms: Terms, count: int) -> list[str]:
    return [str(cycle_date(terms, n)) for n in range(1, count + 1)]


class TestDates:
    def test_the_31st_clamps_to_short_months_and_comes_back(self) -> None:
        assert dates(monthly(), 4) == ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]

    def test_29_february_yearly(self) -> None:
        terms = monthly(frequency="yearly", payment_processing_day=None, start_date="2028-02-29")
        assert dates(terms, 5) == ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]

    def test_29_february_wanted_in_a_common_year(self) -> None:
        terms = monthly(frequency="yearly", payment_processing_day=29, start_date="2027-02-10")
        assert dates(terms, 2) == ["2027-02-28", "2028-02-29"]

    @pytest.mark.parametrize(
        ("frequency", "expected"),
        [
            ("daily", ["2027-01-31", "2027-02-01", "2027-02-02"]),
            ("weekly", ["2027-01-31", "2027-02-07", "2027-02-14"]),
            ("semi_monthly", ["2027-01-31", "2027-02-16", "2027-02-28"]),
            ("monthly", ["2027-01-31", "2027-02-28", "2027-03-31"]),
            ("quarterly", ["2027-01-31", "2027-04-30", "2027-07-31"]),
            ("semi_annually", ["2027-01-31", "2027-07-31", "2028-01-31"]),
            ("yearly", ["2027-01-31", "2028-01-31", "2029-01-31"]),
            ("other", ["2027-01-31", "2027-02-25", "2027-03-22"]),
        ],
    )
    def test_each_frequency(self, frequency: str, expected: list[str]) -> None:
        assert dates(monthly(frequency=frequency), 3) == expected

    @pytest.mark.parametrize(
        ("day", "expected"),
        [
            (1, ["2027-01-01", "2027-01-16", "2027-02-01"]),
            (15, ["2027-01-15", "2027-01-30", "2027-02-15", "2027-02-28"]),
            (16, ["2027-01-16", "2027-02-01", "2027-02-16"]),
            (30, ["2027-01-30", "2027-02-15", "2027-02-28", "2027-03-15", "2027-03-30"]),
        ],
    )
    def test_semi_monthly_pairs_a_day_with_the_one_fifteen_days_off(self, day: int, expected: list[str]) -> None:
        terms = monthly(frequency="semi_monthly", payment_processing_day=day, start_date="2027-01-01")
        assert dates(terms, len(expected)) == expected

    @pytest.mark.parametrize(
        ("start", "day", "first"),
        [
            ("2027-01-10", 15, "2027-01-15"),
            ("2027-01-15", 15, "2027-01-15"),
            ("2027-01-16", 15, "2027-02-15"),
            ("2027-12-16", 15, "2028-01-15"),
            ("2027-02-28", 31, "2027-02-28"),
            ("2027-02-10", 30, "2027-02-28"),
            ("2027-01-10", None, "2027-01-10"),
        ],
    )
    def test_cycle_1_waits_for_the_processing_day(self, start: str, day: int | None, first: str) -> None:
        assert str(cycle_date(monthly(start_date=start, payment_processing_day=day), 1)) == first

    @given(scheduled_terms(), cycles)
    def test_dates_strictly_increase_and_none_precedes_the_start(self, terms: Terms, n: int) -> None:
        assert terms.start_date
        assert terms.start_date <= cycle_date(terms, 1)
        assert cycle_date(terms, n) < cycle_date(terms, n + 1)

    @given(scheduled_terms(list(MONTHLY_STEP)), cycles)
    def test_one_per_period_on_the_anchor_day(self, terms: Terms, n: int) -> None:
        """Cycle n lies exactly n-1 periods of months after cycle 1, on the anchor day or the month's last one."""
        assert terms.start_date
        assert terms.frequency
        first, day = cycle_date(terms, 1), cycle_date(terms, n)
        anchor = terms.payment_processing_day or terms.start_date.day
        assert isinstance(anchor, int)
        assert (day.year - first.year) * 12 + day.month - first.month == (n - 1) * MONTHLY_STEP[terms.frequency]
        assert day.day == min(anchor, monthrange(day.year, day.month)[1])

    @given(scheduled_terms([Frequency.SEMI_MONTHLY]), st.integers(1, 600))
    def test_semi_monthly_has_two_dates_a_month(self, terms: Terms, n: int) -> None:
        assert terms.start_date
        anchor = terms.payment_processing_day or terms.start_date.day
        assert isinstance(anchor, int)
        other = anchor + 15 if anchor <= 15 else anchor - 15
        first, second, third = (cycle_date(terms, n + step) for step in range(3))
        for day in (first, second, third):
            assert day.day in {min(wanted, monthrange(day.year, day.month)[1]) for wanted in (anchor, other)}
        assert (third.year - first.year) * 12 + third.month - first.month == 1
        assert (first.year, first.month) == (second.year, second.month) or second.month == third.month

    @given(scheduled_terms([Frequency.DAILY, Frequency.WEEKLY, Frequency.OTHER]), cycles)
    def test_periods_of_days_are_exact(self, terms: Terms, n: int) -> None:
        assert terms.frequency
        assert terms.cycle_interval_days
        period = {Frequency.DAILY: 1, Frequency.WEEKLY: 7}.get(terms.frequency, terms.cycle_interval_days)
        assert cycle_date(terms, n + 1) - cycle_date(terms, n) == timedelta(days=period)

    @given(scheduled_terms())
    def test_cycle_1_is_the_first_fitting_day(self, terms: Terms) -> None:
        """Looked for day by day, the way a person would."""
        assert terms.start_date
        day, wanted = terms.start_date, terms.payment_processing_day
        while wanted and day.day != min(wanted, monthrange(day.year, day.month)[1]):
            day += timedelta(days=1)
        assert cycle_date(terms, 1) == day

    @pytest.mark.parametrize("n", [0, -1])
    def test_cycles_count_from_1(self, n: int) -> None:
        with pytest.raises(ValueError, match="count from 1"):
            cycle_date(monthly(), n)

    @pytest.mark.parametrize("changes", [{"start_date": None}, {"frequency": "irregular"}, {"frequency": None}])
    def test_terms_without_dates_have_none(self, changes: dict[str, str | None]) -> None:
        with pytest.raises(ValueError, match=r"no due dates|no dates yet"):
            cycle_date(monthly(**changes), 1)


class TestInstants:
    def test_manila_at_nine(self) -> None:
        assert due_at(Plan(monthly()), 1) == datetime(2027, 1, 31, 1, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("zone", "day", "clock", "expected"),
        [
            ("Europe/Berlin", date(2027, 3, 28), "02:30", datetime(2027, 3, 28, 1, 0, tzinfo=UTC)),
            ("Europe/Berlin", date(2027, 3, 28), "02:00", datetime(2027, 3, 28, 1, 0, tzinfo=UTC)),
            ("Europe/Berlin", date(2027, 3, 28), "01:59", datetime(2027, 3, 28, 0, 59, tzinfo=UTC)),
            ("America/New_York", date(2027, 11, 7), "01:30", datetime(2027, 11, 7, 5, 30, tzinfo=UTC)),
            ("America/New_York", date(2027, 11, 7), "02:00", datetime(2027, 11, 7, 7, 0, tzinfo=UTC)),
            # Half an hour only, and a whole day that Samoa left out.
            ("Australia/Lord_Howe", date(2027, 10, 3), "02:15", datetime(2027, 10, 2, 15, 30, tzinfo=UTC)),
            ("Pacific/Apia", date(2011, 12, 30), "09:00", datetime(2011, 12, 30, 10, 0, tzinfo=UTC)),
        ],
    )
    def test_the_days_the_clocks_change(self, zone: str, day: date, clock: str, expected: datetime) -> None:
        assert local_instant(day, clock, zone) == expected

    @given(days, clock_times, st.sampled_from(ZONES))
    def test_first_instant_that_reads_the_wanted_time_or_later(self, day: date, clock: str, zone: str) -> None:
        """A gap's end is the first valid instant after it; of a repeated hour the first is taken."""
        instant = local_instant(day, clock, zone)
        wanted = datetime.combine(day, time.fromisoformat(clock))
        assert instant.tzinfo is UTC
        assert instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) >= wanted
        for before in (timedelta(seconds=1), timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2)):
            assert (instant - before).astimezone(ZoneInfo(zone)).replace(tzinfo=None) < wanted

    @pytest.mark.parametrize("zone", ZONES)
    def test_every_change_of_clocks_in_three_years(self, zone: str) -> None:
        """The same law, minute by minute around each change, where random days seldom fall."""
        place, hour = ZoneInfo(zone), timedelta(hours=1)
        start = datetime(2027, 1, 1, tzinfo=UTC)
        for at in (start + n * hour for n in range(3 * 365 * 24)):
            if at.astimezone(place).utcoffset() == (at + hour).astimezone(place).utcoffset():
                continue
            for minutes in range(-150, 151, 15):
                wanted = at.astimezone(place).replace(tzinfo=None) + timedelta(minutes=minutes)
                instant = local_instant(wanted.date(), f"{wanted:%H:%M}", zone)
                minute = timedelta(minutes=1)
                earlier = (instant - minute * step for step in range(1, 130))
                assert instant.astimezone(place).replace(tzinfo=None) >= wanted
                assert all(moment.astimezone(place).replace(tzinfo=None) < wanted for moment in earlier)

    @given(scheduled_terms(), st.integers(1, 1200))
    def test_due_instants_strictly_increase(self, terms: Terms, n: int) -> None:
        assert due_at(Plan(terms), n) < due_at(Plan(terms), n + 1)

    @given(scheduled_terms(dated=True))
    def test_the_end_is_where_the_expiry_date_turns_into_the_next(self, terms: Terms) -> None:
        end, zone = ends_at(terms), ZoneInfo(terms.timezone)
        assert end
        assert terms.expiry_date
        assert end.astimezone(zone).date() > terms.expiry_date
        assert (end - timedelta(seconds=1)).astimezone(zone).date() == terms.expiry_date

    @pytest.mark.parametrize(
        ("zone", "expiry", "expected"),
        [
            ("Asia/Manila", "2028-12-31", datetime(2028, 12, 31, 16, 0, tzinfo=UTC)),
            # Midnight is skipped in Cairo that night, and comes twice in Havana.
            ("Africa/Cairo", "2027-04-29", datetime(2027, 4, 29, 22, 0, tzinfo=UTC)),
            ("America/Havana", "2027-11-06", datetime(2027, 11, 7, 4, 0, tzinfo=UTC)),
        ],
    )
    def test_ends(self, zone: str, expiry: str, expected: datetime) -> None:
        assert ends_at(monthly(timezone=zone, expiry_date=expiry)) == expected

    def test_no_expiry_no_end(self) -> None:
        assert ends_at(monthly(expiry_date=None)) is None

    @given(instants, st.sampled_from(ZONES))
    def test_today_lies_around_now(self, now: datetime, zone: str) -> None:
        day = today(zone, now)
        assert local_instant(day, "00:00", zone) <= now < local_instant(day + timedelta(days=1), "00:00", zone)

    def test_today_is_the_zones_own(self) -> None:
        assert today("Asia/Manila", datetime(2027, 1, 30, 16, 0, tzinfo=UTC)) == date(2027, 1, 31)


class TestCounts:
    @given(scheduled_terms(dated=True))
    def test_the_last_cycle_is_the_last_that_fits(self, terms: Terms) -> None:
        last = last_cycle(Plan(terms))
        assert last is not None
        assert terms.expiry_date
        assert last <= (terms.total_cycles or last)
        assert last == 0 or cycle_date(terms, last) <= terms.expiry_date
        assert last == terms.total_cycles or cycle_date(terms, last + 1) > terms.expiry_date

    @pytest.mark.parametrize(
        ("changes", "last"),
        [
            ({}, 12),
            ({"expiry_date": "2027-02-28"}, 2),
            ({"expiry_date": "2027-02-27"}, 1),
            ({"start_date": "2027-01-10", "expiry_date": "2027-01-30"}, 0),
            ({"expiry_date": None}, 12),
            ({"expiry_date": None, "total_cycles": None}, None),
            ({"frequency": "irregular"}, None),
        ],
    )
    def test_last_cycles(self, changes: dict[str, str | None], last: int | None) -> None:
        assert last_cycle(Plan(monthly(**changes))) == last

    @given(scheduled_terms(), instants)
    def test_the_next_cycle_is_the_first_due_later(self, terms: Terms, now: datetime) -> None:
        n = next_cycle_after(Plan(terms), now)
        assert due_at(Plan(terms), n) > now
        assert n == 1 or due_at(Plan(terms), n - 1) <= now

    def test_a_cycle_due_now_is_not_next(self) -> None:
        assert next_cycle_after(Plan(monthly()), due_at(Plan(monthly()), 5)) == 6

    @given(scheduled_terms(dated=True), st.integers(1, 40), st.integers(0, 40))
    def test_the_plan_is_the_schedule_cut_at_its_end(self, terms: Terms, first: int, count: int) -> None:
        last = last_cycle(Plan(terms))
        assert last is not None
        plan = planned(Plan(terms), first, count)
        assert [line.cycle for line in plan] == list(range(first, min(first + count, last + 1)))
        for line in plan:
            assert (line.date, line.due_at) == (cycle_date(terms, line.cycle), due_at(Plan(terms), line.cycle))

    def test_irregular_agreements_have_no_plan(self) -> None:
        terms = monthly(type="unscheduled", frequency="irregular")
        assert not has_schedule(terms)
        assert planned(Plan(terms), 1, 24) == []

    @pytest.mark.parametrize(
        ("changes", "rules"),
        [
            ({}, [("anchor",), ("anchor", "short_month"), ("anchor",)]),
            ({"start_date": "2027-01-10"}, [("anchor", "first_on_or_after_start"), ("anchor", "short_month")]),
            ({"payment_processing_day": 29, "start_date": "2027-01-29"}, [("anchor",), ("anchor", "leap_day")]),
            (
                {"start_date": "2027-02-10", "payment_processing_day": 30},
                [("anchor", "short_month", "first_on_or_after_start"), ("anchor",)],
            ),
            (
                {"payment_processing_day": 28, "timezone": "Europe/Berlin", "debit_time": "02:30"},
                [("anchor", "first_on_or_after_start"), ("anchor", "dst_gap"), ("anchor",)],
            ),
            (
                {
                    "start_date": "2027-10-07",
                    "payment_processing_day": 7,
                    "timezone": "America/New_York",
                    "debit_time": "01:30",
                },
                [("anchor",), ("anchor", "dst_overlap"), ("anchor",)],
            ),
            (
                {"frequency": "weekly", "start_date": "2027-02-10"},
                [("anchor", "short_month", "first_on_or_after_start"), ("anchor",)],
            ),
        ],
    )
    def test_each_date_names_the_rules_that_acted(
        self, changes: dict[str, str | int], rules: list[tuple[str, ...]]
    ) -> None:
        assert [line.rules for line in planned(Plan(monthly(**changes)), 1, len(rules))] == rules

    @given(scheduled_terms(), st.integers(0, 30), st.sampled_from([None, "last", 29, 30, 31]))
    def test_catch_up_ends_before_half_the_period(self, terms: Terms, within: int, day: PaymentDay | None) -> None:
        """An hour is always left: a debit that soon after its due instant is on time."""
        wish = {"catch_up": CatchUp(within_days=within), "payment_processing_day": day}
        terms = terms.model_copy(update=wish)
        gaps = [later - earlier for earlier, later in pairwise(due_at(Plan(terms), n) for n in range(1, 30))]
        assert timedelta(hours=1) <= catch_up_limit(terms) <= timedelta(days=max(within, 1))
        assert catch_up_limit(terms) < min(gaps) / 2

    def test_catch_up_limits(self) -> None:
        assert catch_up_limit(monthly()) == timedelta(days=3)
        assert catch_up_limit(monthly(catch_up={"within_days": 13})) == timedelta(days=13)
        assert catch_up_limit(monthly(catch_up={"within_days": 0})) == timedelta(hours=1)
        assert catch_up_limit(monthly(frequency="quarterly", catch_up={"within_days": 30})) == timedelta(days=30)
        assert catch_up_limit(monthly(frequency="daily")) == timedelta(hours=10)
        assert catch_up_limit(monthly(type="unscheduled", frequency="irregular")) == timedelta(days=3)
