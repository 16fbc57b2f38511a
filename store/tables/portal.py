"""Links to the customer's own page."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from store.tables.columns import created_at, instant


class PortalLink(SQLModel, table=True):
    """A link to the page of one agreement. Found by the keyed hash of its unguessable token.

    The token is kept sealed, so that a customer can be sent back to the page from the provider's.
    """

    __tablename__ = "portal_links"

    id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="agreements.id")
    token_hash: str = Field(unique=True)
    sealed_token: str = Field(repr=False)
    return_url: str | None = None
    """Where the page leads back to the merchant; without it, it does not."""
    language: str | None = None
    """The one the page speaks unless the address names another; empty: the browser's."""
    expires_at: datetime = instant()
    """In the agreement's own time."""
    created_at: datetime = created_at()
