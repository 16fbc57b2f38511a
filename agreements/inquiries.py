"""When to ask a provider again about something whose outcome is not known."""

from __future__ import annotations

from datetime import datetime, timedelta

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
    timedelta(hours=24),
)
"""Offsets from the moment the outcome became unknown (payment-rules §4 point 4); after the last one, daily."""

_DAILY = timedelta(days=1)

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=6)
_GROWTH = 3


def next_look(sent_at: datetime, looks: int, now: datetime) -> datetime:
    """When to inquire next about a payment unknown since `sent_at`, after `looks` inquiries; always later than `now`.

    Looks the plan wanted during an outage are not made up for one by one: one was just made. If none was made yet the
    first comes at its short distance from `now`. The provider's own query limits are the caller's to apply.
    """
    plan = _offset(looks)
    while sent_at + plan <= now:
        if looks == 0:
            return now + LOOKS[0]
        looks += 1
        plan = _offset(looks)
    return sent_at + plan


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


def _offset(looks: int) -> timedelta:
    beyond = looks - len(LOOKS) + 1
    return LOOKS[looks] if beyond <= 0 else LOOKS[-1] + beyond * _DAILY
