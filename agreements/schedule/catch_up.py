"""How long a missed cycle may still be collected by itself."""

from __future__ import annotations

from datetime import timedelta

from agreements.schedule.anchors import fixed_days
from agreements.terms import Frequency, Terms

ON_TIME = timedelta(hours=1)
"""A debit this soon after its due instant is on time, however little catch-up the terms allow."""

_SHORTEST_DAYS = {
    Frequency.SEMI_MONTHLY: 12,
    Frequency.MONTHLY: 28,
    Frequency.QUARTERLY: 89,
    Frequency.SEMI_ANNUALLY: 181,
    Frequency.YEARLY: 365,
}
"""The least days between two dates of an anchor: 16 to 28 February, February's 28, 31 January to 30 April and so on."""


def shortest_period(terms: Terms) -> int | None:
    """The least days between the anchor's dates of two cycles; None without a schedule."""
    days = fixed_days(terms)
    return _SHORTEST_DAYS.get(terms.frequency) if days is None and terms.frequency is not None else days


def catch_up_limit(terms: Terms) -> timedelta:
    """How long after its due instant a missed cycle may still be collected by itself (payment-rules §3.2 rule 9).

    As many days as the terms say, and always less than half the period: two hours less, so that the 22-hour day of a
    DST change is safe. Never below `ON_TIME`.
    """
    limit, days = timedelta(days=terms.catch_up.within_days), shortest_period(terms)
    if days is not None:
        limit = min(limit, timedelta(days=days) / 2 - timedelta(hours=2))
    return max(limit, ON_TIME)
