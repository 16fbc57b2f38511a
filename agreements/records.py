"""What collecting needs of records: the store's rows and the simulation's alike, so that both run the same rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from agreements.money import Money
from agreements.retries import Decision
from agreements.status import AttemptStatus, ChargePurpose, ChargeStatus, Stop


class AgreementRecord(Protocol):
    """What collecting needs of the agreement."""

    stop: Stop
    ended: Any
    action_required: str | None
    currency: str | None


class ChargeRecord(Protocol):
    """One amount owed. `act_by` is when the customer must have acted, while the charge waits for that."""

    id: str
    cycle: int | None
    purpose: ChargePurpose
    status: ChargeStatus
    due_at: datetime
    next_attempt_at: datetime | None
    act_by: datetime | None
    catch_up: bool
    attempts_made: int
    canceled_at: datetime | None
    paid_at: datetime | None
    amount: int | None

    @property
    def money(self) -> Money:
        """What is owed."""


class AttemptRecord(Protocol):
    """One debit tried."""

    number: int
    status: AttemptStatus
    authorization_id: str | None
    """The page on which the customer makes this payment; None for a debit without them."""
    payment_id: str | None
    decline: dict[str, Any] | None
    decision: dict[str, Any] | None
    evidence: str | None
    looks: int
    times_not_found: int
    next_look_at: datetime | None
    sent_at: datetime | None
    finished_at: datetime | None

    @property
    def money(self) -> Money:
        """What is debited."""


class Book(Protocol):
    """Where a change is written down: events for the merchant, decisions for everybody who asks why."""

    now: datetime

    @property
    def agreement(self) -> AgreementRecord:
        """The agreement that is being changed."""

    def event(self, type_: str, charge: Any = None, **details: Any) -> None:
        """Announces a fact."""

    def decide(self, decision: Decision, charge: Any, attempt: Any) -> None:
        """Keeps a decision with its inputs."""
