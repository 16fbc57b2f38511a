"""When each cycle of an agreement is due (payment-rules §3.2). `docs/schedule.md` is the same as a page.

Dates are computed from the anchor (`anchors`), moved to business days (`business_days`, `dates`), and made instants
(`instants`) of numbered cycles (`cycles`); `catch_up` says how late one may be. Cycles count from 1. Dates follow from
the terms alone; instants also depend on who is debited and how, so they take a `Plan`. The same input always gives the
same output: nothing here reads a clock.

Functions that need a start date raise ValueError without one: `terms.complete` fills it. Functions about cycles raise
ValueError when the terms have no schedule (`has_schedule`), or roll without a calendar.
"""

from agreements.schedule.anchors import has_schedule
from agreements.schedule.catch_up import catch_up_limit, shortest_period
from agreements.schedule.cycles import due_at, last_cycle, next_cycle_after, planned
from agreements.schedule.dates import cycle_date
from agreements.schedule.instants import allowed, ends_at, in_debit_window, jitter, local_instant, today
from agreements.schedule.plan import DateRule, ForbiddenWindow, Plan, PlannedCycle

__all__ = [
    "DateRule",
    "ForbiddenWindow",
    "Plan",
    "PlannedCycle",
    "allowed",
    "catch_up_limit",
    "cycle_date",
    "due_at",
    "ends_at",
    "has_schedule",
    "in_debit_window",
    "jitter",
    "last_cycle",
    "local_instant",
    "next_cycle_after",
    "planned",
    "shortest_period",
    "today",
]
