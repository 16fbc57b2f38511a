"""Business days by the calendar of a country or a financial market, and the way off the other days.

Weekends and holidays are the `holidays` library's, so Friday and Saturday in Cairo. It knows about a century; later
years have weekends only. What it says changes with its version, which previews therefore name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache, lru_cache
from importlib.metadata import version

from holidays import HolidayBase, country_holidays, financial_holidays
from holidays.registry import EntityLoader

from agreements.schedule.plan import DateRule
from agreements.terms import Roll

REACH = 14
"""How many days a date may move. The longest closure any calendar of the library knows is 12 days."""

_DAY = timedelta(days=1)


@cache
def _countries() -> frozenset[str]:
    return frozenset(EntityLoader.get_country_codes(include_aliases=False))


@cache
def _markets() -> frozenset[str]:
    return frozenset(EntityLoader.get_financial_codes())


def known(calendar: str) -> bool:
    """Whether there is such a calendar: an ISO 3166 country (PH), one with a subdivision (US-CA), a market (XNYS)."""
    code, dash, subdivision = calendar.partition("-")
    if code not in _countries() | _markets():
        return False
    return not dash or subdivision in _holidays(code).subdivisions


def edition(calendar: str) -> str:
    """The calendar and the version of its data, as previews name them."""
    return f"{calendar}, holidays {_version()}"


@cache
def _version() -> str:
    return version("holidays")


@cache
def _holidays(calendar: str) -> HolidayBase:
    """It works out a year when first asked about it, and keeps it."""
    code, _, subdivision = calendar.partition("-")
    look_up = country_holidays if code in _countries() else financial_holidays
    return look_up(code, subdiv=subdivision or None)


@lru_cache(maxsize=65_536)
def is_open(calendar: str, day: date) -> bool:
    """Whether it is a business day. The calendar is one that is `known`."""
    with warnings.catch_warnings():
        # Some calendars warn where their data thin out; the page on schedules says so once and for all.
        warnings.simplefilter("ignore")
        return _holidays(calendar).is_working_day(day)


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
