"""When to say that a card or token is about to end which only the customer can renew."""

from __future__ import annotations

from datetime import datetime, timedelta

from agreements import schedule
from agreements.schedule import Plan

WARN_AHEAD = timedelta(days=30)
"""As long as `gentle` and `standard` wait for a customer to act (`customer_days`): who gives another card within the
same time never misses a debit. No scheme sets a figure.
"""


def warning_at(expires_at: datetime | None, refresh_at: datetime | None) -> datetime | None:
    """When to say that a credential can soon be charged no more; None if it never expires, or will be refreshed.

    A card expires at the end of its month.
    """
    return None if expires_at is None or refresh_at is not None else expires_at - WARN_AHEAD


def needed_after(plan: Plan, expires_at: datetime) -> bool:
    """Whether an agreement still debits anything from `expires_at` on: by its schedule, or on demand before its end."""
    if not schedule.has_schedule(plan.terms):
        ends_at = schedule.ends_at(plan.terms)
        return ends_at is None or ends_at > expires_at
    last = schedule.last_cycle(plan)
    return last is None or schedule.next_cycle_after(plan, expires_at - timedelta.resolution) <= last
