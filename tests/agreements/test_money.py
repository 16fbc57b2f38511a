"""Amounts: exponents and how people read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agreements.money import Money, exponent, major_units


@pytest.mark.parametrize(
    ("currency", "value", "text"),
    [
        ("PHP", 49900, "PHP 499.00"),
        ("PHP", 5, "PHP 0.05"),
        ("JPY", 1234567, "JPY 1,234,567"),
        ("KWD", 1005, "KWD 1.005"),
        ("USD", 123456789, "USD 1,234,567.89"),
    ],
)
def test_as_people_read_it(currency: str, value: int, text: str) -> None:
    assert str(Money(currency=currency, value=value)) == text


@pytest.mark.parametrize(
    ("currency", "value", "text"), [("PHP", -149_905, "-1499.05"), ("KWD", -1, "-0.001"), ("JPY", 0, "0")]
)
def test_sums_may_be_below_zero(currency: str, value: int, text: str) -> None:
    assert major_units(value, currency) == text


@given(st.sampled_from(["PHP", "JPY", "KWD", "USD", "EUR", "VND", "BHD", "CLF"]), st.integers(1, 10**15))
def test_the_text_is_the_amount(currency: str, value: int) -> None:
    """Reading the text back by the currency's exponent gives the minor units again."""
    code, _, number = str(Money(currency=currency, value=value)).partition(" ")
    assert code == currency
    assert Decimal(number.replace(",", "")).scaleb(exponent(currency)) == value
    assert len(number.partition(".")[2]) == exponent(currency)


@pytest.mark.parametrize("currency", ["ZZZ", "php", "XAU", "", "PHPX"])
def test_only_currencies_with_minor_units(currency: str) -> None:
    with pytest.raises(ValidationError, match="not an ISO 4217 currency"):
        Money(currency=currency, value=1)


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, 10**15 + 1])
def test_only_positive_integers(value: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"currency": "PHP", "value": value})
