"""The gate's own reading of the terms: nothing passes that the payer did not agree to, whatever the rows say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements import enforcement
from agreements.money import Money
from agreements.schedule import ends_at
from agreements.terms import AmountVariability, Terms
from tests.agreements.strategies import monthly

NOW = datetime(2027, 3, 1, tzinfo=UTC)
UNSCHEDULED: dict[str, Any] = {"type": "unscheduled", "frequency": "irregular"}

values = st.integers(1, 200_000)
money = st.builds(Money, currency=st.sampled_from(["PHP", "USD"]), value=values)


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    """Fixed, variable with and without an amount, and on demand; with and without cap and total."""
    amount = draw(st.none() | values)
    return monthly(
        **draw(st.just({}) | st.just(UNSCHEDULED)),
        amount=None if amount is None else {"currency": "PHP", "value": amount},
        amount_variability=draw(st.sampled_from(AmountVariability)),
        max_amount_per_cycle=draw(st.none() | values),
        total_cycles=draw(st.none() | st.integers(1, 30)),
    )


@given(
    terms=terms(),
    amount=money,
    number=st.none() | st.integers(1, 40),
    first=st.sampled_from([None, "PHP", "USD"]),
    days=st.integers(-90, 900),
)
def test_what_passes_is_what_was_agreed_to(
    terms: Terms, amount: Money, number: int | None, first: str | None, days: int
) -> None:
    now = NOW + timedelta(days=days)
    fixed = terms.amount if terms.amount_variability is AmountVariability.FIXED else None
    currency = terms.amount.currency if terms.amount else first
    end = ends_at(terms)
    agreed = (
        currency in (None, amount.currency)
        and (fixed is None or amount == fixed)
        and (terms.max_amount_per_cycle is None or amount.value <= terms.max_amount_per_cycle)
        and now >= datetime(2027, 1, 30, 16, tzinfo=UTC)  # the start date begins in Manila
        and (end is None or now < end)
        and (number is None or terms.total_cycles is None or number <= terms.total_cycles)
    )
    assert (enforcement.refusal(terms, amount, number, now, first) is None) is agreed


@pytest.mark.parametrize(("unpaid", "coming", "fits"), [(60_000, 40_000, True), (60_000, 40_001, False)])
def test_a_carried_amount_stays_under_the_cap(unpaid: int, coming: int, fits: bool) -> None:
    agreed = monthly(amount_variability="variable", max_amount_per_cycle=100_000)
    carried = Money(currency="PHP", value=unpaid)
    assert enforcement.may_carry(agreed, carried, coming) is fits
    together = Money(currency="PHP", value=unpaid + coming)
    assert (enforcement.refusal(agreed, together, 2, NOW) is None) is fits


def test_nothing_is_carried_into_a_cycle_without_an_amount() -> None:
    agreed = monthly(amount=None, amount_variability="variable", max_amount_per_cycle=100_000)
    assert not enforcement.may_carry(agreed, Money(currency="PHP", value=1), None)
