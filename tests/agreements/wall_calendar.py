"""Due dates and instants the slow way: a person with a wall calendar, a list of holidays and a clock on the wall.

Nothing of `agreements.schedule` is used here but the shapes of its input: these are the oracles its laws are checked
against. Dates are walked day by day, business days are the library's own answers, instants are searched for.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

from holidays import HolidayBase, country_holidays, financial_holidays

from agreements.schedule import ForbiddenWindow
from agreements.terms import Frequency, PaymentDay, Roll, Terms

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
QUARTER = 15 * MINUTE
MARKETS = ("XNYS", "TAR")
_MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.SEMI_ANNUALLY: 6, Frequency.YEARLY: 12}


def anchored(terms: Terms, count: int) -> list[date]:
    """The first dates of the terms before any roll."""
    return list(islice(_walk(terms), count))


def _walk(terms: Terms) -> Iterator[date]:
    assert terms.start_date
    first, wanted = terms.start_date, terms.payment_processing_day
    while wanted is not None and not _is(first, wanted):
        first += DAY
    day, anchor = first, wanted or first.day
    while True:
        if _due(terms, first, day, anchor):
            yield day
        day += DAY


def _due(terms: Terms, first: date, day: date, anchor: PaymentDay) -> bool:
    months = (day.year - first.year) * 12 + day.month - first.month
    match terms.frequency:
        case Frequency.DAILY:
            return True
        case Frequency.WEEKLY:
            return day.weekday() == first.weekday()
        case Frequency.OTHER:
            assert terms.cycle_interval_days
            return (day - first).days % terms.cycle_interval_days == 0
        case Frequency.SEMI_MONTHLY:
            other: PaymentDay = 15 if anchor == "last" else anchor + 15 if anchor <= 15 else anchor - 15
            return _is(day, anchor) or _is(day, other)
        case frequency:
            assert frequency
            return _is(day, anchor) and months % _MONTHS[frequency] == 0


def _is(day: date, wanted: PaymentDay) -> bool:
    """Whether a day of the month is the wanted one, or the month's last where it has no such day."""
    last = (day + DAY).day == 1
    return last if wanted == "last" else day.day == wanted or (last and day.day < wanted)


@cache
def _holidays(calendar: str) -> HolidayBase:
    code, _, part = calendar.partition("-")
    return (financial_holidays if code in MARKETS else country_holidays)(code, subdiv=part or None)


def open_on(calendar: str, day: date) -> bool:
    """Whether it is a business day: no weekend, and not listed."""
    known = _holidays(calendar)
    listed = day in known  # which also makes the year's exceptions known
    return day in known.weekend_workdays or (not known.is_weekend(day) and not listed)


def rolled(terms: Terms, day: date) -> date:
    """Where a date of the terms goes."""
    roll, calendar = terms.business_days.roll, terms.business_days.calendar
    if roll is Roll.NONE:
        return day
    assert calendar
    assert terms.start_date
    bounds = terms.start_date, terms.expiry_date or date(2999, 12, 31)
    days = [day + DAY * n for n in range(-40, 41)]
    near = [near for near in days if bounds[0] <= near <= bounds[1] and open_on(calendar, near)]
    later, earlier = [found for found in near if found >= day], [found for found in near if found <= day][::-1]
    month_end = terms.payment_processing_day == "last" and terms.frequency in (*_MONTHS, Frequency.SEMI_MONTHLY)
    if roll is Roll.PRECEDING or month_end:
        return (earlier + later)[0]
    if roll is Roll.MODIFIED_FOLLOWING:
        same_month = [near for near in later if near.month == day.month]
        return (same_month + earlier + later)[0]
    return (later + earlier)[0]


def instant(wanted: datetime, timezone: str) -> datetime:
    """The first instant at which a clock on the wall shows the wanted local date and time, or a later one."""
    zone = ZoneInfo(timezone)

    def reading(at: datetime) -> datetime:
        return at.astimezone(zone).replace(tzinfo=None)

    def offset(at: datetime) -> timedelta:
        return reading(at) - at.replace(tzinfo=None)

    around = wanted.replace(tzinfo=UTC)
    if offset(around - 30 * 60 * MINUTE) == offset(around) == offset(around + 30 * 60 * MINUTE):
        return around - offset(around)
    start = (around - 30 * 60 * MINUTE).replace(minute=0, second=0)
    quarters = [start + QUARTER * n for n in range(4 * 60)]
    changes = [at for at in quarters if offset(at) != offset(at - QUARTER)]
    shown = [around - offset(at) for at in quarters]
    return min(at for at in {*changes, *shown} if reading(at) >= wanted)


def forbidden(windows: tuple[ForbiddenWindow, ...], at: datetime) -> bool:
    """Whether a clock on the wall of any window's place shows one of its hours."""
    for window in windows:
        shown = at.astimezone(ZoneInfo(window.timezone))
        minutes, start, end = (moment.hour * 60 + moment.minute for moment in (shown, window.start, window.end))
        if (minutes - start) % 1440 < (end - start) % 1440:
            return True
    return False


def allowed(windows: tuple[ForbiddenWindow, ...], at: datetime) -> datetime:
    """The first instant from `at` on that no window forbids, looked for minute by minute."""
    while forbidden(windows, at):
        at = at.replace(second=0, microsecond=0) + MINUTE
    return at


def clock(text: str) -> timedelta:
    """The time since midnight."""
    return datetime.combine(date.min, time.fromisoformat(text)) - datetime.combine(date.min, time.min)
