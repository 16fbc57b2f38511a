"""Money sent back: how much may be, what each answer about it means, and what to do next.

A refund is sent, and asked about until its outcome is known; a repeat under the same request id is harmless, so what
the provider never received is simply sent again. A cancel gives a debit back in full while the provider allows it,
leaves no record of its own there (gateways/antom.md §3.6), and turns into a refund when it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from agreements.attempts import Verdict
from agreements.guarantees import Traits
from agreements.inquiries import next_look
from agreements.status import ChargeStatus


class RefundStatus(StrEnum):
    PENDING = "pending"
    """Not sent yet, or with the provider."""
    UNKNOWN = "unknown"
    """Sent, and nothing trustworthy is known of it."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundKind(StrEnum):
    CANCEL = "cancel"
    REFUND = "refund"


class RefundOrigin(StrEnum):
    """Who wanted the money to go back."""

    MERCHANT = "merchant"
    ENGINE = "engine"
    """A debit that must not be kept: a second success, or one after the revocation."""
    PROVIDER = "provider"
    """Made on the provider's own portal."""


COUNTED = (RefundStatus.PENDING, RefundStatus.UNKNOWN, RefundStatus.SUCCEEDED)
"""What has gone back or may yet; a failed refund frees its amount."""
REFUNDABLE = (ChargeStatus.SUCCEEDED, ChargeStatus.PARTIALLY_REFUNDED)

_DAILY = timedelta(days=1)
_LOOKS_UNTIL_NOT_FOUND_COUNTS = 2


@dataclass(frozen=True)
class Progress:
    """How far sending money back has come. `next_at` is when to act next; None once the outcome is known."""

    kind: RefundKind
    status: RefundStatus
    next_at: datetime | None
    in_doubt: bool = False
    """Something was sent whose outcome is not known: the next call is a question."""
    sent_at: datetime | None = None
    looks: int = 0
    times_not_found: int = 0


class RefundStanding(BaseModel):
    """What a refund's workflow must know of it, read from its row."""

    model_config = ConfigDict(frozen=True)

    refund_id: str
    agreement_id: str
    merchant_id: str
    gateway: str
    test_clock_id: str | None = None
    title: str
    status: RefundStatus
    as_of: datetime
    """The agreement's own time when this was read."""
    next_at: datetime | None = None


def charge_status(captured: int, given_back: int) -> ChargeStatus:
    """The status of a paid charge of which `given_back` has gone back; both in minor units."""
    if given_back <= 0:
        return ChargeStatus.SUCCEEDED
    return ChargeStatus.REFUNDED if given_back >= captured else ChargeStatus.PARTIALLY_REFUNDED


def sent(before: Progress, now: datetime) -> Progress:
    """Committed just before the call: whoever finds this after a crash asks first."""
    return replace(before, in_doubt=True, sent_at=before.sent_at or now, times_not_found=0)


def answered(before: Progress, verdict: Verdict, traits: Traits, now: datetime) -> Progress:
    """What the provider's answer to the call itself means. "Not found" of a cancel says nothing about the money."""
    if _final(before):
        return before
    if verdict is Verdict.SUCCEEDED:
        return _ended(before, RefundStatus.SUCCEEDED)
    if verdict is Verdict.DECLINED:
        return _refused(before, now)
    status = RefundStatus.PENDING if verdict is Verdict.PROCESSING else RefundStatus.UNKNOWN
    return _look_again(replace(before, status=status), traits, now)


def looked_up(before: Progress, verdict: Verdict, traits: Traits, now: datetime) -> Progress:
    """What an inquiry found: of a refund the refund itself, of a cancel the payment."""
    if _final(before):
        return before
    before = replace(before, looks=before.looks + 1, times_not_found=before.times_not_found + _missing(verdict))
    if before.status is RefundStatus.FAILED:
        return _checked(before, verdict, traits, now)
    if before.kind is RefundKind.CANCEL:
        return _payment_found(before, verdict, traits, now)
    if verdict is Verdict.NOT_FOUND and _never_received(before, traits, now):
        return replace(before, status=RefundStatus.PENDING, in_doubt=False, next_at=now)
    return answered(before, verdict, traits, now)


def told(before: Progress, verdict: Verdict, now: datetime) -> Progress:
    """What the provider's own message means. A refund may fail after it succeeded, when the money bounced.

    The other way round nothing is documented: then the provider is asked, so that messages in the wrong order do no
    harm.
    """
    if before.kind is RefundKind.CANCEL:
        return _ended(before, RefundStatus.SUCCEEDED) if verdict is Verdict.CANCELED else before
    if verdict is Verdict.DECLINED and before.status is not RefundStatus.FAILED:
        return _ended(before, RefundStatus.FAILED)
    if verdict is Verdict.SUCCEEDED and before.status is RefundStatus.FAILED and before.next_at is None:
        return replace(before, in_doubt=True, sent_at=now, looks=0, next_at=now)
    if verdict is Verdict.SUCCEEDED and not _final(before) and before.status is not RefundStatus.FAILED:
        return _ended(before, RefundStatus.SUCCEEDED)
    return before


def _payment_found(before: Progress, verdict: Verdict, traits: Traits, now: datetime) -> Progress:
    """After an unknown cancel: a payment that is canceled, or failed after all, keeps no money; a paid one is canceled
    again.
    """
    if verdict in (Verdict.CANCELED, Verdict.DECLINED):
        return _ended(before, RefundStatus.SUCCEEDED)
    if verdict is Verdict.SUCCEEDED:
        return replace(before, status=RefundStatus.PENDING, in_doubt=False, next_at=now)
    return _look_again(replace(before, status=RefundStatus.UNKNOWN), traits, now)


def _checked(before: Progress, verdict: Verdict, traits: Traits, now: datetime) -> Progress:
    """A failed refund that a message called successful: failed until the provider itself says otherwise."""
    if verdict is Verdict.SUCCEEDED:
        return _ended(before, RefundStatus.SUCCEEDED)
    if verdict in (Verdict.PROCESSING, Verdict.UNKNOWN):
        return _look_again(before, traits, now)
    return _ended(before, RefundStatus.FAILED)


def _refused(before: Progress, now: datetime) -> Progress:
    if before.kind is RefundKind.CANCEL:
        return Progress(RefundKind.REFUND, RefundStatus.PENDING, next_at=now)
    return _ended(before, RefundStatus.FAILED)


def _never_received(before: Progress, traits: Traits, now: datetime) -> bool:
    """ "Not found" counts after the settling time and two looks (payment-rules §4 point 5)."""
    settled = now - (before.sent_at or now) >= traits.settling_time
    return settled and before.times_not_found >= _LOOKS_UNTIL_NOT_FOUND_COUNTS


def _look_again(before: Progress, traits: Traits, now: datetime) -> Progress:
    """On the growing schedule and, where that gives an unknown up, daily: money that is owed back stays owed."""
    planned = next_look(before.sent_at or now, before.looks, now, traits.queries)
    return replace(before, next_at=planned or now + _DAILY)


def _ended(before: Progress, status: RefundStatus) -> Progress:
    return replace(before, status=status, in_doubt=False, next_at=None)


def _final(progress: Progress) -> bool:
    return progress.next_at is None


def _missing(verdict: Verdict) -> int:
    return 1 if verdict is Verdict.NOT_FOUND else 0
