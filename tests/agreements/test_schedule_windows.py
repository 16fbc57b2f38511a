"""Jitter, the debit window, and hours in which a rail takes no debits."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest
from pydantic import ValidationError

from agreements.problems import problems
from agreements.schedule import ForbiddenWindow, Plan, allowed, due_at, in_debit_window, jitter, last_cycle, planned
from agreements.terms import Terms
from tests.agreements.strategies import monthly

MORNING = ForbiddenWindow(id="upi.morning", timezone="Asia/Kolkata", start=time(10, 0), end=time(13, 0))
EVENING = ForbiddenWindow(id="upi.evening", timezone="Asia/Kolkata", start=time(17, 0), end=time(21, 30))
NIGHT = ForbiddenWindow(id="night", timezone="Asia/Kolkata", start=time(22, 0), end=time(6, 0))
START = date(2027, 1, 31)
UPI = (MORNING, EVENING)


def kolkata(**changes: object) -> Terms:
    return monthly(timezone="Asia/Kolkata", **changes)


def ist(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A time of January 2027 in India, five and a half hours ahead."""
    return datetime(2027, 1, day, hour, minute, second, tzinfo=UTC) - timedelta(hours=5, minutes=30)


class TestJitter:
    def test_without_a_window_everybody_is_due_at_the_debit_time(self) -> None:
        assert {jitter(Plan(monthly(), key)) for key in "abc"} == {timedelta(0)}

    def test_each_agreement_keeps_a_second_of_its_own(self) -> None:
        plan = Plan(monthly(debit_window_minutes=60), "agr_1")
        assert [line.due_at.timetz() for line in planned(plan, 1, 12)] == [due_at(plan, 1).timetz()] * 12
        assert {line.rules[-1] for line in planned(plan, 1, 12)} == {"jitter"}
        assert len({jitter(Plan(plan.terms, f"agr_{n}")) for n in range(100)}) > 90

    def test_it_is_the_same_on_every_machine(self) -> None:
        """SHA-256 of "agr_1", as `sha256sum` prints it, modulo 3600 seconds."""
        digest = 0xF06C415613E1325A37307F0C7BF377CD52FE401DE5CFB03E37EA172F23DFB9DF
        assert jitter(Plan(monthly(debit_window_minutes=60), "agr_1")) == timedelta(seconds=digest % 3600)

    def test_a_window_is_filled_evenly(self) -> None:
        """Ten thousand agreements over ten minutes: about a thousand in each, never a heap."""
        terms = monthly(debit_window_minutes=10)
        minutes = Counter(jitter(Plan(terms, f"agr_{n}")) // timedelta(minutes=1) for n in range(10_000))
        assert sorted(minutes) == list(range(10))
        assert all(850 < many < 1150 for many in minutes.values())


class TestForbiddenWindows:
    @pytest.mark.parametrize(
        ("instant", "moved", "rules"),
        [
            (ist(31, 9, 59, 59), ist(31, 9, 59, 59), ()),
            (ist(31, 10), ist(31, 13), ("upi.morning",)),
            (ist(31, 12, 59, 59), ist(31, 13), ("upi.morning",)),
            (ist(31, 13), ist(31, 13), ()),
            (ist(30, 18), ist(30, 21, 30), ("upi.evening",)),
            (ist(30, 22), ist(31, 6), ("night",)),
            (ist(31, 5, 59), ist(31, 6), ("night",)),
        ],
    )
    def test_an_instant_inside_moves_to_the_end(
        self, instant: datetime, moved: datetime, rules: tuple[str, ...]
    ) -> None:
        assert allowed(Plan(kolkata(), windows=(*UPI, NIGHT)), instant) == (moved, rules)

    def test_windows_that_touch_act_one_after_the_other(self) -> None:
        noon = ForbiddenWindow(id="noon", timezone="UTC", start=time(7, 30), end=time(9, 0))
        assert allowed(Plan(kolkata(), windows=(noon, MORNING)), ist(31, 11)) == (
            ist(31, 14, 30),
            ("upi.morning", "noon"),
        )

    def test_the_rule_is_named_with_the_date(self) -> None:
        line = planned(Plan(kolkata(debit_time="10:30"), "agr_1", UPI), 1, 1)[0]
        assert (line.date, line.due_at) == (date(2027, 1, 31), ist(31, 13))
        assert line.rules == ("anchor", "upi.morning")

    def test_a_window_ends_in_the_second_of_two_hours(self) -> None:
        """New York on 7 November 2027: 01:00 to 02:00 comes twice, at 05:00 and 06:00 UTC, and is forbidden twice."""
        window = ForbiddenWindow(id="w", timezone="America/New_York", start=time(1, 10), end=time(1, 50))
        plan = Plan(monthly(), windows=(window,))
        for hour in (5, 6):
            inside = datetime(2027, 11, 7, hour, 20, tzinfo=UTC)
            assert allowed(plan, inside) == (datetime(2027, 11, 7, hour, 50, tzinfo=UTC), ("w",))

    def test_a_change_of_clocks_may_lead_out_of_a_window(self) -> None:
        """New York on 7 November 2027 at 06:00 UTC: 02:00 becomes 01:00, ten minutes before the window begins anew."""
        plan = Plan(
            monthly(), windows=(ForbiddenWindow(id="w", timezone="America/New_York", start=time(1, 10), end=time(2)),)
        )
        inside = datetime(2027, 11, 7, 5, 20, 30, 500_000, tzinfo=UTC)
        assert allowed(plan, inside) == (datetime(2027, 11, 7, 6, 0, tzinfo=UTC), ("w",))
        again = datetime(2027, 11, 7, 6, 10, tzinfo=UTC)
        assert allowed(plan, again) == (datetime(2027, 11, 7, 7, 0, tzinfo=UTC), ("w",))

    def test_a_cycle_pushed_past_the_expiry_date_is_not_owed(self) -> None:
        terms = kolkata(debit_time="22:30", expiry_date="2027-02-28")
        assert last_cycle(Plan(terms, windows=UPI)) == 2
        assert last_cycle(Plan(terms, windows=(NIGHT,))) == 1
        assert problems(terms, START, UPI) == []
        [problem] = problems(terms, START, (NIGHT,))
        assert problem.pointer == "/debit_time"
        assert "night puts the debit of 2027-02-28 off" in problem.detail

    def test_the_whole_debit_window_counts_for_the_last_cycle(self) -> None:
        """Only agreements whose jitter falls into the last minute would lose it; none is let in."""
        terms = kolkata(debit_time="21:00", debit_window_minutes=60, expiry_date="2027-02-28")
        assert problems(terms, START, (NIGHT,)) == []
        [problem] = problems(terms.model_copy(update={"debit_window_minutes": 61}), START, (NIGHT,))
        assert problem.pointer == "/debit_time"
        longer = terms.model_copy(update={"debit_window_minutes": 61, "expiry_date": date(2027, 3, 1)})
        assert problems(longer, START, (NIGHT,)) == []

    def test_windows_that_leave_no_time_are_an_error(self) -> None:
        halves = [("a", time(0, 0), time(12, 0)), ("b", time(12, 0), time(0, 0))]
        windows = tuple(ForbiddenWindow(id=id_, timezone="UTC", start=start, end=end) for id_, start, end in halves)
        with pytest.raises(ValueError, match="leave no time: a, b"):
            allowed(Plan(monthly(), windows=windows), ist(31, 9))

    @pytest.mark.parametrize("changes", [{"end": time(10, 0)}, {"timezone": "Asia/Bombay City"}, {"id": "Morning !"}])
    def test_a_window_that_means_nothing_is_refused(self, changes: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            ForbiddenWindow.model_validate(MORNING.model_dump() | changes)


class TestDebitWindow:
    PLAN = Plan(kolkata(debit_time="09:00", debit_window_minutes=120), "agr_1")

    @pytest.mark.parametrize(
        ("instant", "moved"),
        [
            (ist(30, 8), ist(30, 9)),
            (ist(30, 9), ist(30, 9)),
            (ist(30, 10, 59, 59), ist(30, 10, 59, 59)),
            (ist(30, 11), ist(31, 9)),
            (ist(30, 23), ist(31, 9)),
        ],
    )
    def test_the_next_moment_inside(self, instant: datetime, moved: datetime) -> None:
        assert in_debit_window(self.PLAN, instant) == moved

    def test_what_a_rail_forbids_of_it_is_left_out(self) -> None:
        plan = Plan(self.PLAN.terms, "agr_1", UPI)
        assert in_debit_window(plan, ist(30, 9, 59)) == ist(30, 9, 59)
        assert in_debit_window(plan, ist(30, 10)) == ist(31, 9)

    def test_a_window_forbidden_all_day_long_yields(self) -> None:
        plan = Plan(kolkata(debit_time="10:00", debit_window_minutes=60), "agr_1", UPI)
        assert in_debit_window(plan, ist(30, 8)) == ist(30, 13)

    def test_without_a_window_only_the_rail_counts(self) -> None:
        assert in_debit_window(Plan(kolkata()), ist(30, 3)) == ist(30, 3)
        assert in_debit_window(Plan(kolkata(), windows=UPI), ist(30, 11)) == ist(30, 13)

    @pytest.mark.parametrize(("opens", "minutes"), [("02:10", 20), ("02:10", 50), ("01:50", 70)])
    def test_a_debit_wanted_inside_a_gap_of_the_clocks_is_due_behind_it(self, opens: str, minutes: int) -> None:
        """Berlin, 28 March 2027: 02:00 to 03:00 does not exist. The window ends inside the gap, or just with it."""
        terms = monthly(timezone="Europe/Berlin", payment_processing_day=28, debit_time=opens)
        plan = Plan(terms.model_copy(update={"debit_window_minutes": minutes}), "agr_6")
        assert jitter(plan) > timedelta(minutes=10)
        assert due_at(plan, 2) == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
        assert in_debit_window(plan, due_at(plan, 2)) == due_at(plan, 2)
