"""What may change without asking the payer again: only what takes less than was agreed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements import amounts, catalog
from agreements.amendments import TABLE, changed, needed
from agreements.money import Money
from agreements.terms import Terms
from tests.agreements.strategies import monthly, scheduled_terms

PAGE = (Path(__file__).parents[2] / "docs" / "amendments.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `")]

GCASH = catalog.method("antom", "GCASH")
SELLER = {"name": "Example Store"}


def variable(**changes: Any) -> Terms:
    return monthly(amount_variability="variable", max_amount_per_cycle=100_000, **changes)


def after(before: Terms, **changes: Any) -> Terms:
    return Terms.model_validate(before.model_dump(mode="json") | changes)


def php(value: int, currency: str = "PHP") -> dict[str, Any]:
    return {"currency": currency, "value": value}


def pointers(before: Terms, currency: str | None = None, **changes: Any) -> list[str]:
    return [each.pointer for each in needed(before, after(before, **changes), currency)]


def test_the_table_names_every_field_of_the_terms_once() -> None:
    assert set(TABLE) == set(Terms.model_fields)


def test_the_page_says_what_the_table_says() -> None:
    assert [[f"`{field}`", rule.allowed, rule.otherwise] for field, rule in TABLE.items()] == ROWS


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": php(1)},
        {"amount": php(100_000)},
        {"amount": None},
        {"max_amount_per_cycle": 49_900},
        {"expiry_date": "2028-12-30"},
        {"total_cycles": 11},
        {"amount": php(20_000), "max_amount_per_cycle": 20_000, "total_cycles": 1},
        {},
    ],
)
def test_what_takes_less_is_allowed(changes: dict[str, Any]) -> None:
    assert pointers(variable(), **changes) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", php(100_001)),
        ("amount", php(49_900, "USD")),
        ("max_amount_per_cycle", 100_001),
        ("max_amount_per_cycle", None),
        ("expiry_date", "2029-01-01"),
        ("expiry_date", None),
        ("total_cycles", 13),
        ("total_cycles", None),
        ("type", "other"),
        ("amount_variability", "fixed"),
        ("frequency", "weekly"),
        ("cycle_interval_days", 24),
        ("cycle_interval_days", 26),
        ("payment_processing_day", 30),
        ("start_date", "2027-01-30"),
        ("timezone", "UTC"),
        ("debit_time", "10:00"),
        ("debit_window_minutes", 30),
        ("business_days", {"calendar": "PH", "roll": "following"}),
        ("catch_up", {"within_days": 1}),
        ("seller", SELLER),
    ],
)
def test_what_widens_or_moves_needs_the_payer(field: str, value: Any) -> None:
    [found] = needed(variable(), after(variable(), **{field: value}), None)
    assert found == (f"/{field}", TABLE[field].otherwise)


@pytest.mark.parametrize("value", [1, 49_899, 49_901])
def test_a_fixed_amount_never_changes(value: int) -> None:
    assert pointers(monthly(), amount=php(value)) == ["/amount"]


def test_the_currency_of_the_first_amount_holds() -> None:
    open_amount = variable(amount=None)
    assert pointers(open_amount, currency="PHP", amount=php(100)) == []
    assert pointers(open_amount, currency="PHP", amount=php(100, "USD")) == ["/amount"]
    assert pointers(open_amount, currency=None, amount=php(100, "USD")) == []


@given(before=scheduled_terms(dated=True), days=st.integers(-400, 400), cycles=st.integers(-5, 5))
def test_the_later_the_end_the_more_the_payer_must_be_asked(before: Terms, days: int, cycles: int) -> None:
    expiry, total = before.expiry_date, before.total_cycles or 500
    assert expiry is not None
    before = before.model_copy(update={"total_cycles": total})
    moved = before.model_copy(
        update={"expiry_date": expiry + timedelta(days=days), "total_cycles": max(total + cycles, 1)}
    )
    wider = [("/expiry_date", days > 0), ("/total_cycles", max(total + cycles, 1) > total)]
    assert [found.pointer for found in needed(before, moved, None)] == [pointer for pointer, is_ in wider if is_]
    assert set(changed(before, moved)) >= {pointer[1:] for pointer, is_ in wider if is_}


@given(value=st.integers(1, 200_000), cap=st.integers(1, 200_000), fixed=st.booleans())
def test_an_amount_is_taken_exactly_when_the_terms_and_the_method_take_it(value: int, cap: int, fixed: bool) -> None:
    """GCash: PHP 1.00 at least (gateways/antom.md §7.2)."""
    terms = (
        monthly(max_amount_per_cycle=cap) if fixed else monthly(amount_variability="variable", max_amount_per_cycle=cap)
    )
    found = amounts.problem(terms, Money(currency="PHP", value=value), "PHP", GCASH)
    fits = 100 <= value <= cap and (not fixed or value == 49_900)
    assert (found is None) is fits
    assert found is None or found.pointer == "/value"


@pytest.mark.parametrize(("currency", "wanted"), [("PHP", "USD"), (None, "USD"), ("USD", "PHP")])
def test_another_currency_is_refused(currency: str | None, wanted: str) -> None:
    found = amounts.problem(variable(amount=None), Money(currency=wanted, value=500), currency, GCASH)
    assert found is not None
    assert found.pointer == "/currency"
