"""An installation's own debit window, for terms that leave it open."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from agreements.problems import problems
from agreements.schedule import Plan, jitter
from agreements.terms import Terms, spread
from tests.agreements.strategies import monthly


def open_terms(**changed: object) -> Terms:
    """As a merchant sends them: only what is named is set."""
    return Terms.model_validate(monthly().model_dump(mode="json", exclude_unset=True) | changed)


def test_terms_that_leave_it_open_get_the_installations_window() -> None:
    plan = Plan(spread(open_terms(), 60), "agr_1")
    assert plan.terms.debit_window_minutes == 60
    assert timedelta(0) < jitter(plan) < timedelta(minutes=60)


@pytest.mark.parametrize("said", [None, 15])
def test_terms_that_say_what_they_want_keep_it(said: int | None) -> None:
    assert spread(open_terms(debit_window_minutes=said), 60).debit_window_minutes == said


def test_without_a_window_of_the_installation_nothing_is_added() -> None:
    assert spread(open_terms(), None) == open_terms()


@pytest.mark.parametrize(("debit_time", "left"), [("22:59", 60), ("23:00", 60), ("23:15", 45), ("23:59", 1)])
def test_a_window_that_nobody_asked_for_does_not_make_terms_wrong(debit_time: str, left: int) -> None:
    """It ends at midnight, as a window has to."""
    terms = spread(open_terms(debit_time=debit_time), 60)
    assert terms.debit_window_minutes == left
    assert problems(terms, date(2027, 1, 31)) == []


def test_debits_on_demand_have_no_date_that_others_have_too() -> None:
    terms = Terms.model_validate({"type": "unscheduled"})
    assert spread(terms, 60).debit_window_minutes is None
