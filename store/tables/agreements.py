"""The agreement, the customer's authorizations of it, and the credentials they gave."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from agreements.status import AgreementStatus, Stop
from store.tables.columns import created_at, document, instant, optional_document, optional_instant, word


class Agreement(SQLModel, table=True):
    """The row every decision locks first. `version` counts its changes, `sequence` its events."""

    __tablename__ = "agreements"
    __table_args__ = (
        UniqueConstraint("merchant_id", "livemode", "reference"),
        Index("agreements_newest", "merchant_id", "livemode", text("id desc")),
        Index("agreements_due", "test_clock_id", "next_step_at"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    livemode: bool
    reference: str
    gateway: str
    account_id: str = Field(foreign_key="gateway_accounts.id")
    payment_method: str
    customer_id: str
    customer: dict[str, Any] = document()
    terms: dict[str, Any] = document()
    retry_policy: str
    """A named policy's name, or `custom` for one of its own."""
    own_policy: dict[str, Any] | None = optional_document()
    notice: dict[str, Any] | None = optional_document()
    """The merchant's wish for notices before each debit."""
    return_url: str
    currency: str | None = None
    """Fixed by the first amount where the terms name none; the only one it is ever debited in."""
    extra: dict[str, Any] = document()
    test_clock_id: str | None = Field(default=None, foreign_key="test_clocks.id")

    status: AgreementStatus = word(AgreementStatus)
    ended: AgreementStatus | None = word(AgreementStatus, default=None, nullable=True)
    ended_at: datetime | None = optional_instant()
    stop: Stop = word(Stop, default=Stop.NONE)
    stopped_at: datetime | None = optional_instant()
    action_required: str | None = None
    credential_id: str | None = None
    revocation: dict[str, Any] | None = optional_document()
    revoke_at: datetime | None = optional_instant()
    revoke_tries: int = 0

    version: int = 0
    sequence: int = 0
    next_charge_at: datetime | None = optional_instant()
    next_step_at: datetime | None = optional_instant()
    started: bool = False
    written_at: datetime = created_at()
    """In real time; `created_at` is in the agreement's own."""
    created_at: datetime = instant()


class Authorization(SQLModel, table=True):
    """One request for the customer's consent. Found by the keyed hash of its unguessable state."""

    __tablename__ = "authorizations"

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id", index=True)
    state_hash: str = Field(unique=True)
    status: str
    url: str | None = None
    expires_at: datetime | None = optional_instant()
    error: dict[str, Any] | None = optional_document()
    next_try_at: datetime | None = optional_instant()
    tries: int = 0
    code_notification_id: str | None = None
    created_at: datetime = instant()


class Credential(SQLModel, table=True):
    """What may be charged. The tokens are sealed; `token_hash` finds a credential by its access token."""

    __tablename__ = "credentials"

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    livemode: bool
    customer_id: str
    gateway: str
    account_id: str
    kind: str
    brand: str
    network: str | None = None
    """The card scheme (visa, mastercard, ...) whose rules apply; empty for wallets."""
    fingerprint: str | None = None
    """The keyed hash of the card itself, the same whichever token stands for it; budgets are counted by it."""
    last4: str | None = None
    expiry_month: int | None = None
    expiry_year: int | None = None
    sealed_access_token: str = Field(repr=False)
    sealed_refresh_token: str | None = Field(default=None, repr=False)
    token_hash: str = Field(index=True)
    status: str = "active"
    issued_at: datetime = instant()
    token_expires_at: datetime | None = optional_instant()
    refresh_expires_at: datetime | None = optional_instant()
    refresh_at: datetime | None = optional_instant()
    refresh_tries: int = 0
    created_at: datetime = created_at()
