"""Writes the table of docs/payment-methods.md from the catalog: `python -m tests.docs.payment_methods_page`."""

from __future__ import annotations

import re
from pathlib import Path

from agreements import catalog
from agreements.catalog import PaymentMethod, Per
from agreements.money import Money

PAGE = Path(__file__).parents[2] / "docs" / "payment-methods.md"
_TABLE = re.compile(r"^\| gateway \|.*?\n\n", re.MULTILINE | re.DOTALL)
_HEAD = "| gateway | `type` | name | region | takes | limits | refresh | refunds | verification | availability |"
_PER = {Per.UNSTATED: ""}
_REFRESH = {None: "by token", True: "yes", False: "no"}


def table() -> str:
    """One row per method, in the order of the catalog."""
    return "\n".join([_HEAD, "|---" * _HEAD.count(" |") + "|", *map(_row, catalog.METHODS)]) + "\n\n"


def with_table(page: str) -> str:
    """The page with its table as it should be."""
    return _TABLE.sub(lambda _: table(), page, count=1)


def _row(entry: PaymentMethod) -> str:
    limits = ", ".join(f"{_money(entry, at.value)}{_PER.get(at.per, f' per {at.per}')}" for at in entry.limits)
    steps = f", multiples of {_money(entry, entry.multiple_of)}" if entry.multiple_of > 1 else ""
    available = entry.availability.replace("_", " ")
    cells = (
        entry.gateway,
        f"`{entry.type}`",
        entry.name,
        entry.region,
        f"{_money(entry, entry.minimum) if entry.minimum else entry.currency}{steps}",
        limits or "not published",
        _REFRESH[entry.refreshable] + (f", {entry.refresh_days} days ahead" if entry.refresh_days else ""),
        f"{entry.refund_days} days" if entry.refund_days else "not known",
        _money(entry, entry.verification) if entry.verification else "none",
        f"{available}. {entry.note}" if entry.note else available,
    )
    return f"| {' | '.join(cells)} |"


def _money(entry: PaymentMethod, value: int) -> str:
    return str(Money(currency=entry.currency, value=value))


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
