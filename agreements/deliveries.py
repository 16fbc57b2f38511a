"""Webhooks: when an event is sent again, and when its endpoint is given up (design §4, payment-rules §5)."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 60, 300, 1800, 7200, 14400, 21600, 36000, 43200, 64800, 86400, 129600, 194400)
)
"""Between the 14 attempts: seconds first, then hours, together just under seven days (design §4)."""

_SHORTER_BY = 0.1
"""A wait is up to this much shorter, so that what failed together is not sent again together."""

LONGEST_ASKED = timedelta(days=1)
"""More than this a receiver cannot ask for with Retry-After: the plan would never end."""

DEAD_AFTER = timedelta(days=5)
"""An endpoint that has taken nothing for so long gets nothing more until its merchant looks after it. Shorter than
the plan, so that a dead endpoint is disabled before the first of its events would be given up.
"""


class DeliveryStatus(StrEnum):
    """Pending and parked ones are still to arrive; the others have ended."""

    PENDING = "pending"
    PARKED = "parked"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class DisabledReason(StrEnum):
    """Why an endpoint gets nothing: its merchant said so, it answered 410, or it failed for too long."""

    MERCHANT = "merchant"
    GONE = "gone"
    FAILING = "failing"


class Run(NamedTuple):
    """A run of a delivery that is to be started; merchants take turns."""

    delivery_id: str
    merchant_id: str
    number: int = 1


def next_wait(delivery_id: str, tries: int, asked: timedelta, scale: float) -> timedelta | None:
    """How long to wait after the `tries`-th attempt; None after the last.

    `asked` is what the receiver wants: it lengthens a wait up to a day and never shortens one. `scale` is for tests.
    """
    if tries > len(WAITS):
        return None
    digest = hashlib.sha256(f"{delivery_id}/{tries}".encode()).digest()
    chance = int.from_bytes(digest[:4], "big") / 2**32
    planned = WAITS[tries - 1] * scale * (1 - _SHORTER_BY * chance)
    return max(planned, min(asked, LONGEST_ASKED))


def is_dead(failing_since: datetime | None, now: datetime, scale: float) -> bool:
    """Whether an endpoint has been failing for too long."""
    return failing_since is not None and now - failing_since >= DEAD_AFTER * scale
