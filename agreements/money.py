"""Money: an amount in minor units with its ISO 4217 currency. Never a float."""

from __future__ import annotations

from typing import Annotated

import iso4217
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt


def _known(code: str) -> str:
    exponent(code)
    return code


def exponent(currency: str) -> int:
    """Decimals of a currency's minor unit by ISO 4217 (JPY 0, PHP 2, KWD 3). Raises ValueError if it has none."""
    try:
        digits = iso4217.Currency(currency).exponent
    except ValueError:
        digits = None
    if digits is None:
        raise ValueError(f"{currency!r} is not an ISO 4217 currency with minor units")
    return int(digits)


def major_units(minor: int, currency: str, grouping: str = "") -> str:
    """An amount in major units with all of the currency's decimals, and its sign: `1499.00`, or with "," `1,499.00`."""
    digits = exponent(currency)
    whole, fraction = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole:{grouping}}" + (f".{fraction:0{digits}d}" if digits else "")


CurrencyCode = Annotated[str, AfterValidator(_known)]


class Money(BaseModel):
    """A positive amount of one currency, in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: CurrencyCode
    value: Annotated[StrictInt, Field(gt=0, le=10**15)]

    def __str__(self) -> str:
        return f"{self.currency} {major_units(self.value, self.currency, ',')}"


class MoneyTotal(BaseModel):
    """A sum of money, which may be zero."""

    model_config = ConfigDict(frozen=True)

    currency: CurrencyCode
    value: Annotated[StrictInt, Field(ge=0)]
