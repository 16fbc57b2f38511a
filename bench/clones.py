"""Rows of a table once more, under other names: how a bench comes by more agreements than it could let live."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Whatever columns the table has. Called in the from clause, the function runs once a row; in the select list it would
# run once a column.
_CLONE = """
insert into {table} select made.*
  from {table} r, generate_series(1, :count) n,
       lateral jsonb_populate_record(null::{table}, to_jsonb(r) || {changes}) made
 where {which}
"""


async def clone(connection: AsyncConnection, table: str, changes: str, which: str, **given: Any) -> None:
    """Puts `count` copies of each row `r` for which `which` holds into its table.

    `changes` is a JSON object in SQL, of the columns in which copy `n` differs; both may name what is `given`.
    """
    await connection.execute(text(_CLONE.format(table=table, changes=changes, which=which)), given)
