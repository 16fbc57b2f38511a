"""The agreement, the customer's authorizations of it, and the credentials they gave."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from agreements.card_changes import CardChangeStatus, Initiator
from agreements.status import AgreementStatus, Stop
from store.tables.columns import created_at, document, instant, optional_document, optional_instant, word


class Agreement(SQLModel, table=True):
    """The row every decision locks first. `version` counts its changes, `sequence` its events."""

    __tablename__ = "agreements"
    __table_args__ = (
        UniqueConstraint("merchant_id", "livemode", "reference"),
        Index("agreements_newest", "merchant_id", "livemode", text("id desc")),
        Index("agreements_of_customer", "merchant_id", "livemode", "customer_id", text("id desc")),
        Index("agreements_due", "test_clock_id", "next_step_at"),
        Index("agreements_unstarted", "written_at", postgresql_where=text("not started")),
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
    credential_id: str | None = Field(default=None, index=True)
    warned_of: str | None = None
    """The credential whose coming end was announced."""
    revocation: dict[str, Any] | None = optional_document()
    revoke_at: datetime | None = optional_instant()
    revoke_tries: int = 0

    version: int = 0
    sequence: int = 0
    next_charge_at: datetime | None = optional_instant()
    next_step_at: datetime | None = optional_instant()
    started: bool = False
    restored_at: datetime | None = optional_instant()
    """When the engine stopped whose backup this row comes from: a debit due by then may have been made already."""
    written_at: datetime = created_at()
    """In real time; `created_at` is in the agreement's own."""
    created_at: datetime = instant()

    @property
    def chosen_policy(self) -> str | dict[str, Any]:
        """The retry policy as the merchant gave it: a name, or one of its own, which may differ in nothing (`{}`)."""
        return self.retry_policy if self.own_policy is None else self.own_policy


class Authorization(SQLModel, table=True):
    """One request for the customer's consent. Found by the keyed hash of its unguessable state."""

    __tablename__ = "authorizations"

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id", index=True)
    card_change_id: str | None = Field(default=None, index=True)
    """Empty for the agreement's first consent."""
    state_hash: str = Field(unique=True)
    status: str
    url: str | None = None
    expires_at: datetime | None = optional_instant()
    error: dict[str, Any] | None = optional_document()
    next_try_at: datetime | None = optional_instant()
    tries: int = 0
    code_notification_id: str | None = None
    """What the customer brought back or, while the page is open, the card they typed on a page of ours."""
    card_key: str | None = None
    """What the card is encrypted with while a page of ours waits for it; public."""
    created_at: datetime = instant()


class CardChange(SQLModel, table=True):
    """A link by which the customer gives another card or wallet. Found by the keyed hash of its unguessable token."""

    __tablename__ = "card_changes"
    __table_args__ = (
        Index("card_changes_newest", "agreement_id", text("id desc")),
        Index(
            "card_changes_one_open",
            "agreement_id",
            unique=True,
            postgresql_where=text("status in ('pending', 'opened')"),
        ),
    )

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id")
    merchant_id: str = Field(foreign_key="merchants.id")
    livemode: bool
    initiator: Initiator = word(Initiator)
    status: CardChangeStatus = word(CardChangeStatus)
    link_hash: str = Field(unique=True)
    url: str = Field(repr=False)
    return_url: str | None = None
    portal_link_id: str | None = None
    """The customer's page from which they last followed it, and to which they go back."""
    reason: str | None = None
    charge_id: str | None = None
    """The charge that waits for it."""
    credential_id: str | None = None
    """The new one."""
    expires_at: datetime = instant()
    reminders: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """How many fell due so far."""
    opened_at: datetime | None = optional_instant()
    finished_at: datetime | None = optional_instant()
    error: dict[str, Any] | None = optional_document()
    created_at: datetime = instant()


class Credential(SQLModel, table=True):
    """What may be charged. The tokens are sealed; `token_hash` finds a credential by its access token."""

    __tablename__ = "credentials"
    __table_args__ = (
        Index("credentials_unreleased", "released_by", postgresql_where=text("release_at is not null")),
        Index("credentials_of_customer", "merchant_id", "livemode", "customer_id", text("id desc")),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    livemode: bool
    customer_id: str
    gateway: str
    account_id: str
    kind: str
    brand: str
    payment_method: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """The agreement's it was given for; another agreement may use it for the same method only."""
    network: str | None = None
    """The card scheme (visa, mastercard, ...) whose rules apply; empty for wallets."""
    fingerprint: str | None = None
    """The keyed hash of the card itself, the same whichever token stands for it; budgets are counted by it."""
    last4: str | None = None
    expiry_month: int | None = None
    expiry_year: int | None = None
    marks: list[str] = document(default_factory=list, sa_column_kwargs={"server_default": text("'[]'::jsonb")})
    """What is known against it, such as `prepaid` or `single_use`."""
    network_transaction_id: str | None = None
    """The scheme's id of the customer's own payment; later debits name it (payment-rules §2.6)."""
    transaction_link_id: str | None = None
    """Mastercard's, to the same end."""
    mit_reason: str | None = None
    """Why it may be debited without the customer: the type of the agreement it was given for. Evidence that stays with
    the token (payment-rules §2.6), also where it serves other agreements; no provider's debit asks for it.
    """
    token_reference: str | None = None
    """What else a debit must name: the provider's channel, or its own id of the customer."""
    sealed_access_token: str | None = Field(repr=False)
    """Empty once it is deleted."""
    sealed_refresh_token: str | None = Field(default=None, repr=False)
    token_hash: str = Field(index=True)
    status: str = "active"
    """active; replaced while it is still to be released; released, kept (in use elsewhere) or release_failed; revoked
    by the payer; superseded by another row of the same token.
    """
    missing_since: datetime | None = optional_instant()
    """When the provider was first found not to have it any more, in real time; empty once it has it again."""
    issued_at: datetime = instant()
    token_expires_at: datetime | None = optional_instant()
    refresh_expires_at: datetime | None = optional_instant()
    refresh_at: datetime | None = optional_instant()
    refresh_tries: int = 0
    released_by: str | None = None
    """The agreement that no longer uses it, and whose workflow ends it at the provider."""
    release_at: datetime | None = optional_instant()
    release_tries: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    deleted_at: datetime | None = optional_instant()
    """The merchant does not know it any more; its secrets are wiped as soon as the provider has ended it."""
    created_at: datetime = created_at()
