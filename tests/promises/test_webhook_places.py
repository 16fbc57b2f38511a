"""A receiver that hangs: how many of a worker's places it takes, and how often what it keeps waiting asks again."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from activities.capacity import LEAST_WEBHOOKS
from activities.places import AT_ONCE, AT_ONCE_WHILE_FAILING, Places
from store.tables import WebhookEndpoint

NOW = datetime(2027, 2, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def endpoint(id_: str = "whe_1", failing_for: timedelta | None = None) -> WebhookEndpoint:
    since = None if failing_for is None else NOW - failing_for
    return WebhookEndpoint(
        id=id_, merchant_id="mer_1", livemode=True, url="", event_types=[], sealed_secret="", failing_since=since
    )


def test_one_endpoint_takes_a_part_of_the_places_and_a_failing_one_hardly_any() -> None:
    assert AT_ONCE < LEAST_WEBHOOKS, "also on a busy machine one that hangs leaves places to others"
    places, hangs = Places(), endpoint()
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            assert places.wait(hangs, NOW) is None
            stack.enter_context(places.taken(hangs.id))
        assert places.wait(hangs, NOW) is not None
        assert places.wait(endpoint("whe_2"), NOW) is None
    assert places.wait(hangs, NOW) is None
    failing = endpoint(failing_for=MINUTE)
    with ExitStack() as stack:
        for _ in range(AT_ONCE_WHILE_FAILING):
            assert places.wait(failing, NOW) is None
            stack.enter_context(places.taken(failing.id))
        assert places.wait(failing, NOW) is not None


def test_who_is_turned_away_comes_back_at_the_receivers_pace() -> None:
    """Calls of two seconds, twenty at once: ten places a second, so the hundredth has its own after ten seconds. When
    none has ended for five seconds, they seem to take five, and the next place is a quarter of a second later.
    """
    clock = Clock()
    places, slow = Places(clock), endpoint()
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(places.taken(slow.id))
        with places.taken(slow.id):
            clock.seconds += 2
        waits = [places.wait(slow, NOW) or timedelta(0) for _ in range(100)]
        assert waits[0] == timedelta(seconds=1), "and not sooner than a second"
        assert all(earlier <= later for earlier, later in pairwise(waits))
        assert waits[-1].total_seconds() == pytest.approx(10)
        clock.seconds += 5
        assert (places.wait(slow, NOW) or timedelta(0)).total_seconds() == pytest.approx(10 - 5 + 5 / 20)


@pytest.mark.parametrize(
    ("failing_for", "longest"),
    [
        (None, MINUTE),
        (timedelta(seconds=1), MINUTE),
        (timedelta(minutes=20), timedelta(minutes=20)),
        (timedelta(days=3), timedelta(hours=1)),
    ],
)
def test_nobody_waits_longer_than_the_endpoint_has_been_failing(
    failing_for: timedelta | None, longest: timedelta
) -> None:
    clock = Clock()
    places, hangs = Places(clock), endpoint(failing_for=failing_for)
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(places.taken(hangs.id))
        with places.taken(hangs.id):
            clock.seconds += 15
        assert max(places.wait(hangs, NOW) or timedelta(0) for _ in range(10_000)) == longest
