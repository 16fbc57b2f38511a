"""What a customer was shown before they agreed, and what is known of how they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from agreements.consents import How
from store.tables.columns import created_at, document, instant, optional_instant, word


class Consent(SQLModel, table=True):
    """One time a customer was asked. It is evidence once `given_at` is set; what identifies a person is sealed.

    Written when the customer is sent to agree, so that the terms are those they were shown, whatever changes meanwhile.
    """

    __tablename__ = "consents"
    __table_args__ = (Index("consents_newest", "agreement_id", text("id desc")),)

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id")
    merchant_id: str = Field(foreign_key="merchants.id")
    livemode: bool
    how: How = word(How)
    authorization_id: str | None = Field(default=None, unique=True)
    """The provider's page; none where a credential was used again."""
    card_change_id: str | None = None
    """Empty for the agreement's first consent."""
    credential_id: str | None = None
    """What it led to."""
    shown: dict[str, Any] = document()
    """`agreements.consents.document`."""
    shown_hash: str
    sealed_evidence: str = Field(repr=False)
    """`agreements.consents.Evidence`: IP addresses, user agents, the text on the merchant's page."""
    given_at: datetime | None = optional_instant()
    asked_at: datetime = instant()
    """In the agreement's own time, like `given_at`; `created_at` is in real time."""
    created_at: datetime = created_at()
