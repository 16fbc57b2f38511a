"""What workflows and activities agree on: names, queues and shapes. No I/O is imported here."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from agreements.agenda import StepKind

AGREEMENTS_QUEUE = "agreements"
"""Workflows, and the activities that only touch our own database."""
DELIVERIES_QUEUE = "deliveries"

NEWS = "settle_news"
REFUND = "refund"
REFUND_NEWS = "settle_refund_news"
ADVANCE_CLOCK = "advance_clock"
SWEEP = "sweep"
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
}
"""Every step of the agenda is one activity of this name; all take StepInput and answer a Standing."""


def gateway_queue(gateway: str) -> str:
    """One queue per provider, so that its rate limit and its outages are its own."""
    return f"gateway-{gateway}"


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


class RefundInput(_Frozen):
    """A refund and its agreement, and the instant for which its next call was due (UTC)."""

    agreement_id: str
    refund_id: str
    at: datetime


class RefundNewsInput(RefundInput):
    """A journalled message of the provider that concerns this refund."""

    notification_id: str


class DeliveryInput(_Frozen):
    """One event for one endpoint."""

    delivery_id: str


class ClockInput(_Frozen):
    """A test clock on its way to its target."""

    clock_id: str
