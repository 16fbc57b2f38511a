"""What the customer pays as they agree, where that is how a provider takes consent (design §4, promise 5)."""

from __future__ import annotations

from datetime import datetime

from agreements import schedule
from agreements.schedule import Plan

FIRST = 1


def is_first_cycle(plan: Plan, now: datetime) -> bool:
    """Whether the customer pays cycle 1 as they agree: where it is due today in the agreement's zone.

    Otherwise, and where no amount is fixed yet, a minimal verification proves the credential and goes back at once.
    """
    terms = plan.terms
    if not schedule.has_schedule(terms) or terms.amount is None:
        return False
    due = schedule.due_at(plan, FIRST)
    return schedule.today(terms.timezone, due) <= schedule.today(terms.timezone, now)
