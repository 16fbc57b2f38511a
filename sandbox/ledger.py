"""Every movement of money tried, as the provider sees it. Audits are made against it (design §8)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sandbox.database import NEVER_REUSED, Table


class Kind(StrEnum):
    """What was tried."""

    DEBIT = "debit"
    REFUND = "refund"
    CANCEL = "cancel"


class Status(StrEnum):
    """What became of it. A successful debit stays succeeded when it is cancelled later: the cancel is its own entry."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PROCESSING = "processing"


class Entry(Table):
    """One movement. `amount` in minor units of `currency`; `virtual_time` is the clock's, or real without one."""

    __tablename__ = "ledger"
    __table_args__ = (Index("ledger_by_request", "request_id"), NEVER_REUSED)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    request_id: Mapped[str]
    kind: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str]
    status: Mapped[str]
    virtual_time: Mapped[datetime]
    credential: Mapped[str | None]
    merchant_reference: Mapped[str | None]
    clock: Mapped[str | None]


def settle(session: Session, request_id: str, kind: Kind, status: Status) -> None:
    """Gives the processing entry of a request its final status."""
    entries = select(Entry).where(Entry.request_id == request_id, Entry.kind == kind, Entry.status == Status.PROCESSING)
    for entry in session.scalars(entries):
        entry.status = status


def bounce(session: Session, request_id: str) -> None:
    """The money of a refund did not arrive: whatever its entry said, it failed."""
    for entry in session.scalars(select(Entry).where(Entry.request_id == request_id, Entry.kind == Kind.REFUND)):
        entry.status = Status.FAILED


def entries(session: Session) -> list[dict[str, object]]:
    """The whole ledger, oldest first, in the form of `GET /_sandbox/ledger`."""
    return [
        {
            "request_id": entry.request_id,
            "kind": entry.kind,
            "amount": entry.amount,
            "currency": entry.currency,
            "status": entry.status,
            "virtual_time": entry.virtual_time.isoformat(),
            "credential": entry.credential,
            "merchant_reference": entry.merchant_reference,
        }
        for entry in session.scalars(select(Entry).order_by(Entry.number))
    ]
