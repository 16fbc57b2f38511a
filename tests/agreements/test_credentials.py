"""The life of a token."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.credentials import last_day, learned, refresh_at, refuse_reuse, usable, warnings
from agreements.terms import Terms
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


def monthly(**terms: object) -> Terms:
    """Twelve debits on the 10th, from January to December 2027, in Manila."""
    return Terms.model_validate(
        {
            "type": "recurring",
            "amount": {"currency": "PHP", "value": 49900},
            "frequency": "monthly",
            "payment_processing_day": 10,
            "start_date": "2027-01-10",
            "total_cycles": 12,
            "timezone": "Asia/Manila",
        }
        | terms
    )


@pytest.mark.parametrize(
    ("month", "year", "last"), [(2, 2028, date(2028, 2, 29)), (12, 2027, date(2027, 12, 31)), (None, 2027, None)]
)
def test_a_card_is_good_to_the_last_day_of_its_month(month: int | None, year: int, last: date | None) -> None:
    assert last_day(month, year) == last


@pytest.mark.parametrize(
    ("expiry", "code"),
    [
        (date(2026, 12, 31), "expires_before_next_debit"),
        (date(2026, 12, 30), "expired"),
        (date(2027, 1, 9), "expires_before_next_debit"),
        (date(2027, 1, 10), "expires_before_last_debit"),
        (date(2027, 12, 9), "expires_before_last_debit"),
        (date(2027, 12, 10), None),
        (None, None),
    ],
)
def test_a_card_that_does_not_live_to_the_last_debit_is_warned_of(expiry: date | None, code: str | None) -> None:
    """It is 23:00 of 30 December in London and the 31st in Manila, whose day counts."""
    found = warnings([], expiry, monthly(), datetime(2026, 12, 30, 23, tzinfo=UTC))
    assert [warning.code for warning in found] == ([code] if code else [])


def test_without_a_last_debit_only_the_next_one_counts() -> None:
    now = datetime(2027, 6, 1, tzinfo=UTC)
    endless = monthly(total_cycles=None)
    assert warnings([], date(2027, 6, 30), endless, now) == ()
    assert [each.code for each in warnings([], date(2027, 6, 9), endless, now)] == ["expires_before_next_debit"]
    on_demand = Terms.model_validate({"type": "unscheduled", "frequency": "irregular"})
    assert warnings([], date(2027, 6, 1), on_demand, now) == ()
    assert [each.code for each in warnings([], date(2027, 5, 31), on_demand, now)] == ["expired"]
    assert warnings([], date(2027, 6, 1), None, now) == ()


def test_nothing_is_said_of_debits_once_the_last_has_passed() -> None:
    assert warnings([], date(2027, 12, 31), monthly(), datetime(2027, 12, 10, 2, tzinfo=UTC)) == ()


def test_what_the_scheme_said_of_a_card_is_passed_on() -> None:
    """Mastercard's advice 40 and 41 (payment-rules §2.2) warn whatever the expiry; other words pass as they are."""
    found = warnings(["prepaid", "single_use", "corporate"], None, monthly(), ISSUED)
    assert [warning.code for warning in found] == ["prepaid", "single_use", "corporate"]
    assert all(warning.detail for warning in found)


def test_what_a_decline_tells_of_a_card_is_kept_once_and_in_order() -> None:
    assert learned(["prepaid"], [None, "single_use", "prepaid", None]) == ["prepaid", "single_use"]
    assert learned([], [None]) == []


@dataclass
class Saved:
    """A wallet's token, on file and good."""

    gateway: str = "antom"
    account_id: str = "gwa_1"
    payment_method: str = "GCASH"
    status: str = "active"
    expiry_month: int | None = None
    expiry_year: int | None = None
    token_expires_at: datetime | None = None
    refresh_at: datetime | None = None
    refresh_expires_at: datetime | None = None

    def refused(self, *, in_use: bool = False, gateway: str = "antom", now: datetime = ISSUED) -> bool:
        reason = refuse_reuse(self, gateway=gateway, account_id="gwa_1", payment_method="GCASH", in_use=in_use, now=now)
        return reason is not None


def test_a_credential_is_used_again_where_it_was_given_and_while_it_is_good() -> None:
    later = ISSUED + timedelta(days=1)
    assert not Saved().refused()
    assert Saved(gateway="pivot").refused()
    assert Saved(account_id="gwa_2").refused()
    assert Saved(payment_method="MAYA").refused()
    assert Saved(expiry_month=12, expiry_year=2026).refused()
    assert not Saved(expiry_month=1, expiry_year=2027).refused()
    assert Saved(token_expires_at=ISSUED).refused()
    assert not Saved(token_expires_at=later).refused()


def test_an_expired_token_is_used_again_where_it_can_still_be_refreshed() -> None:
    before, later = ISSUED - timedelta(days=1), ISSUED + timedelta(days=1)
    assert not Saved(token_expires_at=ISSUED, refresh_at=before, refresh_expires_at=later).refused()
    assert Saved(token_expires_at=ISSUED, refresh_at=before, refresh_expires_at=ISSUED).refused()
    assert Saved(token_expires_at=ISSUED, refresh_at=None, refresh_expires_at=later).refused()


@pytest.mark.parametrize("status", ["replaced", "released", "release_failed", "revoked", "superseded"])
def test_what_was_given_up_is_not_used_again(status: str) -> None:
    assert Saved(status=status).refused(in_use=True)
    assert Saved(status="kept").refused()
    assert not Saved(status="kept").refused(in_use=True)


def test_ottu_ties_a_card_to_its_agreement() -> None:
    """gateways/ottu.md §4: other saved cards of the customer must not be charged for an agreement."""
    assert Saved(gateway="ottu").refused(gateway="ottu")
