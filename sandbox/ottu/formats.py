"""How Ottu writes money, dates and durations, and what it reads as such (gateways/ottu.md §1.5)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import iso4217

MOST_WHOLE_DIGITS = 13
_DURATION = re.compile(r"(?:(\d{1,4}) )?(\d{1,2}):(\d{2}):(\d{2})")


@lru_cache
def exponent(currency: str) -> int:
    """Decimals of a currency. Raises ValueError for what is no ISO 4217 code in capitals."""
    return int(iso4217.Currency(currency).exponent or 0) if currency.isupper() else _unknown(currency)


def _unknown(currency: str) -> int:
    raise ValueError(f"{currency!r} is no currency")


def minor(amount: Decimal, currency: str) -> int:
    """Minor units of an amount in major units. Raises ValueError with Ottu's words when it has no such form."""
    digits = exponent(currency)
    units = amount.scaleb(digits)
    if units != units.to_integral_value():
        raise ValueError(f"Ensure that there are no more than {digits} decimal places.")
    return int(units)


def major(units: int, currency: str) -> str:
    """Minor units as Ottu writes them, padded to the currency's decimals: `12.500` for 12500 fils."""
    digits = exponent(currency)
    return f"{Decimal(units).scaleb(-digits):.{digits}f}"


def read_amount(value: object) -> Decimal:
    """A decimal string or a JSON number, not negative. Raises ValueError."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError("A valid number is required.") from error
    if isinstance(value, bool) or not amount.is_finite():
        raise ValueError("A valid number is required.")
    if amount < 0:
        raise ValueError("Ensure this value is greater than or equal to 0.")
    if amount >= 10**MOST_WHOLE_DIGITS:
        raise ValueError(f"Ensure that there are no more than {MOST_WHOLE_DIGITS} digits before the decimal point.")
    return amount


def read_date(value: object) -> date:
    """`DD/MM/YYYY` as in Ottu's examples, or ISO 8601 as in its specification. Raises ValueError."""
    for form in ("%d/%m/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(str(value), form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise ValueError("Date has wrong format. Use one of these formats instead: DD/MM/YYYY, YYYY-MM-DD.")


def day_first(value: date) -> str:
    return f"{value:%d/%m/%Y}"


def read_due(value: object) -> datetime:
    """`DD/MM/YYYY hh:mm`, or with seconds as Ottu answers it; UTC. Raises ValueError."""
    for form in ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S"):
        try:
            return datetime.strptime(str(value), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError("Datetime has wrong format. Use this format instead: DD/MM/YYYY hh:mm.")


def due(value: datetime) -> str:
    return f"{value:%d/%m/%Y %H:%M:%S}"


def timestamp(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}"


def read_duration(value: object) -> timedelta:
    """`D HH:MM:SS`, where the days may be missing. Raises ValueError."""
    found = _DURATION.fullmatch(str(value))
    if not found:
        raise ValueError("Duration has wrong format. Use this format instead: [DD] HH:MM:SS.")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def duration(value: timedelta) -> str:
    hours, rest = divmod(value.seconds, 3600)
    return f"{value.days} {hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
