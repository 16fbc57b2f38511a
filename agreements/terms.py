"""The terms a payer consented to: what may be debited, how often, from when, until when.

Shapes and field limits only; what fields must say together is in `agreements/problems.py`, and the dates they produce
in `agreements/schedule/`. Vocabulary: design §4 and gateways/ottu.md §2.2.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from agreements.money import Money


class AgreementType(StrEnum):
    RECURRING = "recurring"
    INSTALLMENT = "installment"
    UNSCHEDULED = "unscheduled"
    EVENT_BASED = "event_based"
    OTHER = "other"


ON_DEMAND = frozenset({AgreementType.UNSCHEDULED, AgreementType.EVENT_BASED})
"""Types that are debited when their merchant asks, and by no calendar."""


class Frequency(StrEnum):
    IRREGULAR = "irregular"
    DAILY = "daily"
    WEEKLY = "weekly"
    SEMI_MONTHLY = "semi_monthly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    SEMI_ANNUALLY = "semi_annually"
    YEARLY = "yearly"
    OTHER = "other"
    """Every `cycle_interval_days` days."""


class AmountVariability(StrEnum):
    FIXED = "fixed"
    VARIABLE = "variable"


class Roll(StrEnum):
    """Where a due date goes when it falls on a holiday or a weekend."""

    NONE = "none"
    FOLLOWING = "following"
    PRECEDING = "preceding"
    MODIFIED_FOLLOWING = "modified_following"


class CatchUpThen(StrEnum):
    """What becomes of a cycle that was missed for longer than it may be collected late."""

    SKIP = "skip"
    MERGE = "merge"
    """Its amount is added to the next cycle's."""
    ASK = "ask"
    """The merchant decides."""


# Names the tz database's folder holds that say nothing about where the payer lives; `localtime` differs per host.
_NOT_A_PLACE = {"localtime", "Factory", "posixrules"}


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NOT_A_PLACE)


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"{name!r} is not an IANA time zone (for example Asia/Manila)")
    return name


def _calendar_date(value: Any) -> Any:
    # pydantic alone would also take a Unix time or a midnight timestamp for a date.
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("a date is written YYYY-MM-DD")
    if not isinstance(value, str | date) or isinstance(value, datetime):
        raise ValueError("a date is text, written YYYY-MM-DD")
    return value


LAST: Final = "last"


def _day_of_month(value: Any) -> Any:
    # Said here because pydantic would report a union's members one by one, each under a name of its own.
    value = LAST if value == LAST.upper() else value
    if value is None or value == LAST or (type(value) is int and 1 <= value <= 31):
        return value
    raise ValueError('a day of the month is a whole number from 1 to 31, or "last"')


PaymentDay = Annotated[int, Field(ge=1, le=31)] | Literal["last"]
TimeZone = Annotated[str, AfterValidator(_known_zone)]
CalendarDate = Annotated[date, BeforeValidator(_calendar_date), Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]
"""A day without a time. The bounds keep every schedule inside what `datetime` can hold: 999 yearly cycles from 2999."""
LocalTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["09:00"])]

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Seller(_Frozen):
    """Who sells, as the payer's bank shall see it. Required for installments (gateways/ottu.md §2.2)."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=_PRINTABLE)]
    short_name: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)] | None = None
    category_code: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)] | None = None
    """Merchant category code, four digits by ISO 18245."""


class BusinessDays(_Frozen):
    """Which holidays and weekends count, and where a date on one of them goes (`roll`).

    `calendar` is an ISO 3166 country (PH), one with a subdivision (US-CA), or a financial market (XNYS).
    """

    calendar: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)] | None = None
    roll: Roll = Roll.NONE


class CatchUp(_Frozen):
    """How many days late a missed cycle may still be collected by itself, and what happens to it `then`.

    Always less than half the period, whatever is said here: the default of three days shrinks with it.
    """

    within_days: Annotated[StrictInt, Field(ge=0, le=30)] = 3
    then: CatchUpThen = CatchUpThen.SKIP


class Terms(_Frozen):
    """What a payer consented to. `max_amount_per_cycle` is in minor units of `amount`'s currency."""

    type: AgreementType
    amount: Money | None = None
    amount_variability: AmountVariability = AmountVariability.FIXED
    max_amount_per_cycle: Annotated[StrictInt, Field(gt=0, le=10**15)] | None = None
    frequency: Frequency | None = None
    cycle_interval_days: Annotated[StrictInt, Field(ge=1, le=366)] | None = None
    """The minimum gap between debits, and the period itself with `frequency: other`."""
    payment_processing_day: Annotated[PaymentDay | None, BeforeValidator(_day_of_month)] = None
    """The day of the month; `last` is the month's last day, whichever that is."""
    start_date: CalendarDate | None = None
    expiry_date: CalendarDate | None = None
    """The last day a debit may happen, in `timezone`."""
    total_cycles: Annotated[StrictInt, Field(ge=1, le=999)] | None = None
    timezone: TimeZone = "UTC"
    debit_time: LocalTime = "09:00"
    debit_window_minutes: Annotated[StrictInt, Field(ge=1, le=720)] | None = None
    """Spreads agreements over so many minutes from `debit_time` on, each at a second of its own; none: all at once."""
    business_days: BusinessDays = BusinessDays()
    catch_up: CatchUp = CatchUp()
    seller: Seller | None = None


def spread(terms: Terms, minutes: int | None) -> Terms:
    """The terms with a debit window of so many minutes where they say nothing of one; cut short before midnight.

    Terms that say `null` want their debit at one instant, and on-demand terms have no date that many others have too.
    """
    if minutes is None or "debit_window_minutes" in terms.model_fields_set or terms.type in ON_DEMAND:
        return terms
    hour, minute = map(int, terms.debit_time.split(":"))
    left = min(minutes, 24 * 60 - hour * 60 - minute)
    return terms.model_copy(update={"debit_window_minutes": left})


def complete(terms: Terms, today: date) -> Terms:
    """The terms with the start date filled in. `today` is the day in the terms' zone (`schedule.today`)."""
    return terms if terms.start_date else terms.model_copy(update={"start_date": today})
