"""When to ask a provider again about something whose outcome is not known."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

from agreements.guarantees import AT_ANY_TIME, QueryLimits

LOOKS = (
    timedelta(seconds=5),
    timedelta(seconds=15),
    timedelta(seconds=45),
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(hours=12),
    *(timedelta(days=day) for day in range(1, 8)),
)
"""Offsets from the moment the debit was sent (payment-rules §4 point 4)."""

GIVES_UP_AFTER = timedelta(days=7)
"""What is still unknown then is a person's to find out (payment-rules §4 points 4 and 6)."""

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=6)
_GROWTH = 3
_DAY = timedelta(days=1)


def next_look(sent_at: datetime, looks: int, now: datetime, limits: QueryLimits = AT_ANY_TIME) -> datetime | None:
    """When to inquire next about a payment unknown since `sent_at`, after `looks` inquiries; None: a person has to.

    Always later than `now` and within the provider's limits. Looks the plan wanted during an outage are not made up for
    one by one: one was just made. If none was made yet the first comes at its short distance from `now`.
    """
    plan = _plan(limits)
    if looks == 0:
        return max(sent_at + plan[0], now + LOOKS[0])
    earliest = now + limits.apart
    coming = (sent_at + offset for offset in plan)
    return next((at for at in coming if at > now and at >= earliest), None)


def earliest_look(sent_at: datetime, looked_at: datetime | None, limits: QueryLimits) -> datetime:
    """When the provider lets itself be asked, whatever the plan says: a revocation and a repeat after a crash want to
    know sooner.
    """
    first = sent_at + limits.first_after
    return first if looked_at is None else max(first, looked_at + limits.apart)


@cache
def _plan(limits: QueryLimits) -> tuple[timedelta, ...]:
    """LOOKS clipped to what the provider allows: not too early, not too close, not too many in any 24 hours."""
    plan: list[timedelta] = []
    for wanted in LOOKS:
        at = max(wanted, limits.first_after)
        if limits.per_day is not None and len(plan) >= limits.per_day:
            at = max(at, plan[-limits.per_day] + _DAY)
        apart_enough = not plan or at - plan[-1] >= max(limits.apart, timedelta(seconds=1))
        if apart_enough and at <= GIVES_UP_AFTER:
            plan.append(at)
    return tuple(plan)


def next_try(tries: int, now: datetime) -> datetime:
    """When to repeat a call that must reach a final answer (authorize, refresh, revoke, reverse), after `tries` tries.

    5 s after the first, three times as long after each further one, at most 6 h.
    """
    wait = FIRST_WAIT
    for _ in range(1, tries):
        wait = min(wait * _GROWTH, LONGEST_WAIT)
        if wait == LONGEST_WAIT:
            break
    return now + wait
