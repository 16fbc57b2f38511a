"""Card changes: a customer gives an agreement another card or wallet by a link (design promise 5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum


class Initiator(StrEnum):
    """Who wanted the change."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"
    ENGINE = "engine"
    """A debit cannot go on without the customer."""


class CardChangeStatus(StrEnum):
    """From the link to its end."""

    PENDING = "pending"
    """Nobody has used the link yet."""
    OPENED = "opened"
    """The customer went on to the provider's page, and may do so again."""
    COMPLETED = "completed"
    FAILED = "failed"
    """The provider refused; the old credential stays in use."""
    EXPIRED = "expired"
    """Its time ran out, a newer link replaced it, or the agreement ended."""


OPEN = (CardChangeStatus.PENDING, CardChangeStatus.OPENED)
"""The link still works."""

LIFE = timedelta(days=7)
"""How long a link lives that no charge waits for; one that a charge waits for lives as long as the charge waits."""

REMINDERS = 2
"""How often the merchant is told again of a link that was not used yet: after each third of its life but the last."""


def reminder_at(created_at: datetime, expires_at: datetime, number: int) -> datetime | None:
    """When reminder `number` (from 1) of a link is due; None past the last. A link that was prolonged has more time."""
    return None if number > REMINDERS else created_at + (expires_at - created_at) * number / (REMINDERS + 1)


def reminders_by(created_at: datetime, expires_at: datetime, now: datetime) -> int:
    """How many reminders of a link were due up to `now`; those an outage has swallowed are not made up for."""
    due = (reminder_at(created_at, expires_at, number) for number in range(1, REMINDERS + 1))
    return sum(at is not None and at <= now for at in due)
