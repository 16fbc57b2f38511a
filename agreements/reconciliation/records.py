"""What is held against each other: a provider's report, the ledger, and what the provider told us at the time.

Amounts are integers in minor units. Those of payments and what goes back are without sign: the kind says which way the
money went, and whether a provider writes a minus before a refund is its own habit (gateways/antom.md §10.4). What a
provider settles is signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from agreements.refunds import RefundStatus
from agreements.status import AttemptStatus


class ReportKind(StrEnum):
    """What a file tells."""

    TRANSACTIONS = "transactions"
    """Everything that happened on a day of the provider's."""
    SETTLEMENT = "settlement"
    """What a payout is made up of."""
    SUMMARY = "summary"
    """The sums of a payout."""


class RowKind(StrEnum):
    """What a row of a report is about."""

    PAYMENT = "payment"
    REFUND = "refund"
    CANCEL = "cancel"
    PAYMENT_REVERSAL = "payment_reversal"
    """The provider closed the order and sent the money back, though the customer had been charged."""
    REFUND_REVERSAL = "refund_reversal"
    """The refund did not reach the customer: the money is back at the merchant."""
    DISPUTE = "dispute"
    OTHER = "other"
    """Fees, reserves and what else a provider books that is no payment of ours."""
    SUM = "sum"
    """Of a summary."""


class RowOutcome(StrEnum):
    """What a row says became of it, where it says so at all."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PROCESSING = "processing"
    OTHER = "other"
    """In a word nobody has documented."""


class State(StrEnum):
    """What the ledger says of money, as far as it matters here."""

    MOVED = "moved"
    NOT_MOVED = "not_moved"
    CANCELED = "canceled"
    """Ended before it was known to be paid; the provider may have booked it and taken it back."""
    UNDECIDED = "undecided"


class Reason(StrEnum):
    """Why two books differ, one word each; `words.py` has the sentences."""

    MISSING = "missing_at_provider"
    NOT_SETTLED = "not_settled"
    UNKNOWN = "unknown_to_us"
    REFUND_UNKNOWN = "refund_unknown_to_us"
    REFUND_WITHOUT_PAYMENT = "refund_without_payment"
    DUPLICATE = "duplicate"
    STATUS = "status_differs"
    CURRENCY = "currency_differs"
    AMOUNT = "amount_differs"
    FEE = "fee_differs"
    IDENTITY = "id_differs"
    NOTIFICATION = "notification_says_otherwise"
    PAYMENT_REVERSED = "payment_reversed"
    REFUND_BOUNCED = "refund_bounced"
    DISPUTED = "disputed"
    SUMMARY = "summary_differs"


class DifferenceStatus(StrEnum):
    PENDING = "pending"
    """May still turn up in a file that is not there yet."""
    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One transaction as the provider reports it. `source` and `line` are where to look for it."""

    line: int
    kind: RowKind
    label: str
    """The provider's own word for the kind."""
    transaction_id: str
    amount: int
    currency: str
    request_id: str | None = None
    original_id: str | None = None
    """Of a refund or a cancel: the provider's id of the payment."""
    original_request_id: str | None = None
    payment_method: str | None = None
    outcome: RowOutcome | None = None
    settled: int | None = None
    settled_currency: str | None = None
    fee: int | None = None
    fee_currency: str | None = None
    at: datetime | None = None
    batch: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """The sum over one kind of transaction in a payout, or over all of them (`TOTAL`)."""

    line: int
    label: str
    count: int
    settled: int
    settled_currency: str
    fee: int | None = None
    fee_currency: str | None = None
    batch: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Movement:
    """One payment, refund or cancel in the ledger, and between which instants the provider must have booked it."""

    kind: RowKind
    id: str
    request_id: str
    """Ours; of a cancel the payment's, because it has none of its own at the provider."""
    status: str
    state: State
    amount: int
    currency: str
    began: datetime | None
    ended: datetime | None
    provider_id: str | None = None
    payment_id: str | None = None
    """The provider's id of the payment it belongs to."""
    agreement_id: str = ""
    charge_id: str = ""
    payment_method: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a notification said, verified when it came. `moved` None: that it was under way."""

    kind: RowKind
    id: str
    request_id: str
    moved: bool | None
    amount: int | None = None
    currency: str | None = None


class Side(BaseModel):
    """What one of the books says."""

    model_config = ConfigDict(frozen=True)

    status: str | None = None
    amount: int | None = None
    currency: str | None = None
    fee: int | None = None
    fee_currency: str | None = None
    count: int | None = None
    id: str | None = None


class Finding(BaseModel):
    """One difference. `ours`, `theirs` and `heard` are what ledger, report and notification say; None: nothing."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    kind: RowKind
    subject: str
    """Names the same thing on every day: kind and request id."""
    pending: bool = False
    source: str = ""
    line: int | None = None
    request_id: str | None = None
    transaction_id: str | None = None
    record_id: str | None = None
    """The attempt (`att_`) or refund (`rfd_`)."""
    agreement_id: str | None = None
    charge_id: str | None = None
    ours: Side | None = None
    theirs: Side | None = None
    heard: Side | None = None


class Total(BaseModel):
    """Rows of one kind and currency: how many, and how much, agree or do not. Amounts in minor units."""

    model_config = ConfigDict(frozen=True)

    kind: RowKind
    label: str
    currency: str
    matched: int = 0
    matched_amount: int = 0
    pending: int = 0
    pending_amount: int = 0
    different: int = 0
    different_amount: int = 0
    noted: int = 0
    noted_amount: int = 0
    """What the provider booked on its own account: fees, reserves."""


class Matching(BaseModel):
    """What came of holding one statement against the ledger."""

    model_config = ConfigDict(frozen=True)

    findings: tuple[Finding, ...]
    totals: tuple[Total, ...]
    settled: dict[str, int]
    """Sum of what the rows settle, per settlement currency."""
    fees: dict[str, int]


def state_of_attempt(status: AttemptStatus) -> State:
    """What an attempt's status says about its money."""
    if status in (AttemptStatus.SUCCEEDED, AttemptStatus.REVERSED):
        return State.MOVED
    if status is AttemptStatus.CANCELED:
        return State.CANCELED
    return State.UNDECIDED if status.open else State.NOT_MOVED


def state_of_refund(status: RefundStatus) -> State:
    """The same of a refund or cancel."""
    if status is RefundStatus.SUCCEEDED:
        return State.MOVED
    return State.NOT_MOVED if status is RefundStatus.FAILED else State.UNDECIDED
