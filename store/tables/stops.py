"""The stop switches: debits that somebody halted for a provider or for a merchant."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from store.tables.columns import created_at, optional_instant, word


class Scope(StrEnum):
    """What a stop switch halts the debits of."""

    GATEWAY = "gateway"
    MERCHANT = "merchant"


class StopSwitch(SQLModel, table=True):
    """One stop of one scope in one mode. No row, no stop: where debits run freely the table is empty.

    After a `go` it holds the agreements beyond `told_to` until each of them was told; then it is history.
    """

    __tablename__ = "stop_switches"
    __table_args__ = (
        Index(
            "stop_switches_in_force",
            "scope",
            "name",
            "livemode",
            unique=True,
            postgresql_where=text("lifted_at is null"),
        ),
        Index("stop_switches_untold", "id", postgresql_where=text("not told")),
    )

    id: str = Field(primary_key=True)
    scope: Scope = word(Scope)
    name: str
    """The gateway's name, or the merchant's id."""
    livemode: bool
    reason: str
    """Merchants read it in the timelines of their agreements."""
    by: str
    """Who stopped it: for operators only."""
    at: datetime = created_at()
    lifted_at: datetime | None = optional_instant()
    told_to: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """The last agreement that was told of the stop or, once it is lifted, of its end; they are told in order of id."""
    told: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Every agreement of the scope was."""
