"""Rotation of the vault: everything that is sealed, sealed again with the newest key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import Column, Table, select, update
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from store import tables
from store.database import Database
from store.vault import Vault, VaultError

_BATCH = 100
_PREFIX = "sealed_"

Counts = Counter[str]
"""How many values were `resealed`, were `current` already, or are `unreadable` with every key of the ring."""


def sealed_columns() -> Iterator[Column[str]]:
    """Every column that holds sealed text, of every table."""
    for name in tables.__all__:
        table: Table = SQLModel.metadata.tables[getattr(tables, name).__tablename__]
        yield from (column for column in table.columns if column.name.startswith(_PREFIX))


async def rotate(database: Database, vault: Vault) -> dict[str, Counts]:
    """Seals every sealed value with the newest key; the counts by `table.column`.

    Safe to interrupt, to repeat, and to run while the engine works: rows are locked for the length of a batch, and
    what the engine seals meanwhile it seals with the newest key, if it was given the same ring before.
    """
    counts: dict[str, Counts] = {}
    for column in sealed_columns():
        counts[f"{column.table.name}.{column.name}"] = found = Counts(resealed=0, current=0, unreadable=0)
        last: str | None = ""
        while last is not None:
            async with database.transaction() as session:
                last = await _batch(session, vault, column, last, found)
    return counts


async def _batch(session: AsyncSession, vault: Vault, column: Column[str], after: str, counts: Counts) -> str | None:
    """Rotates the next rows after an id; the last id, or None at the end."""
    id_: Column[str] = column.table.columns["id"]
    query = select(id_, column).where(id_ > after, column.is_not(None)).order_by(id_).limit(_BATCH)
    connection = await session.connection()
    rows = (await connection.execute(query.with_for_update())).all()
    for row_id, sealed in rows:
        if vault.is_current(sealed):
            counts["current"] += 1
            continue
        try:
            resealed = vault.rotate(sealed)
        except VaultError:
            counts["unreadable"] += 1
            continue
        await connection.execute(update(column.table).where(id_ == row_id).values({column: resealed}))
        counts["resealed"] += 1
    return str(rows[-1][0]) if rows else None
