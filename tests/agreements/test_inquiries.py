"""When a provider is asked again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.inquiries import LONGEST_WAIT, next_look, next_try
from tests.agreements.strategies import instants

SENT = datetime(2027, 1, 31, 1, 0, tzinfo=UTC)
PLAN = [5, 15, 45, 120, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 3 * 86400]


def test_looks_made_in_time_follow_the_plan() -> None:
    now = SENT
    for looks, seconds in enumerate(PLAN):
        look = next_look(SENT, looks, now)
        assert look == SENT + timedelta(seconds=seconds)
        now = look + timedelta(seconds=1)


@given(instants, st.integers(0, 400), st.timedeltas(timedelta(0), timedelta(days=400)))
def test_a_look_is_always_ahead_and_never_more_than_a_day_after_the_plan(
    sent_at: datetime, looks: int, age: timedelta
) -> None:
    now = sent_at + age
    look = next_look(sent_at, looks, now)
    planned = sent_at + timedelta(seconds=PLAN[looks] if looks < len(PLAN) else 86400 * (looks - 9))
    assert look > now
    assert look == planned or planned <= now < look <= now + timedelta(days=1)


@pytest.mark.parametrize(
    ("looks", "age", "expected"),
    [
        (0, timedelta(hours=2), timedelta(hours=2, seconds=5)),
        (3, timedelta(hours=2), timedelta(hours=3)),
        (3, timedelta(hours=3), timedelta(hours=6)),
        (3, timedelta(days=5, hours=1), timedelta(days=6)),
    ],
)
def test_after_an_outage(looks: int, age: timedelta, expected: timedelta) -> None:
    """Looked at soon if nobody has yet; otherwise back to the plan, without making up for what was missed."""
    assert next_look(SENT, looks, SENT + age) == SENT + expected


def test_tries_grow_to_six_hours() -> None:
    waits = [(next_try(tries, SENT) - SENT).total_seconds() for tries in range(1, 10)]
    assert waits == [5, 15, 45, 135, 405, 1215, 3645, 10935, 21600]


@given(st.integers(0, 10**9), instants)
def test_a_try_is_always_ahead_and_within_six_hours(tries: int, now: datetime) -> None:
    assert timedelta(seconds=5) <= next_try(tries, now) - now <= LONGEST_WAIT
