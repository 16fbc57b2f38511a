"""docs/payment-methods.md lists what the catalog holds."""

from __future__ import annotations

from agreements import catalog
from agreements.catalog import Availability
from tests.docs.payment_methods_page import PAGE, table, with_table


def test_the_table_is_the_catalog() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert table() in page, "run: python -m tests.docs.payment_methods_page"
    assert with_table(page) == page
    assert all(f"`{availability}`" in page for availability in Availability)
    assert all(entry.note for entry in catalog.METHODS if entry.availability is not Availability.AVAILABLE)
