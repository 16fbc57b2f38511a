"""What the background audit found, and how far it has come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from agreements.invariants import Invariant
from store.tables.columns import created_at, optional_instant, word


class AuditFinding(SQLModel, table=True):
    """A violation of an invariant. It stays open until an audit of the same rows finds it no more."""

    __tablename__ = "audit_findings"
    __table_args__ = (
        UniqueConstraint("invariant", "subject"),
        Index("audit_findings_open", "invariant", "found_at", postgresql_where=text("resolved_at is null")),
        Index("audit_findings_of_agreement", "agreement_id"),
    )

    id: str = Field(primary_key=True)
    invariant: Invariant = word(Invariant)
    subject: str
    """The row that is wrong: a charge, an attempt, an event, or the agreement itself."""
    agreement_id: str
    detail: str
    """Figures and words of ours; nothing of the customer's."""
    found_at: datetime = created_at()
    resolved_at: datetime | None = optional_instant()


class AuditMark(SQLModel, table=True):
    """How far the audit has come: `changes` in time, `all` through the agreements in the order of their ids."""

    __tablename__ = "audit_marks"

    name: str = Field(primary_key=True)
    reached: str
    """An agreement's id; or an instant, ISO 8601 in UTC."""
