"""Terms and instants for the property tests: a hundred years, every frequency, zones with awkward clocks."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from hypothesis import strategies as st

from agreements.schedule import ForbiddenWindow, Plan
from agreements.terms import Frequency, Roll, Terms

ZONES = (
    "UTC",
    "Asia/Manila",
    "Asia/Kolkata",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Pacific/Chatham",
)
CENTURY = (date(2026, 1, 1), date(2125, 12, 31))
PERIODIC = [frequency for frequency in Frequency if frequency is not Frequency.IRREGULAR]
MONTHLY_STEP = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.SEMI_ANNUALLY: 6, Frequency.YEARLY: 12}

days = st.dates(*CENTURY)
instants = st.datetimes(datetime(2026, 1, 1), datetime(2125, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
clock_times = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))


def monthly(**changes: Any) -> Terms:
    """The agreement of design §4: 499.00 PHP on the 31st of each month, twelve times."""
    body: dict[str, Any] = {
        "type": "recurring",
        "amount": {"currency": "PHP", "value": 49900},
        "frequency": "monthly",
        "cycle_interval_days": 25,
        "payment_processing_day": 31,
        "start_date": "2027-01-31",
        "expiry_date": "2028-12-31",
        "total_cycles": 12,
        "timezone": "Asia/Manila",
    }
    return Terms.model_validate(body | changes)


@st.composite
def scheduled_terms(draw: st.DrawFn, frequencies: Sequence[Frequency] = PERIODIC, dated: bool = False) -> Terms:
    """Terms with due dates. `dated`: with an expiry date at most ten years after the start."""
    start = draw(days)
    return monthly(
        frequency=draw(st.sampled_from(frequencies)),
        cycle_interval_days=draw(st.integers(1, 366)),
        payment_processing_day=draw(st.none() | st.integers(1, 31)),
        start_date=start,
        expiry_date=draw(st.dates(start, start.replace(day=1, year=start.year + 10))) if dated else None,
        total_cycles=draw(st.none() | st.integers(1, 999)),
        timezone=draw(st.sampled_from(ZONES)),
        debit_time=draw(clock_times),
    )


CALENDARS = ("PH", "US-CA", "DE-BY", "SA", "EG", "BN", "CN", "JP", "BR", "XNYS", "TAR")
"""Weekends on other days, long closures, a part of a country, and markets."""
ROLLING = [frequency for frequency in PERIODIC if frequency is not Frequency.DAILY]

keys = st.text(st.characters(codec="utf-8"), max_size=24)


@st.composite
def windows(draw: st.DrawFn, zones: Sequence[str] = ZONES) -> tuple[ForbiddenWindow, ...]:
    """Up to two windows of at most six hours each, as rails have them: half of every day is free."""
    found = []
    for number in range(draw(st.integers(0, 2))):
        start, length = draw(st.integers(0, 1439)), draw(st.integers(1, 360))
        start_time, end_time = (time(minute // 60, minute % 60) for minute in (start, (start + length) % 1440))
        zone = draw(st.sampled_from(zones))
        found.append(ForbiddenWindow(id=f"w{number}", timezone=zone, start=start_time, end=end_time))
    return tuple(found)


@st.composite
def plans(
    draw: st.DrawFn,
    zones: Sequence[str] = ZONES,
    frequencies: Sequence[Frequency] = PERIODIC,
    dated: bool = True,
    rails: bool = True,
) -> Plan:
    """Plans with everything that acts on instants; dates do not roll."""
    minutes = draw(st.none() | st.integers(1, 720))
    opens = draw(st.integers(0, 1440 - (minutes or 1)))
    terms = draw(scheduled_terms(frequencies, dated)).model_copy(
        update={
            "payment_processing_day": draw(st.none() | st.integers(1, 31) | st.just("last")),
            "timezone": draw(st.sampled_from(zones)),
            "debit_time": f"{opens // 60:02d}:{opens % 60:02d}",
            "debit_window_minutes": minutes,
        }
    )
    return Plan(terms, draw(keys), draw(windows(zones)) if rails else ())


@st.composite
def rolling_terms(draw: st.DrawFn) -> Terms:
    """Terms whose dates move to business days, most of them with an end. Not all of them are sound."""
    terms = draw(plans(frequencies=ROLLING, dated=draw(st.booleans()))).terms
    return Terms.model_validate(
        terms.model_dump()
        | {
            "type": "other",
            "cycle_interval_days": draw(st.integers(7, 60)) if terms.frequency is Frequency.OTHER else None,
            "total_cycles": draw(st.integers(1, 60)),
            "business_days": {
                "calendar": draw(st.sampled_from(CALENDARS)),
                "roll": draw(st.sampled_from([roll for roll in Roll if roll is not Roll.NONE])),
            },
        }
    )
