"""What one call or one message tells about an attempt, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agreements.declines import Decline
from agreements.money import Money
from agreements.status import AttemptStatus


class Verdict(StrEnum):
    """What is known about a debit, a cancel or a refund after one answer or message of the provider."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    PROCESSING = "processing"
    """The provider has it and has not decided yet."""
    CANCELED = "canceled"
    NOT_FOUND = "not_found"
    """The provider answered that it never saw the request."""
    UNKNOWN = "unknown"
    """No trustworthy answer: anything may have happened."""


@dataclass(frozen=True, slots=True)
class ChargeAnswer:
    """`payment_id` is the provider's handle, where it gave one; `decline` with DECLINED.

    `amount` is the amount the provider says it debited, to be compared with ours. `evidence` is the provider's code or
    the reason nothing is known (`timeout`, `http_500`, `bad_signature`, ...), without personal data.
    """

    verdict: Verdict
    payment_id: str | None = None
    decline: Decline | None = None
    amount: Money | None = None
    evidence: str = ""


class Finding(StrEnum):
    """What the engine does with a verdict about an attempt."""

    COLLECT = "collect"
    """The cycle is paid by this attempt."""
    REVERSE = "reverse"
    """The money was taken and must not be kept: cancel, else refund."""
    FAIL = "fail"
    CANCEL = "cancel"
    LOOK_AGAIN = "look_again"
    NOTHING = "nothing"
    """It was known already, or is weaker than what is known."""


UNFINISHED = tuple(status for status in AttemptStatus if status.open)
"""Money may be moving: no other attempt of the cycle may start."""


def judge(
    status: AttemptStatus, verdict: Verdict, *, paid_by_another: bool, unwanted: bool, cancel_stands: bool
) -> Finding:
    """Decides by what is known of the attempt and of its cycle; money that is `unwanted` is not kept.

    A success is never ignored, whenever it comes (payment-rules §4 point 7), except after a cancel where the provider
    vouches that the cancel stands.
    """
    over = (AttemptStatus.SUCCEEDED, AttemptStatus.REVERSED)
    if status in over or (status is AttemptStatus.CANCELED and cancel_stands):
        return Finding.NOTHING
    if verdict is Verdict.SUCCEEDED:
        return Finding.REVERSE if paid_by_another or unwanted else Finding.COLLECT
    if not status.open:
        return Finding.NOTHING
    return {
        Verdict.DECLINED: Finding.FAIL,
        Verdict.CANCELED: Finding.CANCEL,
    }.get(verdict, Finding.LOOK_AGAIN)


def order_id(agreement_id: str, cycle: int | None, charge_id: str) -> str:
    """The order a provider sees: the same for every attempt of a cycle, so that it can refuse a second payment."""
    return charge_id if cycle is None else f"{agreement_id}-c{cycle}"


def request_id(order: str, attempt: int) -> str:
    """The idempotency key of an attempt, derived and never drawn (design promise 1): a repeat repeats it."""
    return f"{order}-a{attempt}"
