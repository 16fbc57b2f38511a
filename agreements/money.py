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


CurrencyCode = Annotated[str, AfterValidator(_known)]


class Money(BaseModel):
    """A positive amount of one currency, in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: CurrencyCode
    value: Annotated[StrictInt, Field(gt=0, le=10**15)]

    def __str__(self) -> str:
        digits = exponent(self.currency)
        whole, fraction = divmod(self.value, 10**digits)
        return f"{self.currency} {whole:,}" + (f".{fraction:0{digits}d}" if digits else "")


class MoneyTotal(BaseModel):
    """A sum of money, which may be zero."""

    model_config = ConfigDict(frozen=True)

    currency: CurrencyCode
    value: Annotated[StrictInt, Field(ge=0)]
