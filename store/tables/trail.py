"""Who did what: the trail of calls and commands that changed something."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from store.tables.columns import created_at


class TrailEntry(SQLModel, table=True):
    """One change somebody made, written in its transaction. It refers to nothing, so that it outlives everything.

    `actor`: api (a merchant's key), operator (the command line) or customer (a page of ours).
    """

    __tablename__ = "audit_trail"
    __table_args__ = (
        Index("audit_trail_agreement", "agreement_id", "id"),
        Index("audit_trail_merchant", "merchant_id", "id"),
    )

    id: str = Field(primary_key=True)
    at: datetime = created_at()
    merchant_id: str | None = None
    livemode: bool | None = None
    """None where it concerns both modes."""
    actor: str
    who: str | None = None
    """The key's id, an operator's name on their machine, or the id of the link a customer was sent."""
    ip: str | None = Field(default=None, repr=False)
    user_agent: str | None = Field(default=None, repr=False)
    call: str
    """Method and path as in the API's description, or the command."""
    object_id: str | None = None
    agreement_id: str | None = None
    reason: str | None = None
