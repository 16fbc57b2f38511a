"""When a credential that the provider no longer has counts as taken away by the payer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.on_file import plausible, taken_away

DAY = timedelta(days=1)
NOW = datetime(2027, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "found"), [(timedelta(0), False), (timedelta(hours=11), False), (timedelta(hours=12), True), (DAY, True)]
)
def test_a_second_check_counts_half_an_interval_after_the_first(ago: timedelta, found: bool) -> None:
    assert taken_away(NOW - ago, NOW, DAY) is found


@given(st.integers(min_value=0, max_value=5), st.integers(min_value=0, max_value=1000))
def test_a_few_are_always_believed(missing: int, held: int) -> None:
    assert plausible(missing, missing + held)


@given(st.integers(min_value=6, max_value=1000), st.integers(min_value=0, max_value=2000))
def test_many_are_believed_only_where_at_least_as_many_are_still_there(missing: int, held: int) -> None:
    assert plausible(missing, missing + held) == (held >= missing)
