"""Dates that roll: weekends of several countries, holidays people know, and the bounds of the terms."""

from datetime import date
from importlib.metadata import version
from typing import Any

import pytest

from agreements.problems import problems
from agreements.schedule import Plan, cycle_date, planned
from agreements.terms import Terms
from tests.agreements.strategies import monthly


def rolling(calendar: str, roll: str, **changes: Any) -> Terms:
    return monthly(business_days={"calendar": calendar, "roll": roll}, **changes)


def on(day: str, calendar: str, roll: str, **changes: Any) -> tuple[str, str]:
    """Where a day, the second one of a weekly agreement, goes and which rule had the last word."""
    start = date.fromordinal(date.fromisoformat(day).toordinal() - 7)
    body = {"frequency": "weekly", "payment_processing_day": None, "cycle_interval_days": 1, "start_date": start}
    terms = rolling(calendar, roll, **(body | changes))
    assert problems(terms, start) == []
    line = planned(Plan(terms), 2, 1)[0]
    return str(line.date), line.rules[-1]


@pytest.mark.parametrize(
    ("day", "calendar", "following", "preceding"),
    [
        # Saturday and Sunday; Friday and Saturday; Friday and Sunday.
        ("2027-01-16", "PH", "2027-01-18", "2027-01-15"),
        ("2027-01-15", "SA", "2027-01-17", "2027-01-14"),
        ("2027-01-15", "EG", "2027-01-17", "2027-01-14"),
        ("2027-01-15", "BN", "2027-01-16", "2027-01-14"),
        # Saturday and Sunday in the Emirates since 2022: Friday is a working day.
        ("2027-01-16", "AE", "2027-01-18", "2027-01-15"),
        # Good Friday 2027 is 26 March; TARGET2 rests until Easter Monday, New York does not.
        ("2027-03-26", "TAR", "2027-03-30", "2027-03-25"),
        ("2027-03-26", "XNYS", "2027-03-29", "2027-03-25"),
        # Independence Day 2027 is a Sunday, observed on Monday.
        ("2027-07-04", "US", "2027-07-06", "2027-07-02"),
        # Corpus Christi, a Thursday, is kept in Bavaria, not in Berlin.
        ("2027-05-27", "DE-BY", "2027-05-28", "2027-05-26"),
    ],
)
def test_off_a_weekend_or_a_holiday(day: str, calendar: str, following: str, preceding: str) -> None:
    assert on(day, calendar, "following") == (following, "roll_following")
    assert on(day, calendar, "preceding") == (preceding, "roll_preceding")


@pytest.mark.parametrize(("day", "calendar"), [("2027-01-15", "AE"), ("2027-01-15", "PH"), ("2027-05-27", "DE-BE")])
@pytest.mark.parametrize("roll", ["following", "preceding", "modified_following"])
def test_a_business_day_stays(day: str, calendar: str, roll: str) -> None:
    assert on(day, calendar, roll) == (day, "anchor")


def test_modified_following_stays_in_the_month() -> None:
    # 30 January 2027 is a Saturday, the 31st a Sunday.
    assert on("2027-01-30", "PH", "following") == ("2027-02-01", "roll_following")
    assert on("2027-01-30", "PH", "modified_following") == ("2027-01-29", "roll_modified_following")
    assert on("2027-01-16", "PH", "modified_following") == ("2027-01-18", "roll_following")


class TestBounds:
    def test_a_date_on_the_start_rolls_forward_rather_than_before_it(self) -> None:
        line = planned(Plan(rolling("PH", "preceding", cycle_interval_days=20)), 1, 1)[0]
        assert (str(line.date), line.rules) == ("2027-02-01", ("anchor", "roll_reversed"))

    def test_a_date_on_the_expiry_rolls_back_rather_than_behind_it(self) -> None:
        terms = rolling("PH", "following", start_date="2027-01-15", expiry_date="2027-02-28", cycle_interval_days=20)
        assert problems(terms, date(2027, 1, 15)) == []
        dates = [(str(line.date), line.rules[-1]) for line in planned(Plan(terms), 1, 9)]
        assert dates == [("2027-02-01", "roll_following"), ("2027-02-26", "roll_reversed")]

    def test_terms_without_any_business_day_are_refused(self) -> None:
        terms = rolling("PH", "following", expiry_date="2027-01-31")
        assert planned(Plan(terms), 1, 9)[0].rules == ("anchor", "roll_impossible")
        [problem] = problems(terms, date(2027, 1, 31))
        assert problem.pointer == "/business_days/roll"
        assert "2027-01-31" in problem.detail

    def test_cycles_that_meet_on_one_business_day_are_refused(self) -> None:
        """China's golden week of 2025 lasted from Wednesday 1 to Wednesday 8 October."""
        start, body = date(2025, 9, 24), {"frequency": "weekly", "payment_processing_day": None}
        terms = rolling("CN", "following", start_date=start, cycle_interval_days=1, **body)
        lines = planned(Plan(terms), 1, 4)
        assert [str(line.date) for line in lines] == ["2025-09-24", "2025-10-01", "2025-10-08", "2025-10-15"]
        assert [line.rules[-1] for line in lines] == ["anchor", "roll_impossible", "roll_impossible", "anchor"]
        [problem] = problems(terms, start)
        assert problem.pointer == "/business_days/roll"
        assert "2025-10-01" in problem.detail
        # With two cycles only there is no third one to meet.
        fewer = terms.model_copy(update={"total_cycles": 2})
        assert problems(fewer, start) == []
        assert str(cycle_date(fewer, 2)) == "2025-10-09"


class TestLastDay:
    def test_every_month_has_a_last_day(self) -> None:
        lines = planned(Plan(monthly(payment_processing_day="last", start_date="2028-01-15")), 1, 4)
        assert [str(line.date) for line in lines] == ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]
        assert [line.rules for line in lines[1:]] == [("anchor", "last_day")] * 3
        assert lines[0].rules == ("anchor", "last_day", "first_on_or_after_start")

    def test_twice_a_month_it_goes_with_the_15th(self) -> None:
        terms = monthly(frequency="semi_monthly", payment_processing_day="last", start_date="2027-01-20")
        dates = [str(cycle_date(terms, n)) for n in range(1, 5)]
        assert dates == ["2027-01-31", "2027-02-15", "2027-02-28", "2027-03-15"]

    @pytest.mark.parametrize("roll", ["following", "preceding", "modified_following"])
    def test_it_rolls_backwards_whatever_the_terms_say(self, roll: str) -> None:
        terms = rolling("PH", roll, payment_processing_day="last", start_date="2027-01-15", cycle_interval_days=20)
        line = planned(Plan(terms), 1, 1)[0]
        assert (str(line.date), line.rules[-1]) == ("2027-01-29", "roll_preceding")

    def test_weekly_it_only_starts_there_and_rolls_as_told(self) -> None:
        terms = rolling("PH", "following", frequency="weekly", payment_processing_day="last", cycle_interval_days=1)
        line = planned(Plan(terms), 2, 1)[0]
        assert (str(line.date), line.rules[-1]) == ("2027-02-08", "roll_following")

    def test_the_31st_is_no_last_day_and_rolls_as_told(self) -> None:
        terms = rolling("PH", "following", start_date="2027-01-15", cycle_interval_days=20)
        assert str(cycle_date(terms, 1)) == "2027-02-01"


def test_what_acted_names_the_calendar_and_its_version() -> None:
    terms = rolling("PH", "following", cycle_interval_days=20)
    assert [line.calendar for line in planned(Plan(terms), 1, 3)] == [f"PH, holidays {version('holidays')}"] * 2 + [
        None
    ]


def test_the_minimum_gap_is_that_of_the_rolled_dates() -> None:
    """31 January and 28 February 2027 are Sundays, 28 days apart before and after a roll; 31 March is a Wednesday."""
    assert problems(rolling("PH", "following", total_cycles=3, cycle_interval_days=28), date(2027, 1, 31)) == []
    terms = rolling("PH", "modified_following", start_date="2027-01-15", total_cycles=3, cycle_interval_days=29)
    [problem] = problems(terms, date(2027, 1, 15))
    assert problem.pointer == "/cycle_interval_days"
    assert "2027-01-29 and 2027-02-26 are 28 days apart" in problem.detail
