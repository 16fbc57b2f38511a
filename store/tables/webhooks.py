"""Webhooks: where merchants want events, what is sent there, and how every attempt went."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from agreements.deliveries import DeliveryStatus, DisabledReason
from store.tables.columns import created_at, document, instant, optional_instant, word


class WebhookEndpoint(SQLModel, table=True):
    """Where a merchant wants events. Deleting keeps the row, because deliveries refer to it.

    Whoever needs its row and rows of its deliveries locks it first.
    """

    __tablename__ = "webhook_endpoints"

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id", index=True)
    livemode: bool
    url: str
    event_types: list[str] = document()
    description: str | None = None
    sealed_secret: str = Field(repr=False)
    failing_since: datetime | None = optional_instant()
    """When the first of the attempts failed that have been failing ever since."""
    disabled_at: datetime | None = optional_instant()
    """Nothing is sent while this is set; what happens meanwhile is parked."""
    disabled_reason: DisabledReason | None = word(DisabledReason, default=None, nullable=True)
    catching_up: bool = False
    """Enabled again, with parked deliveries left; what happens meanwhile queues up behind them."""
    deleted_at: datetime | None = optional_instant()
    created_at: datetime = created_at()


class RetiredSecret(SQLModel, table=True):
    """A secret that was replaced and still signs for a while beside the new one."""

    __tablename__ = "retired_webhook_secrets"

    id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="webhook_endpoints.id", index=True)
    sealed_secret: str = Field(repr=False)
    signs_until: datetime = instant()
    created_at: datetime = created_at()


class Delivery(SQLModel, table=True):
    """One event to one endpoint, written with the event.

    It is sent in runs: one by the plan, another whenever it is sent again on request or after its endpoint was
    disabled. A run that is not the latest does nothing any more.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "endpoint_id"),
        Index("deliveries_unstarted", "created_at", postgresql_where=text("not started")),
        Index("deliveries_of_endpoint", "endpoint_id", "id"),
        Index("deliveries_open", "endpoint_id", "status", postgresql_where=text("finished_at is null")),
    )

    id: str = Field(primary_key=True)
    event_id: str = Field(foreign_key="events.id")
    endpoint_id: str = Field(foreign_key="webhook_endpoints.id")
    status: DeliveryStatus = word(DeliveryStatus, default=DeliveryStatus.PENDING)
    started: bool = False
    """Its run was handed to Temporal, or need not be."""
    run: int = 1
    queued_at: datetime = created_at()
    """When the run began to wait for its turn."""
    attempts: int = 0
    """Of all runs."""
    attempts_before: int = 0
    """Of earlier runs; the plan counts from here."""
    next_attempt_at: datetime | None = optional_instant()
    last_status: int | None = None
    last_error: str | None = None
    finished_at: datetime | None = optional_instant()
    created_at: datetime = created_at()

    @property
    def tries(self) -> int:
        """Attempts of the latest run."""
        return self.attempts - self.attempts_before


class DeliveryAttempt(SQLModel, table=True):
    """How one attempt went; kept for a while (`AUTODEBIT_WEBHOOK_LOG_RETENTION`)."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (
        Index("delivery_attempts_in_order", "delivery_id", "number"),
        Index("delivery_attempts_by_age", "at"),
    )

    id: str = Field(primary_key=True)
    delivery_id: str = Field(foreign_key="deliveries.id")
    number: int
    at: datetime = instant()
    status: int | None = None
    error: str | None = None
    latency_ms: int
    answer: str | None = None
    """The first bytes of the answer, printable, without anything that looks like a secret."""
