"""The sandbox's own SQLite file: every gateway keeps its state in one, apart from the engine's database.

All access is synchronous and happens on the event loop's thread, between two awaits. A transaction is therefore never
interleaved with another one, and it is committed before an answer is written or a connection is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, StaticPool, String, TypeDecorator, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, Session, mapped_column


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime as text of fixed width, so that text order is time order."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> str | None:
        return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")

    def process_result_value(self, value: str | None, dialect: object) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


class Table(MappedAsDataclass, DeclarativeBase):
    """Base of all sandbox tables, a registry of its own: the engine's migrations never see them."""

    type_annotation_map = {datetime: Instant}  # noqa: RUF012 - the name and form SQLAlchemy asks for


NEVER_REUSED = {"sqlite_autoincrement": True}
"""Table option: the number of a deleted row is not given to a new one, which a task may still hold by that number."""


class Kept(Table):
    """A small value that outlives restarts, such as the faults in force."""

    __tablename__ = "kept"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Database:
    """One SQLite file. `path`'s folder is made if it does not exist."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine: Engine = create_engine(
            f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        event.listen(self._engine, "connect", _tune)
        Table.metadata.create_all(self._engine)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction: commits on leaving, rolls back on an exception. Must not be held across an await."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    def empty(self, keep: frozenset[str]) -> None:
        """Deletes the rows of every table not named in `keep`."""
        with self.begin() as session:
            for table in Table.metadata.sorted_tables:
                if table.name not in keep:
                    session.execute(table.delete())

    def close(self) -> None:
        self._engine.dispose()


def _tune(connection: Any, _record: object) -> None:
    """A write-ahead log survives the killing of the process without a disk flush for every commit."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=5000")
