"""The cells of one row of a settlement file: text, money in major units, times with an offset."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from agreements.money import exponent
from agreements.reconciliation.reports import BadReport

_NUMBER = re.compile(r"(-?)(\d{1,15})(?:\.(\d{1,14}))?", re.ASCII)
_LONGEST = 256
_FEES = (
    "paymentMethodFee",
    "interchangeFee",
    "schemeFee",
    "acquirerMarkup",
    "processingFee",
    "taxFee",
    "refundFee",
    "disputeHandlingFee",
    "financingFee",
    "rdrFee",
    "anticipationFee",
    "riskDecisionServiceFee",
    "riskManagementFee",
    "cdrnFee",
    "iofFee",
)
_FEE_COLUMNS = (
    *((f"{name}AmountValue", f"{name}Currency") for name in _FEES),
    ("withholdingTaxAmountValue", "withholdingTaxFeeCurrency"),
    ("fxFeeAmountValue", "fxFeeAmountCurrency"),
)
"""Parts of the fee; the newest files' spelling is unverified (§10.2)."""

Amount = tuple[int, str]
"""Minor units and currency."""


class Cells:
    """One row by column name. Every method raises BadReport, naming line and column."""

    def __init__(self, line: int, fields: Mapping[str, str]) -> None:
        self.line = line
        self._fields = fields

    def text(self, column: str) -> str | None:
        """None where the cell is empty, or the file has no such column."""
        value = self._fields.get(column, "").strip()
        if len(value) > _LONGEST or not value.isprintable():
            raise BadReport("unreadable text", self.line, column)
        return value or None

    def needed(self, column: str) -> str:
        """The same where something must be."""
        value = self.text(column)
        if value is None:
            raise BadReport("is empty", self.line, column)
        return value

    def whole(self, column: str) -> int:
        """A count."""
        value = self.needed(column)
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise BadReport(f"{value!r} is not a number", self.line, column)
        return int(value)

    def money(self, column: str, currency_column: str) -> Amount:
        """An amount in minor units."""
        currency = self.needed(currency_column)
        value = self.needed(column)
        return self._minor(column, value, self._exponent(currency_column, currency)), currency

    def optional_money(self, column: str, currency_column: str) -> Amount | None:
        """None where there is none; an amount without its currency is an error."""
        return None if self.text(column) is None else self.money(column, currency_column)

    def fee(self) -> Amount | None:
        """The total of the fees, or the sum of what it is made of where the file has no total."""
        total = self.optional_money("feeAmountValue", "feeCurrency")
        if total is not None:
            return total
        parts = [found for columns in _FEE_COLUMNS if (found := self.optional_money(*columns)) is not None]
        currencies = {currency for _, currency in parts}
        if len(currencies) > 1:
            raise BadReport(f"fees in {' and '.join(sorted(currencies))}, and no total", self.line)
        return (sum(value for value, _ in parts), currencies.pop()) if parts else None

    def time(self, column: str) -> datetime | None:
        """An instant, UTC."""
        value = self.text(column)
        if value is None:
            return None
        try:
            found = datetime.fromisoformat(value)
            if found.tzinfo is None:
                raise BadReport(f"{value!r} has no offset from UTC", self.line, column)
            return found.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise BadReport(f"{value!r} is not a time", self.line, column) from error

    def _exponent(self, column: str, currency: str) -> int:
        try:
            return exponent(currency)
        except ValueError as error:
            raise BadReport(f"{currency!r} is not a currency", self.line, column) from error

    def _minor(self, column: str, value: str, digits: int) -> int:
        found = _NUMBER.fullmatch(value)
        if found is None:
            raise BadReport(f"{value!r} is not an amount such as 499.00", self.line, column)
        sign, whole, fraction = found.groups("")
        if fraction[digits:].strip("0"):
            raise BadReport(f"{value!r} has more decimals than the currency's {digits}", self.line, column)
        minor = int(whole + fraction[:digits].ljust(digits, "0"))
        return -minor if sign else minor
