"""Column types and conventions shared by every table."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Enum, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field


class Instant(TypeDecorator[datetime]):
    """A point in time: aware and UTC on both sides of the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Raises ValueError for a naive time."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive time must not reach the database")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """PostgreSQL answers in the session's zone; the engine works in UTC."""
        return None if value is None else value.astimezone(UTC)


def utcnow() -> datetime:
    """Real time, for `created_at` columns; decisions take their `now` from `store.clocks`."""
    return datetime.now(UTC)


def instant(**options: Any) -> Any:
    """A required time column."""
    return Field(sa_type=Instant, **options)


def optional_instant(**options: Any) -> Any:
    """A time column that may be empty."""
    return Field(default=None, sa_type=Instant, nullable=True, **options)


def created_at(**options: Any) -> Any:
    """When the row was written, in real time."""
    return Field(default_factory=utcnow, sa_type=Instant, **options)


def document(**options: Any) -> Any:
    """A JSONB column."""
    return Field(sa_type=JSONB, **options)


def optional_document() -> Any:
    """A JSONB column that may be empty (SQL null, not JSON null)."""
    return Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)


def word(of: type[StrEnum], **options: Any) -> Any:
    """A column of one of an enumeration's words, stored as text so that a new word needs no migration."""
    kind = Enum(
        of, native_enum=False, create_constraint=False, length=32, values_callable=lambda e: [m.value for m in e]
    )
    return Field(sa_type=kind, **options)
