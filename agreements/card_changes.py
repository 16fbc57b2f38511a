"""Card changes: a customer gives an agreement another card or wallet by a link (design promise 5)."""

from __future__ import annotations

from datetime import timedelta
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
