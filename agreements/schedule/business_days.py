"""Business days by the calendar of a country or a financial market, and the way off the other days.

Weekends and holidays are the `holidays` library's, so Friday and Saturday in Cairo. It knows about a century; later
years have weekends only. What it says changes with its version, which previews therefore name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import cache, lru_cache
from importlib.metadata import version

import holidays

from agreements.schedule.plan import DateRule
from agreements.terms import Roll

REACH = 14
"""How many days a date may move. The longest closure any calendar of the library knows is 12 days."""

_DAY = timedelta(days=1)


@cache
def _countries() -> Mapping[str, list[str]]:
    return holidays.list_supported_countries(include_aliases=False)


@cache
def _markets() -> Mapping[str, list[str]]:
    return holidays.list_supported_financial()


def known(calendar: str) -> bool:
    """Whether there is such a calendar: an ISO 3166 country (PH), one with a subdivision (US-CA), a market (XNYS)."""
    code, dash, subdivision = calendar.partition("-")
    parts = _countries().get(code, _markets().get(code))
    return parts is not None and (subdivision in parts if dash else True)


def edition(calendar: str) -> str:
    """The calendar and the version of its data, as previews name them."""
    return f"{calendar}, holidays {_version()}"


@cache
def _version() -> str:
    return version("holidays")


def is_open(calendar: str, day: date) -> bool:
    """Whether it is a business day. The calendar is one that is `known`."""
    return bool(_open_days(calendar, day.year)[day.toordinal() - date(day.year, 1, 1).toordinal()])


@lru_cache(maxsize=16_384)
def _open_days(calendar: str, year: int) -> bytes:
    """One byte per day of the year, 1 on business days."""
    code, _, subdivision = calendar.partition("-")
    look_up = holidays.country_holidays if code in _countries() else holidays.financial_holidays
    with warnings.catch_warnings():
        # Some calendars warn where their data thin out; the page on schedules says so once and for all.
        warnings.simplefilter("ignore")
        closed = look_up(code, subdiv=subdivision or None, years=year, expand=False)
        first, after = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1
        return bytes(closed.is_working_day(date.fromordinal(day)) for day in range(first, after))


def rolled(day: date, mode: Roll, is_open: Callable[[date], bool]) -> tuple[date, DateRule | None]:
    """Where a date goes, and the rule that moved it; None where it stays, for better or worse.

    A later day never goes to an earlier date than an earlier day does, so rolling cannot change the order of cycles.
    """
    if mode is Roll.NONE or is_open(day):
        return day, None
    ahead, back = _nearest(day, _DAY, is_open), _nearest(day, -_DAY, is_open)
    for target, rule in _choices(day, mode, ahead, back):
        if target is not None:
            return target, rule
    return day, None


def _choices(day: date, mode: Roll, ahead: date | None, back: date | None) -> list[tuple[date | None, DateRule]]:
    """The ways off a day, the best first."""
    if mode is Roll.PRECEDING:
        return [(back, DateRule.ROLL_PRECEDING), (ahead, DateRule.ROLL_REVERSED)]
    if mode is Roll.MODIFIED_FOLLOWING and ahead is not None and ahead.month != day.month:
        return [(back, DateRule.ROLL_MODIFIED_FOLLOWING), (ahead, DateRule.ROLL_REVERSED)]
    return [(ahead, DateRule.ROLL_FOLLOWING), (back, DateRule.ROLL_REVERSED)]


def _nearest(day: date, step: timedelta, is_open: Callable[[date], bool]) -> date | None:
    return next((found for away in range(1, REACH + 1) if is_open(found := day + step * away)), None)
