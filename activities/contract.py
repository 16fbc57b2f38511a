"""What workflows and activities agree on: names, queues and shapes. No I/O is imported here."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agreements.agenda import Step, StepKind
from agreements.standing import Standing

AGREEMENTS_QUEUE = "agreements"
"""Workflows, and the activities that only touch our own database."""
DELIVERIES_QUEUE = "deliveries"

NEWS = "settle_news"
OBEY = "obey"
REFUND = "refund"
REFUND_NEWS = "settle_refund_news"
DECLARE = "declare"
ADVANCE_CLOCK = "advance_clock"
SWEEP = "sweep"
AUDIT = "audit"
RECONCILE = "reconcile"
CHECK_CREDENTIALS = "check_credentials"
DELIVER = "deliver"

STEPS: dict[StepKind, str] = {
    StepKind.REVOKE: "revoke_at_provider",
    StepKind.INQUIRE: "inquire",
    StepKind.REVERSE: "reverse",
    StepKind.EXPIRE: "expire",
    StepKind.EXPIRE_AUTHORIZATION: "expire_authorization",
    StepKind.AUTHORIZE: "authorize",
    StepKind.REFRESH: "refresh",
    StepKind.CHARGE: "charge",
    StepKind.LAPSE: "lapse",
    StepKind.ANNOUNCE: "announce",
    StepKind.RELEASE: "release",
    StepKind.EXPIRE_CARD_CHANGE: "expire_card_change",
    StepKind.REMIND: "remind_of_card_change",
    StepKind.WARN: "warn_of_expiry",
}
"""Every step of the agenda is one activity of this name; all take StepInput and answer a Standing."""


_WITHOUT_A_CALL = frozenset(
    {
        StepKind.EXPIRE,
        StepKind.EXPIRE_AUTHORIZATION,
        StepKind.LAPSE,
        StepKind.ANNOUNCE,
        StepKind.EXPIRE_CARD_CHANGE,
        StepKind.REMIND,
        StepKind.WARN,
    }
)


def gateway_queue(gateway: str) -> str:
    """One queue per provider, so that its rate limit and its outages are its own. Every task of it calls the provider;
    what does not has no business there.
    """
    return f"gateway-{gateway}"


def step_queue(kind: StepKind, gateway: str) -> str | None:
    """Where a step is done; None is the workflow's own queue, for steps that only touch our own database."""
    return None if kind in _WITHOUT_A_CALL else gateway_queue(gateway)


class Urgency(IntEnum):
    """What goes first where a queue is behind, such as on the first of the month; Temporal's priority keys."""

    REVOCATION = 1
    """And whatever a customer waits for."""
    QUESTION = 2
    """What became of money, money on its way back, and what a merchant asked for."""
    RENEWAL = 3
    RETRY = 4
    BACKFILL = 5


_URGENCY = {
    StepKind.REVOKE: Urgency.REVOCATION,
    StepKind.AUTHORIZE: Urgency.REVOCATION,
    StepKind.INQUIRE: Urgency.QUESTION,
    StepKind.REVERSE: Urgency.QUESTION,
    StepKind.RELEASE: Urgency.BACKFILL,
}


def urgency(step: Step) -> Urgency:
    """How urgent a step is."""
    if step.kind is not StepKind.CHARGE:
        return _URGENCY.get(step.kind, Urgency.RENEWAL)
    if step.on_demand:
        return Urgency.QUESTION
    return Urgency.RENEWAL if step.attempt <= 1 else Urgency.RETRY


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class StepInput(_Frozen):
    """Which agreement, which row of it, and the instant for which the step was due (UTC)."""

    agreement_id: str
    at: datetime
    subject: str = ""
    attempt: int = 0


class NewsInput(_Frozen):
    """A journalled message of the provider that concerns this agreement."""

    agreement_id: str
    notification_id: str
    at: datetime


class OrderKind(StrEnum):
    """What an operator may ask of an agreement; each is a signal of this name."""

    REVOKE = "revoke"
    REQUEST_CARD_CHANGE = "request_card_change"


class OrderInput(_Frozen):
    """An operator's order, and the instant at which the workflow took it up (UTC)."""

    agreement_id: str
    kind: OrderKind
    at: datetime
    initiator: Literal["merchant", "customer"] = "merchant"
    reason: str | None = None


class Obeyed(_Frozen):
    """The standing afterwards, and why the order could not be carried out, if it could not."""

    standing: Standing
    refused: str = ""


class RefundInput(_Frozen):
    """A refund and its agreement, and the instant for which its next call was due (UTC)."""

    agreement_id: str
    refund_id: str
    at: datetime


class RefundNewsInput(RefundInput):
    """A journalled message of the provider that concerns this refund."""

    notification_id: str


class DeclarationInput(_Frozen):
    """A declaration at customs and its agreement, and the instant for which its next call was due (UTC)."""

    agreement_id: str
    declaration_id: str
    at: datetime


class DeliveryInput(_Frozen):
    """One event for one endpoint, and which run of it."""

    delivery_id: str
    run: int = 1


class CheckInput(_Frozen):
    """A gateway to be asked for every credential in use."""

    gateway: str


class ClockInput(_Frozen):
    """A test clock on its way to its target."""

    clock_id: str
