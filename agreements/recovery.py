"""What a provider may know of that we have forgotten: debits made after the backup we came back from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

NEVER_RECEIVED = "never_received"
"""The evidence of an attempt the provider was asked for and did not have (`collection.settled`)."""


def may_have_been_made(restored_at: datetime | None, due_at: datetime, evidence: Iterable[str | None]) -> bool:
    """Whether a debit that looks new may have been made by the engine that the backup was taken from.

    That engine stopped at `restored_at`: it made nothing that fell due later. `evidence` is that of the charge's other
    attempts: they are made one after another, so behind one the provider never received there is none.
    """
    if restored_at is None or due_at > restored_at:
        return False
    return NEVER_RECEIVED not in evidence
