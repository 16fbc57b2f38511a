"""Payments declared at customs: what each answer of the provider means, and when to ask again.

A declaration is sent until the provider has it, under the same request id, which makes repeats harmless; from then on
the provider is asked what customs said (gateways/antom.md §3.9, §3.10). No money moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from agreements.attempts import Verdict
from agreements.inquiries import next_try
from agreements.status import ChargeStatus


class DeclarationStatus(StrEnum):
    PENDING = "pending"
    """Not with the provider yet, or customs have not answered."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Refused by the provider or by customs."""
    UNRESOLVED = "unresolved"
    """Asked about for a month without a final word: a person has to look at the provider's own portal."""


COUNTED = (DeclarationStatus.PENDING, DeclarationStatus.SUCCEEDED, DeclarationStatus.UNRESOLVED)
"""What is declared or may yet be; a failed declaration frees its amount."""
DECLARABLE = (ChargeStatus.SUCCEEDED,)

GIVES_UP_AFTER = timedelta(days=30)


@dataclass(frozen=True)
class Progress:
    """How far a declaration has come. `next_at` is when to act next; None once nothing is left to do."""

    status: DeclarationStatus
    next_at: datetime | None
    accepted: bool = False
    """The provider has it: from now on it is asked, and what identifies the buyer is no longer needed."""
    sent_at: datetime | None = None
    tries: int = 0


class DeclarationStanding(BaseModel):
    """What a declaration's workflow must know of it, read from its row."""

    model_config = ConfigDict(frozen=True)

    declaration_id: str
    agreement_id: str
    merchant_id: str
    gateway: str
    test_clock_id: str | None = None
    title: str
    status: DeclarationStatus
    as_of: datetime
    """The agreement's own time when this was read."""
    next_at: datetime | None = None


def sent(before: Progress, now: datetime) -> Progress:
    """Committed just before a call of either kind."""
    return replace(before, sent_at=before.sent_at or now, tries=before.tries + 1)


def answered(before: Progress, verdict: Verdict, now: datetime) -> Progress:
    """What the answer to a call means. PROCESSING: the provider has it and has heard nothing final from customs."""
    if before.next_at is None:
        return before
    if verdict is Verdict.SUCCEEDED:
        return _ended(before, DeclarationStatus.SUCCEEDED)
    if verdict is Verdict.DECLINED:
        return _ended(before, DeclarationStatus.FAILED)
    if verdict is Verdict.PROCESSING and not before.accepted:
        before = replace(before, accepted=True, tries=1)
    again = next_try(before.tries, now)
    if again - (before.sent_at or now) > GIVES_UP_AFTER:
        return _ended(before, DeclarationStatus.UNRESOLVED)
    return replace(before, next_at=again)


def _ended(before: Progress, status: DeclarationStatus) -> Progress:
    return replace(before, status=status, next_at=None)
