"""What happened and what came in: events, provider messages, idempotency keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from store.tables.columns import created_at, document, instant


class Event(SQLModel, table=True):
    """A fact merchants are told, written in the transaction that made it true.

    `transaction` orders the feed: a reader that stops below the oldest running transaction can skip nothing.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("agreement_id", "sequence"),
        Index("events_feed", "merchant_id", "livemode", "transaction", "id"),
    )

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id")
    merchant_id: str = Field(foreign_key="merchants.id")
    livemode: bool
    sequence: int
    type: str
    at: datetime = instant()
    data: dict[str, Any] = document()
    transaction: int | None = Field(
        default=None,
        sa_type=BigInteger,
        nullable=False,
        sa_column_kwargs={"server_default": text("(pg_current_xact_id()::text)::bigint")},
    )
    created_at: datetime = created_at()


class Notification(SQLModel, table=True):
    """The journal of everything a provider, or a customer's browser, told us; the raw message is sealed.

    `status`: received (not judged yet), refused (forged or unreadable), unmatched, ignored, duplicate, signalled
    (the workflow knows), settled.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        Index("notifications_unsettled", "agreement_id", postgresql_where=text("status = 'signalled'")),
        Index("notifications_dedupe", "account_id", "dedupe_key"),
        Index("notifications_received", "id", postgresql_where=text("status = 'received'")),
        Index("notifications_by_age", "status", "created_at"),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="gateway_accounts.id")
    source: str
    sealed_message: str = Field(repr=False)
    status: str = "received"
    kind: str | None = None
    dedupe_key: str | None = None
    agreement_id: str | None = Field(default=None, foreign_key="agreements.id")
    refund_id: str | None = None
    """Set where it concerns a refund that has a workflow of its own."""
    detail: str | None = None
    created_at: datetime = created_at()


class IdempotencyKey(SQLModel, table=True):
    """A starred call and its first answer. Kept as long as what it made; an empty answer means it still runs."""

    __tablename__ = "idempotency_keys"

    merchant_id: str = Field(primary_key=True, foreign_key="merchants.id")
    livemode: bool = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    resource_id: str | None = None
    status_code: int | None = None
    # JSON, not JSONB, which would put the members into another order: a repeat gets the same text.
    answer: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True), nullable=True)
    created_at: datetime = created_at()
