"""Payments declared at customs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from agreements.declarations import DeclarationStatus
from agreements.money import Money
from store.tables.columns import created_at, document, instant, optional_document, optional_instant, word


class Declaration(SQLModel, table=True):
    """A payment, or part of it, declared at customs. Its id is the provider's request id too.

    `next_try_at` is set until the outcome is known; `started` says that its workflow was started.
    """

    __tablename__ = "declarations"
    __table_args__ = (Index("declarations_unstarted", "written_at", postgresql_where=text("not started")),)

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id", index=True)
    charge_id: str = Field(foreign_key="charges.id", index=True)
    attempt_id: str = Field(foreign_key="attempts.id")
    status: DeclarationStatus = word(DeclarationStatus)
    currency: str
    amount: int = Field(sa_type=BigInteger)
    customs_code: str
    merchant_code: str
    merchant_name: str
    sub_order_id: str | None = None
    sealed_buyer: str | None = Field(default=None, repr=False)
    """Emptied as soon as the provider has taken or refused the declaration."""
    accepted: bool = False
    facts: dict[str, Any] = document(default_factory=dict)
    """The provider's own names and words for it."""
    decline: dict[str, Any] | None = optional_document()
    evidence: str | None = None
    tries: int = 0
    sent_at: datetime | None = optional_instant()
    next_try_at: datetime | None = optional_instant()
    started: bool = False
    written_at: datetime = created_at()
    """In real time; `created_at` is in the agreement's own."""
    created_at: datetime = instant()
    finished_at: datetime | None = optional_instant()

    @property
    def money(self) -> Money:
        """What is declared."""
        return Money(currency=self.currency, value=self.amount)
