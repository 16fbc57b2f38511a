"""What agreements and their cycles take up in PostgreSQL: rows, bytes with indexes, and write-ahead log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from store.database import Database

_AT_REST = ("agreements", "credentials", "authorizations", "charges")

_TABLES = """
select c.relname, pg_total_relation_size(c.oid) from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and n.nspname = 'public'
"""
_LOG = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"


@dataclass(frozen=True)
class Reading:
    """At one moment: rows and bytes by table, and how many bytes of log were ever written."""

    rows: Mapping[str, int]
    bytes: Mapping[str, int]
    log: int


async def read(database: Database) -> Reading:
    """Counts every table."""
    async with database.transaction() as session:
        connection = await session.connection()
        sizes = {name: int(size) for name, size in await connection.execute(text(_TABLES))}
        rows = {
            name: int((await connection.execute(text(f'select count(*) from "{name}"'))).scalar_one())  # noqa: S608
            for name in sizes
        }
        return Reading(rows, sizes, int((await connection.execute(text(_LOG))).scalar_one()))


def at_rest(reading: Reading) -> dict[str, float]:
    """Bytes per agreement that waits for a cycle, by table."""
    agreements = reading.rows["agreements"]
    return {table: round(reading.bytes[table] / agreements, 1) for table in _AT_REST}


def per_cycle(before: Reading, after: Reading, cycles: int) -> dict[str, Any]:
    """What one cycle adds: rows and bytes of the tables that grew, and log.

    Bytes by what a row of the table takes up on average, with its indexes and the room for older versions of rows that
    vacuum will free.
    """
    grown = {table: after.rows[table] - before.rows[table] for table in after.rows}
    grown = {table: rows for table, rows in sorted(grown.items()) if rows}
    return {
        "rows": {table: round(rows / cycles, 2) for table, rows in grown.items()},
        "bytes": {t: round(rows / cycles * after.bytes[t] / after.rows[t], 1) for t, rows in grown.items()},
        "log_bytes": round((after.log - before.log) / cycles),
    }
