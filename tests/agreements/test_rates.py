"""A rate is a promise about every stretch of time, whatever a token bucket lets through at once."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreements.rates import Rate, apart, of, read

_BUCKET = 1.0
_BUNCHED = 1.0


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50", Rate(50)),
        ("50/s", Rate(50)),
        ("1800/min", Rate(1800, 60)),
        ("9000/h", Rate(9000, 3600)),
        ("90000/day", Rate(90_000, 86_400)),
    ],
)
def test_a_rate_is_read(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize("text", ["", "0/s", "-1/s", "1.5/s", "50/week", "fast", "50 /s", "٥٠/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        Rate.parse(text)


def test_a_setting_names_gateways() -> None:
    assert read("antom=50/s, ottu=1800/min,") == (("antom", Rate(50)), ("ottu", Rate(1800, 60)))
    for wrong in ("antom", "antom=1/s,antom=2/s"):
        with pytest.raises(ValueError, match=r"gateway=rate|named twice"):
            read(wrong)


@settings(max_examples=60)
@given(
    calls=st.integers(1, 40),
    seconds=st.sampled_from([1, 5, 60]),
    each=st.integers(1, 2),
    waits=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.3, 7.0]), min_size=50, max_size=60),
    delays=st.lists(st.floats(0, _BUNCHED), min_size=60, max_size=60),
)
def test_no_stretch_of_time_sees_more_calls_than_the_rate(
    calls: int, seconds: int, each: int, waits: list[float], delays: list[float]
) -> None:
    """Tasks leave as early as a bucket of one second lets them; a worker is up to a second slower with one than with
    another. A task of two calls counts for two.
    """
    rate = Rate(calls * each, seconds)
    apart = 1 / rate.tasks_per_second(each)
    now, allowed, arrivals = 0.0, 0.0, list[float]()
    for wait, delay in zip(waits, delays, strict=False):
        now += wait
        leaves = max(now, allowed - _BUCKET)
        allowed = max(allowed, leaves) + apart
        arrivals.append(leaves + delay)
    arrivals.sort()
    for first, start in enumerate(arrivals):
        assert (bisect_left(arrivals, start + seconds) - first) * each <= rate.calls


def test_a_long_task_takes_a_tenth_of_a_rate_and_hurries_no_more_than_without_one() -> None:
    pairs = read("ottu=60/min,pivot=100/s")
    assert isinstance(pairs, tuple)
    assert 60 / apart(of(pairs, "ottu"), 0.2) <= 6
    assert apart(of(pairs, "pivot"), 0.5) == 0.5
    assert apart(of(pairs, "antom"), 0.2) == 0.2
