"""The states of agreements, charges and attempts, as design §4 names them."""

from __future__ import annotations

from enum import StrEnum


class AgreementStatus(StrEnum):
    PENDING_AUTHORIZATION = "pending_authorization"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    """A cycle is unpaid after its due instant and not written off."""
    ACTION_REQUIRED = "action_required"
    """The customer must act."""
    PAUSED = "paused"
    COMPLETED = "completed"
    """Every cycle is paid, failed or skipped."""
    EXPIRED = "expired"
    REVOKED = "revoked"
    AUTHORIZATION_FAILED = "authorization_failed"


AGREEMENT_ENDS = frozenset(
    {
        AgreementStatus.COMPLETED,
        AgreementStatus.EXPIRED,
        AgreementStatus.REVOKED,
        AgreementStatus.AUTHORIZATION_FAILED,
    }
)


class ChargeStatus(StrEnum):
    SCHEDULED = "scheduled"
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    RETRYING = "retrying"
    ACTION_REQUIRED = "action_required"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    REVERSED = "reversed"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class ChargePurpose(StrEnum):
    CYCLE = "cycle"
    ON_DEMAND = "on_demand"
    VERIFICATION = "verification"


class AttemptStatus(StrEnum):
    PREPARED = "prepared"
    """Written down; the provider was not called."""
    SENT = "sent"
    """Committed just before the call: from here on money may move. Merchants see it as `processing`."""
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    REVERSED = "reversed"

    @property
    def shown(self) -> AttemptStatus:
        """The status on the API."""
        return AttemptStatus.PROCESSING if self is AttemptStatus.SENT else self

    @property
    def open(self) -> bool:
        """Money may still move: no other attempt of the cycle may start."""
        return self in (AttemptStatus.SENT, AttemptStatus.PROCESSING, AttemptStatus.UNKNOWN)


class Stop(StrEnum):
    """The switch on the agreement's row that is re-read before every debit."""

    NONE = "none"
    PAUSED = "paused"
    REVOKED = "revoked"


def derive(
    *, ended: AgreementStatus | None, authorized: bool, stop: Stop, action_required: bool, past_due: bool
) -> AgreementStatus:
    """The one status merchants see: ends win over paused over action_required over past_due over active.

    A committed revocation is an end at once. Without an authorization nothing else can be said yet, so
    `pending_authorization` stands right below the ends. Raises ValueError if `ended` is not an end.
    """
    if ended is not None and ended not in AGREEMENT_ENDS:
        raise ValueError(f"{ended} does not end an agreement")
    if ended is not None:
        return ended
    ladder = (
        (stop is Stop.REVOKED, AgreementStatus.REVOKED),
        (not authorized, AgreementStatus.PENDING_AUTHORIZATION),
        (stop is Stop.PAUSED, AgreementStatus.PAUSED),
        (action_required, AgreementStatus.ACTION_REQUIRED),
        (past_due, AgreementStatus.PAST_DUE),
    )
    return next((status for applies, status in ladder if applies), AgreementStatus.ACTIVE)
