"""The standing: everything a workflow must know of its agreement, read from the rows in one transaction.

PostgreSQL holds the truth; a standing is a numbered copy. Whoever changes an agreement, an activity or the API, locks
its row, raises its `version` and hands the new standing on. The workflow keeps the highest version it has seen, so a
copy that was overtaken on its way can do no harm.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from agreements.status import AgreementStatus, Stop


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Identity(_Frozen):
    """What never changes about an agreement."""

    id: str
    merchant_id: str
    gateway: str
    customer_id: str
    reference: str
    test_clock_id: str | None


class DueCharge(_Frozen):
    """A charge to be tried at `at`; `attempt` is the number that try gets, or got before it was interrupted.

    `rule` is what chose the instant, where that was a decision, and `budget_left` how many tries it left.
    """

    charge_id: str
    cycle: int | None
    attempt: int
    amount: str
    at: datetime
    rule: str = ""
    budget_left: int | None = None


class UnfinishedAttempt(_Frozen):
    """An attempt whose result is not known; the provider is asked at `at`."""

    attempt_id: str
    cycle: int | None
    attempt: int
    at: datetime


class DueNotice(_Frozen):
    """A coming debit that is to be announced at `at`."""

    charge_id: str
    cycle: int | None
    at: datetime


class Deadline(_Frozen):
    """A charge that waits for the customer until `at`."""

    charge_id: str
    cycle: int | None
    at: datetime


class DueRelease(_Frozen):
    """A credential nobody charges any more; the provider is told at `at`."""

    credential_id: str
    at: datetime


class UnfinishedReversal(_Frozen):
    """Money that has to go back; the provider is asked at `at`."""

    refund_id: str
    amount: str
    at: datetime


class RecentCharge(_Frozen):
    """A line of the small table operators see in the Temporal UI."""

    cycle: int | None
    due_at: datetime
    amount: str
    status: str
    tries: int = 0
    last: str = ""
    """What the last try met with, and what was decided."""


class Standing(_Frozen):
    """Instants only, no decisions: what depends on rules or settings was computed where this was written."""

    agreement: Identity
    version: int
    as_of: datetime
    """The agreement's own time when this was read."""
    status: AgreementStatus
    stop: Stop
    closed: bool
    """Ended, and nothing is left to find out or to give back."""
    held: str = ""
    """Which stop switches of operators hold its debits, by whom and why; empty where none does."""
    authorize_at: datetime | None = None
    authorization_expires_at: datetime | None = None
    refresh_at: datetime | None = None
    charges: tuple[DueCharge, ...] = ()
    unfinished: tuple[UnfinishedAttempt, ...] = ()
    notices: tuple[DueNotice, ...] = ()
    deadlines: tuple[Deadline, ...] = ()
    reversals: tuple[UnfinishedReversal, ...] = ()
    releases: tuple[DueRelease, ...] = ()
    card_change_expires_at: datetime | None = None
    card_change_reminder_at: datetime | None = None
    credential_warning_at: datetime | None = None
    revoke_at: datetime | None = None
    expires_at: datetime | None = None
    next_charge_at: datetime | None = None
    terms: str = ""
    credential: str = ""
    recent: tuple[RecentCharge, ...] = ()

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Most instants of most standings are none, and every cycle leaves a standing in Temporal's history."""
        written: dict[str, Any] = whole(self)
        return {name: value for name, value in written.items() if name not in _OPTIONAL or value}


_OPTIONAL = frozenset(name for name, field in Standing.model_fields.items() if not field.is_required())
