"""What providers report of the money they moved, and where that differs from the ledger."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from agreements.reconciliation import DifferenceStatus, Reason, ReportKind, RowKind, RowOutcome
from store.tables.columns import created_at, document, instant, optional_instant, word


class SettlementFile(SQLModel, table=True):
    """One file of a provider, taken in once. `statement` is what it is a part of: a day, or a settlement batch.

    A file of the same name with other contents is a correction: it supersedes, and only its rows count from then on.
    """

    __tablename__ = "settlement_files"
    __table_args__ = (
        UniqueConstraint("account_id", "sha256"),
        Index("settlement_files_current", "account_id", "statement", postgresql_where=text("superseded_by is null")),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="gateway_accounts.id")
    statement: str
    kind: ReportKind = word(ReportKind)
    name: str
    sha256: str
    customer: str | None = None
    """The merchant's id at the acquirer, as the file says."""
    first_day: date | None = Field(default=None, sa_type=Date)
    last_day: date | None = Field(default=None, sa_type=Date)
    """The provider's days it accounts for; empty for a batch, whose rows tell."""
    rows: int = 0
    superseded_by: str | None = None
    imported_at: datetime = created_at()
    reconciled_at: datetime | None = optional_instant()
    """Empty until it was first held against the ledger: whoever crashed in between is made up for."""


class SettlementRow(SQLModel, table=True):
    """One row of a file, in minor units. Of a summary `count` is set, and nothing that names a transaction."""

    __tablename__ = "settlement_rows"
    __table_args__ = (
        Index("settlement_rows_of_file", "file_id", "line"),
        Index("settlement_rows_by_request", "request_id"),
        Index("settlement_rows_by_transaction", "transaction_id"),
        Index("settlement_rows_by_original", "original_id", postgresql_where=text("original_id is not null")),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    file_id: str = Field(foreign_key="settlement_files.id")
    line: int
    kind: RowKind = word(RowKind)
    label: str
    """The provider's own word for it."""
    transaction_id: str | None = None
    request_id: str | None = None
    original_id: str | None = None
    original_request_id: str | None = None
    payment_method: str | None = None
    outcome: RowOutcome | None = word(RowOutcome, default=None, nullable=True)
    amount: int | None = Field(default=None, sa_type=BigInteger)
    currency: str | None = None
    settled: int | None = Field(default=None, sa_type=BigInteger)
    settled_currency: str | None = None
    fee: int | None = Field(default=None, sa_type=BigInteger)
    fee_currency: str | None = None
    count: int | None = None
    at: datetime | None = optional_instant()


class SettlementDifference(SQLModel, table=True):
    """Where report, ledger and notifications do not say the same: what, and since when; by whom it was put right.

    `finding` holds what each of them says.
    """

    __tablename__ = "settlement_differences"
    __table_args__ = (
        UniqueConstraint("account_id", "statement", "reason", "subject"),
        Index("settlement_differences_unsettled", "account_id", postgresql_where=text("status <> 'resolved'")),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="gateway_accounts.id")
    statement: str
    reason: Reason = word(Reason)
    subject: str
    status: DifferenceStatus = word(DifferenceStatus)
    finding: dict[str, Any] = document()
    agreement_id: str | None = None
    charge_id: str | None = None
    found_at: datetime = instant()
    resolved_at: datetime | None = optional_instant()
    resolved_by: str | None = None
    """An operator's name, or `engine` where the difference went away by itself."""
    note: str | None = None
