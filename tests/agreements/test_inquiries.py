"""When a provider is asked again."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.guarantees import QueryLimits
from agreements.inquiries import LONGEST_WAIT, earliest_look, next_look, next_try
from tests.agreements.strategies import instants

SENT = datetime(2027, 1, 31, 1, 0, tzinfo=UTC)
PLAN = [5, 15, 45, 120, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, *(86400 * day for day in range(1, 8))]
OTTU = QueryLimits(first_after=timedelta(minutes=10), apart=timedelta(minutes=30), per_day=3)


def test_looks_made_in_time_follow_the_plan_and_after_a_week_it_is_a_persons() -> None:
    now = SENT
    for looks, seconds in enumerate(PLAN):
        look = next_look(SENT, looks, now)
        assert look == SENT + timedelta(seconds=seconds)
        now = look
    assert next_look(SENT, len(PLAN), now) is None


@given(instants, st.integers(1, 400), st.timedeltas(timedelta(0), timedelta(days=400)))
def test_a_look_is_ahead_and_at_most_a_day_away_until_the_week_is_over(
    sent_at: datetime, looks: int, age: timedelta
) -> None:
    now = sent_at + age
    look = next_look(sent_at, looks, now)
    if age >= timedelta(days=7):
        assert look is None
    else:
        assert look is not None
        assert now < look <= now + timedelta(days=1)
        assert (look - sent_at).total_seconds() in PLAN


@given(
    st.lists(st.timedeltas(timedelta(0), timedelta(hours=5)), max_size=60),
    st.builds(
        QueryLimits,
        first_after=st.timedeltas(timedelta(0), timedelta(minutes=30)),
        apart=st.timedeltas(timedelta(0), timedelta(hours=2)),
        per_day=st.one_of(st.none(), st.integers(1, 5)),
    ),
)
def test_looks_keep_the_providers_limits_however_late_each_is_made(late: list[timedelta], limits: QueryLimits) -> None:
    now, made = SENT, list[datetime]()
    for delay in late:
        planned = next_look(SENT, len(made), now, limits)
        if planned is None:
            break
        now = planned + delay
        made.append(now)
    assert all(look - SENT >= limits.first_after for look in made)
    assert all(later - earlier >= limits.apart for earlier, later in pairwise(made))
    assert not limits.per_day or all(
        sum(look <= other < look + timedelta(days=1) for other in made) <= limits.per_day + 1 for look in made
    )


def test_ottu_is_asked_three_times_a_day_from_the_tenth_minute_on() -> None:
    now, looks = SENT, 0
    offsets = []
    while (look := next_look(SENT, looks, now, OTTU)) is not None:
        offsets.append(look - SENT)
        now, looks = look, looks + 1
    assert [offset.total_seconds() / 60 for offset in offsets[:6]] == [10, 60, 180, 1450, 1500, 1620]
    assert all(sum(day <= other < day + timedelta(days=1) for other in offsets) <= 3 for day in offsets)


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


@given(instants, st.none() | st.timedeltas(timedelta(0), timedelta(days=7)))
def test_however_often_somebody_wants_to_know_the_provider_is_asked_as_seldom_as_it_allows(
    sent_at: datetime, looked_after: timedelta | None
) -> None:
    looked_at = None if looked_after is None else sent_at + OTTU.first_after + looked_after
    earliest = earliest_look(sent_at, looked_at, OTTU)
    assert earliest - sent_at >= OTTU.first_after
    assert looked_at is None or earliest - looked_at == OTTU.apart
    assert earliest_look(sent_at, looked_at, QueryLimits()) <= max(sent_at, looked_at or sent_at)
