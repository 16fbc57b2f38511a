"""The laws of the schedule in every zone of the tz database: `make laws`. Minutes long, so `make test` leaves it out.

`AUTODEBIT_LAWS_ZONES` narrows it down to zones whose names begin so, `Europe/` for example.
"""

import os
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings

from agreements.schedule import Plan
from agreements.terms import Frequency
from tests.agreements.strategies import monthly, plans
from tests.agreements.test_schedule_laws import hold_all_laws

ALL = sorted(available_timezones() - {"localtime", "Factory", "posixrules"})
SOME = [zone for zone in ALL if zone.startswith(os.environ.get("AUTODEBIT_LAWS_ZONES", ""))]

pytestmark = pytest.mark.parametrize("zone", SOME)


def test_any_plan(zone: str) -> None:
    @settings(max_examples=25)
    @given(plans(zones=(zone, "Asia/Kolkata")))
    def holds(plan: Plan) -> None:
        terms = plan.terms.model_copy(update={"timezone": zone})
        hold_all_laws(Plan(terms, plan.key, plan.windows), 1, 24)

    holds()


@pytest.mark.parametrize(("frequency", "a_year"), [(Frequency.SEMI_MONTHLY, 24), (Frequency.QUARTERLY, 4)])
def test_a_century(zone: str, frequency: Frequency, a_year: int) -> None:
    terms = monthly(
        frequency=frequency,
        timezone=zone,
        start_date="2026-01-01",
        expiry_date="2125-12-31",
        total_cycles=None,
        debit_time="00:30",
        debit_window_minutes=210,
    )
    hold_all_laws(Plan(terms, zone), 1, 100 * a_year)


def test_every_change_of_clocks_of_a_decade(zone: str) -> None:
    """Daily debits around each change, at times before, inside and after any gap or overlap."""
    place, hour = ZoneInfo(zone), timedelta(hours=1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    offsets = [(at := start + hour * n, at.astimezone(place).utcoffset()) for n in range(10 * 366 * 24)]
    for (before, one), (_, other) in pairwise(offsets):
        if one == other:
            continue
        day: date = before.astimezone(place).date() - timedelta(days=1)
        for minutes in range(-90, 91, 30):
            clock = f"{before.astimezone(place) + timedelta(minutes=minutes):%H:%M}"
            terms = monthly(
                frequency="daily", payment_processing_day=None, timezone=zone, start_date=day, debit_time=clock
            )
            hold_all_laws(Plan(terms, zone), 1, 4)
