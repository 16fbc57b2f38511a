"""What the names of Antom's settlement files say (gateways/antom.md §10.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from agreements.reconciliation import ReportKind
from agreements.reconciliation.reports import BadReport

_TRANSACTIONS = re.compile(r"transactionItems_(\d{8})_\d{3}\.csv", re.IGNORECASE)
_BATCH = re.compile(r"settlement(Items|Summary)_([A-Z]{3})_([^_]{1,64})_\d{3}\.csv", re.IGNORECASE)
_OLDER_PRODUCT = re.compile(r"_fptrade_", re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """A file as its name tells it: of a day, or of a batch in a currency."""

    kind: ReportKind
    day: date | None = None
    currency: str | None = None
    batch: str | None = None


def named(name: str) -> Named | None:
    """None for a name that says nothing. Raises BadReport for files that are none of these."""
    if _OLDER_PRODUCT.search(name):
        raise BadReport(f"{name} belongs to an older product, and is not for reconciling")
    if found := _TRANSACTIONS.fullmatch(name):
        return Named(ReportKind.TRANSACTIONS, day=_day(name, found[1]))
    if found := _BATCH.fullmatch(name):
        details = found[1].lower() == "items"
        kind = ReportKind.SETTLEMENT if details else ReportKind.SUMMARY
        return Named(kind, currency=found[2].upper(), batch=found[3])
    return None


def _day(name: str, digits: str) -> date:
    try:
        return datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007 - a day of Antom's, without a time
    except ValueError as error:
        raise BadReport(f"{name}: there is no day {digits}") from error
