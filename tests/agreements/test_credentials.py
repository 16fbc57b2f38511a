"""The life of a token."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.credentials import refresh_at, usable
from tests.agreements.strategies import instants

ISSUED = datetime(2027, 1, 1, tzinfo=UTC)
lives = st.timedeltas(timedelta(minutes=1), timedelta(days=3650))


@given(instants, lives, st.none() | lives)
def test_a_refresh_comes_before_either_token_dies_and_never_at_once(
    issued: datetime, life: timedelta, refresh_life: timedelta | None
) -> None:
    expires_at = issued + life
    refresh_expires_at = None if refresh_life is None else issued + refresh_life
    at = refresh_at(expires_at, refresh_expires_at, True, issued)
    assert at is not None
    assert issued < at < expires_at
    assert refresh_life is None or at < issued + refresh_life
    if life > timedelta(days=45) and (refresh_life is None or refresh_life > life):
        assert timedelta(days=15) <= expires_at - at <= timedelta(days=16)
    if refresh_life is not None and refresh_life >= timedelta(days=2):
        assert at <= issued + refresh_life - timedelta(days=1)


@pytest.mark.parametrize(
    ("life", "refresh_life", "expected"),
    [
        (timedelta(days=365), timedelta(days=400), timedelta(days=350)),
        (timedelta(days=365), None, timedelta(days=350)),
        (timedelta(days=30), timedelta(days=60), timedelta(days=20)),
        (timedelta(hours=3), timedelta(days=60), timedelta(hours=2)),
        (timedelta(days=365), timedelta(days=100), timedelta(days=99)),
        (timedelta(days=365), timedelta(days=1), timedelta(hours=12)),
    ],
)
def test_refreshes(life: timedelta, refresh_life: timedelta | None, expected: timedelta) -> None:
    refresh_expires_at = None if refresh_life is None else ISSUED + refresh_life
    assert refresh_at(ISSUED + life, refresh_expires_at, True, ISSUED) == ISSUED + expected


@pytest.mark.parametrize(
    ("life", "refresh_life", "refreshable"),
    [
        (timedelta(days=365), timedelta(days=400), False),
        (None, timedelta(days=400), True),
        (timedelta(0), timedelta(days=400), True),
        (timedelta(days=365), timedelta(0), True),
    ],
)
def test_no_refresh_where_none_can_help(life: timedelta | None, refresh_life: timedelta, refreshable: bool) -> None:
    expires_at = None if life is None else ISSUED + life
    assert refresh_at(expires_at, ISSUED + refresh_life, refreshable, ISSUED) is None


def test_usable_until_the_instant_of_expiry() -> None:
    assert usable(ISSUED, ISSUED - timedelta(microseconds=1))
    assert not usable(ISSUED, ISSUED)
    assert usable(None, ISSUED)
