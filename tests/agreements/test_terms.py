"""Field limits of the terms, and the rules between the fields."""

from datetime import UTC, date, datetime
from itertools import pairwise
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agreements.problems import problems
from agreements.schedule import Plan, cycle_date, last_cycle
from agreements.terms import BusinessDays, Roll, Terms, complete
from tests.agreements.strategies import monthly, scheduled_terms

TODAY = date(2027, 1, 31)
SELLER = {"name": "Example Store", "short_name": "EXSTORE", "category_code": "5968"}
WORKDAYS = {"calendar": "PH", "roll": "following"}
UNSCHEDULED: dict[str, Any] = {"type": "unscheduled", "frequency": "irregular"}


def pointers(terms: Terms) -> list[str]:
    return [problem.pointer for problem in problems(terms, TODAY)]


class TestFields:
    def test_defaults(self) -> None:
        terms = Terms.model_validate({"type": "unscheduled"})
        assert (terms.timezone, terms.debit_time, terms.amount_variability) == ("UTC", "09:00", "fixed")
        assert (terms.business_days.calendar, terms.business_days.roll) == (None, "none")
        assert terms.debit_window_minutes is None
        assert (terms.catch_up.within_days, terms.catch_up.then) == (3, "skip")

    @given(scheduled_terms())
    def test_json_and_back(self, terms: Terms) -> None:
        assert Terms.model_validate_json(terms.model_dump_json()) == terms
        assert Terms.model_validate(terms.model_dump(mode="json")) == terms

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("type", "weekly"),
            ("frequency", "fortnightly"),
            ("amount_variability", "any"),
            ("amount", {"currency": "PHP", "value": 499.0}),
            ("max_amount_per_cycle", 0),
            ("max_amount_per_cycle", "49900"),
            ("cycle_interval_days", 0),
            ("cycle_interval_days", 367),
            ("cycle_interval_days", True),
            ("payment_processing_day", 0),
            ("payment_processing_day", 32),
            ("payment_processing_day", 1.0),
            ("payment_processing_day", True),
            ("payment_processing_day", "31"),
            ("debit_window_minutes", 0),
            ("debit_window_minutes", 721),
            ("debit_window_minutes", 30.0),
            ("catch_up", {"within_days": 31}),
            ("catch_up", {"within_days": -1}),
            ("catch_up", {"then": "retry"}),
            ("catch_up", None),
            ("total_cycles", 0),
            ("total_cycles", 1000),
            ("start_date", "2027-02-30"),
            ("start_date", "2027-01-31T00:00:00"),
            ("start_date", "31.01.2027"),
            ("start_date", 0),
            ("start_date", datetime(2027, 1, 31, tzinfo=UTC)),
            ("start_date", "1999-12-31"),
            ("expiry_date", "3000-01-01"),
            ("debit_time", "24:00"),
            ("debit_time", "9:00"),
            ("debit_time", "09:00:00"),
            ("debit_time", "09:00\n"),
            ("debit_time", "٠٩:٠٠"),
            ("business_days", {"roll": "sideways"}),
            ("business_days", {"region": "PH"}),
            ("seller", {"short_name": "EXSTORE"}),
            ("seller", {"name": "Example\x00Store"}),
            ("color", "red"),
        ],
    )
    def test_refused(self, field: str, value: object) -> None:
        with pytest.raises(ValidationError) as refused:
            monthly(**{field: value})
        assert refused.value.errors()[0]["loc"][0] == field

    @pytest.mark.parametrize(
        "zone", ["Mars/Olympus", "localtime", "Factory", "asia/manila", "+08:00", "../etc/passwd", ""]
    )
    def test_only_zones_of_the_tz_database(self, zone: str) -> None:
        with pytest.raises(ValidationError, match="is not an IANA time zone"):
            monthly(timezone=zone)

    def test_an_unknown_currency_is_named(self) -> None:
        with pytest.raises(ValidationError, match="'PHX' is not an ISO 4217 currency"):
            monthly(amount={"currency": "PHX", "value": 1})

    def test_the_start_is_today_unless_given(self) -> None:
        assert complete(monthly(start_date=None), TODAY).start_date == TODAY
        assert complete(monthly(start_date="2027-03-01"), TODAY).start_date == date(2027, 3, 1)


class TestProblems:
    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"start_date": None},
            {"type": "installment", "seller": SELLER},
            UNSCHEDULED,
            UNSCHEDULED | {"amount": None, "expiry_date": None, "total_cycles": None, "cycle_interval_days": None},
            {"type": "event_based", "frequency": None, "amount": None},
            {"type": "event_based", "frequency": "irregular"},
            {"type": "other", "expiry_date": None, "total_cycles": None, "cycle_interval_days": None},
            {"type": "other", "frequency": "irregular"},
            {"amount_variability": "variable", "amount": None, "max_amount_per_cycle": 49900},
            {"amount_variability": "variable", "max_amount_per_cycle": 49900},
            {"max_amount_per_cycle": 49900},
            {"cycle_interval_days": 28},
            {"frequency": "other", "cycle_interval_days": 28},
            {"start_date": "2027-02-10", "expiry_date": "2027-02-28"},
            {"payment_processing_day": "last"},
            {"payment_processing_day": "LAST"},
            {"business_days": {"calendar": "PH", "roll": "none"}},
            {"business_days": {"calendar": "US-CA", "roll": "following"}, "cycle_interval_days": 20},
            {"business_days": {"calendar": "XNYS", "roll": "preceding"}, "cycle_interval_days": 20},
            {"business_days": {"calendar": "PH", "roll": "following"}, "frequency": "other", "cycle_interval_days": 7}
            | {"type": "other", "total_cycles": 3},
            {"debit_time": "23:00", "debit_window_minutes": 60},
            {"debit_time": "12:00", "debit_window_minutes": 720},
            {"catch_up": {"within_days": 13}},
            {"catch_up": {"within_days": 0}},
            {"frequency": "daily", "cycle_interval_days": 1},
            {"catch_up": {"then": "ask"}},
            {"catch_up": {"then": "merge"}, "amount_variability": "variable", "max_amount_per_cycle": 49900},
            UNSCHEDULED | {"catch_up": {"within_days": 30}},
        ],
    )
    def test_sound(self, changes: dict[str, Any]) -> None:
        assert problems(monthly(**changes), TODAY) == []

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"frequency": None}, ["/frequency"]),
            ({"expiry_date": None}, ["/expiry_date"]),
            ({"cycle_interval_days": None}, ["/cycle_interval_days"]),
            ({"frequency": "other", "cycle_interval_days": None}, ["/cycle_interval_days"]),
            ({"type": "other", "frequency": "other", "cycle_interval_days": None}, ["/cycle_interval_days"]),
            ({"total_cycles": None}, ["/total_cycles"]),
            ({"type": "installment"}, ["/seller"]),
            ({"type": "installment", "total_cycles": None}, ["/total_cycles", "/seller"]),
            ({"type": "other", "frequency": None}, ["/frequency"]),
            (UNSCHEDULED | {"frequency": None}, ["/frequency"]),
            (UNSCHEDULED | {"frequency": "monthly"}, ["/frequency"]),
            ({"type": "event_based", "frequency": "monthly"}, ["/frequency"]),
            ({"frequency": "irregular"}, ["/frequency"]),
            ({"type": "installment", "seller": SELLER, "frequency": "irregular"}, ["/frequency"]),
            ({"amount": None}, ["/amount"]),
            ({"amount_variability": "variable"}, ["/max_amount_per_cycle"]),
            ({"amount_variability": "variable", "max_amount_per_cycle": 49899}, ["/max_amount_per_cycle"]),
            ({"max_amount_per_cycle": 49899}, ["/max_amount_per_cycle"]),
            ({"start_date": "2027-01-30"}, ["/start_date"]),
            ({"start_date": "2027-03-01", "expiry_date": "2027-02-28"}, ["/expiry_date"]),
            ({"start_date": "2027-02-10", "expiry_date": "2027-02-27"}, ["/expiry_date"]),
            ({"cycle_interval_days": 29}, ["/cycle_interval_days"]),
            ({"frequency": "daily", "cycle_interval_days": 2}, ["/cycle_interval_days"]),
            ({"frequency": "daily", "business_days": WORKDAYS}, ["/business_days/roll"]),
            ({"frequency": "other", "cycle_interval_days": 6, "business_days": WORKDAYS}, ["/business_days/roll"]),
            ({"business_days": {"roll": "following"}}, ["/business_days/calendar"]),
            ({"business_days": {"calendar": "PH-XX"}}, ["/business_days/calendar"]),
            ({"business_days": {"calendar": "PH-"}}, ["/business_days/calendar"]),
            ({"business_days": {"calendar": "ph", "roll": "following"}}, ["/business_days/calendar"]),
            ({"business_days": {"calendar": "PHL"}}, ["/business_days/calendar"]),
            ({"business_days": {"calendar": "UK"}}, ["/business_days/calendar"]),
            ({"business_days": {"calendar": "weekends"}}, ["/business_days/calendar"]),
            ({"debit_time": "23:00", "debit_window_minutes": 61}, ["/debit_window_minutes"]),
            ({"catch_up": {"within_days": 14}}, ["/catch_up/within_days"]),
            ({"frequency": "weekly", "catch_up": {"within_days": 4}}, ["/catch_up/within_days"]),
            ({"catch_up": {"then": "merge"}}, ["/catch_up/then"]),
            ({"catch_up": {"then": "merge"}, "max_amount_per_cycle": 99800}, ["/catch_up/then"]),
            (UNSCHEDULED | {"catch_up": {"then": "merge"}}, ["/catch_up/then"]),
        ],
    )
    def test_unsound(self, changes: dict[str, Any], expected: list[str]) -> None:
        assert pointers(monthly(**changes)) == expected

    def test_terms_stored_by_the_first_release_still_load(self) -> None:
        """As 0.1.0 wrote them: nothing about windows and catch-up, and a calendar nobody had looked up."""
        stored = {
            "type": "recurring",
            "amount": {"currency": "PHP", "value": 49900},
            "amount_variability": "fixed",
            "max_amount_per_cycle": None,
            "frequency": "monthly",
            "cycle_interval_days": 25,
            "payment_processing_day": 31,
            "start_date": "2027-01-31",
            "expiry_date": "2028-12-31",
            "total_cycles": 12,
            "timezone": "Asia/Manila",
            "debit_time": "09:00",
            "business_days": {"calendar": "weekends", "roll": "none"},
            "seller": None,
        }
        terms = Terms.model_validate(stored)
        assert terms == monthly(business_days={"calendar": "weekends"})
        assert last_cycle(Plan(terms)) == 12

    @pytest.mark.parametrize(("frequency", "seconds"), [("weekly", 2), ("monthly", 2), ("yearly", 5)])
    def test_a_thousand_rolled_cycles_are_checked_while_a_caller_waits(self, frequency: str, seconds: int) -> None:
        """In seconds of a processor; the bounds are generous, for a slow one."""
        terms = monthly(
            frequency=frequency, total_cycles=999, expiry_date="2999-12-31", cycle_interval_days=1
        ).model_copy(update={"business_days": BusinessDays(calendar="US-CA", roll=Roll.FOLLOWING)})
        began = process_time()
        assert problems(terms, TODAY) == []
        assert process_time() - began < seconds

    def test_a_gap_names_the_two_dates(self) -> None:
        [problem] = problems(monthly(cycle_interval_days=30), TODAY)
        assert "2027-01-31 and 2027-02-28 are 28 days apart" in problem.detail

    def test_gaps_after_the_last_cycle_do_not_count(self) -> None:
        assert problems(monthly(start_date="2027-03-31", cycle_interval_days=30, total_cycles=9), TODAY) == []
        assert pointers(monthly(start_date="2027-03-31", cycle_interval_days=30)) == ["/cycle_interval_days"]

    def test_a_cap_below_the_amount_is_named_so(self) -> None:
        [problem] = problems(monthly(max_amount_per_cycle=100), TODAY)
        assert problem.detail.startswith("amount above cap")

    @given(scheduled_terms(dated=True), st.integers(1, 12))
    def test_sound_terms_have_a_first_date_and_keep_their_gap(self, terms: Terms, total: int) -> None:
        terms = terms.model_copy(update={"total_cycles": total})
        assert terms.start_date
        assert terms.cycle_interval_days
        last = last_cycle(Plan(terms))
        assert last is not None
        dates = [cycle_date(terms, n) for n in range(1, last + 1)]
        gaps = [(later - earlier).days for earlier, later in pairwise(dates)]
        sound = last >= 1 and min(gaps, default=366) >= terms.cycle_interval_days
        assert (problems(terms, terms.start_date) == []) == sound
