"""Terms and instants for the property tests: a hundred years, every frequency, zones with awkward clocks."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from agreements.terms import Frequency, Terms

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
