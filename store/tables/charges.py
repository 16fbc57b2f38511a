"""The ledger: charges, the attempts to collect them, money sent back, and the decisions taken on the way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from agreements.money import Money
from agreements.refunds import RefundKind, RefundOrigin, RefundStatus
from agreements.status import AttemptStatus, ChargePurpose, ChargeStatus
from store.tables.columns import created_at, document, instant, optional_document, optional_instant, word


class Charge(SQLModel, table=True):
    """One amount owed. `next_attempt_at` is when it is to be tried next; empty while nothing is to be done."""

    __tablename__ = "charges"
    __table_args__ = (
        Index(
            "charges_one_per_cycle", "agreement_id", "cycle", unique=True, postgresql_where=text("purpose = 'cycle'")
        ),
        Index("charges_newest", "merchant_id", "livemode", text("id desc")),
        Index("charges_of_agreement", "agreement_id", "due_at"),
    )

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id")
    merchant_id: str = Field(foreign_key="merchants.id")
    livemode: bool
    cycle: int | None = None
    purpose: ChargePurpose = word(ChargePurpose)
    status: ChargeStatus = word(ChargeStatus)
    currency: str | None = None
    amount: int | None = Field(default=None, sa_type=BigInteger)
    """Empty until it is set where the terms leave the amount of each cycle open."""
    amount_set: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """The merchant set the amount of this very cycle: a new amount in the terms does not change it."""
    description: str | None = None
    """What an on-demand charge is for, in the merchant's words."""
    due_at: datetime = instant()
    next_attempt_at: datetime | None = optional_instant()
    act_by: datetime | None = optional_instant()
    """Until when the customer must have acted, while the charge waits for that."""
    notice_at: datetime | None = optional_instant()
    """When to announce it, where a rule or the merchant asks for that."""
    noticed_at: datetime | None = optional_instant()
    notice_proven_at: datetime | None = optional_instant()
    """When the payer was told, as the merchant says."""
    catch_up: bool = False
    carried_to: int | None = None
    """The cycle whose amount took this one's in."""
    attempts_made: int = 0
    canceled_at: datetime | None = optional_instant()
    """When the merchant canceled it: from then on a success that turns up late goes back."""
    paid_at: datetime | None = optional_instant()
    created_at: datetime = instant()

    @property
    def money(self) -> Money:
        """What is owed. Raises ValueError while no amount has been set."""
        if self.currency is None or self.amount is None:
            raise ValueError(f"no amount has been set for {self.id}")
        return Money(currency=self.currency, value=self.amount)


class Attempt(SQLModel, table=True):
    """One debit tried. `prepared` without `sent` never reached the provider."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("charge_id", "number"),
        Index("attempts_one_success", "charge_id", unique=True, postgresql_where=text("status = 'succeeded'")),
        Index("attempts_of_agreement", "agreement_id", "status"),
        Index("attempts_unfinished", "agreement_id", postgresql_where=text("next_look_at is not null")),
        Index(
            "attempts_in_flight", "credential_id", postgresql_where=text("status in ('sent', 'processing', 'unknown')")
        ),
        Index(
            "attempts_by_card",
            "fingerprint",
            "merchant_id",
            "finished_at",
            postgresql_where=text("fingerprint is not null"),
        ),
    )

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id")
    charge_id: str = Field(foreign_key="charges.id")
    number: int
    gateway_request_id: str = Field(unique=True)
    status: AttemptStatus = word(AttemptStatus)
    currency: str
    amount: int = Field(sa_type=BigInteger)
    credential_id: str | None = None
    """Empty until the customer's own payment has left one."""
    authorization_id: str | None = Field(default=None, index=True)
    """The page on which the customer makes this payment; empty for a debit without them."""
    merchant_id: str | None = None
    fingerprint: str | None = None
    """The card's, copied when the attempt is prepared; with `merchant_id` the key of the schemes' retry budgets."""
    payment_id: str | None = Field(default=None, index=True)
    """The provider's own name of it, committed before the step that moves money where it works in two steps."""
    decline: dict[str, Any] | None = optional_document()
    decision: dict[str, Any] | None = optional_document()
    evidence: str | None = None
    looks: int = 0
    times_not_found: int = 0
    next_look_at: datetime | None = optional_instant()
    looked_at: datetime | None = optional_instant()
    prepared_at: datetime = instant()
    sent_at: datetime | None = optional_instant()
    finished_at: datetime | None = optional_instant()

    @property
    def money(self) -> Money:
        """What is debited."""
        return Money(currency=self.currency, value=self.amount)


class Refund(SQLModel, table=True):
    """Money sent back, or a debit canceled. `next_try_at` is set until the provider gave a final answer.

    A merchant's has a workflow of its own, and `started` says that it was started; the engine's own and those made at
    the provider are on their agreement's agenda.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        Index("refunds_by_request", "request_id", "agreement_id", unique=True),
        Index("refunds_unfinished", "agreement_id", postgresql_where=text("next_try_at is not null")),
        Index("refunds_unstarted", "written_at", postgresql_where=text("not started")),
    )

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id")
    charge_id: str = Field(foreign_key="charges.id", index=True)
    attempt_id: str = Field(foreign_key="attempts.id")
    origin: RefundOrigin = word(
        RefundOrigin, default=RefundOrigin.ENGINE, sa_column_kwargs={"server_default": "engine"}
    )
    kind: RefundKind = word(RefundKind)
    request_id: str
    """Ours, or for one made at the provider its own, which only one account vouches for."""
    status: RefundStatus = word(RefundStatus)
    currency: str
    amount: int = Field(sa_type=BigInteger)
    reason: str | None = None
    provider_id: str | None = None
    evidence: str | None = None
    decline: dict[str, Any] | None = optional_document()
    tries: int = 0
    in_doubt: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    sent_at: datetime | None = optional_instant()
    looks: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    times_not_found: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    next_try_at: datetime | None = optional_instant()
    started: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    written_at: datetime = created_at(sa_column_kwargs={"server_default": text("now()")})
    """In real time; `created_at` is in the agreement's own."""
    created_at: datetime = instant()
    finished_at: datetime | None = optional_instant()

    @property
    def money(self) -> Money:
        """What goes back."""
        return Money(currency=self.currency, value=self.amount)


class DecisionRecord(SQLModel, table=True):
    """Why the engine did what it did: the rule, what it looked at, what it chose (design promise 7)."""

    __tablename__ = "decisions"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    agreement_id: str = Field(foreign_key="agreements.id", index=True)
    charge_id: str | None = None
    attempt_id: str | None = None
    at: datetime = instant()
    action: str
    chosen_at: datetime | None = optional_instant()
    rule: str
    rulebook_version: str
    budget_left: int | None = None
    inputs: dict[str, Any] = document()
    created_at: datetime = created_at()
