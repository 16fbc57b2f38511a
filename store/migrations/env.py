"""Alembic's entry point: runs the migrations on the connection `store.migrate` opened."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Enum
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from store import tables
from store.tables.columns import Instant

METADATA = SQLModel.metadata
TABLES = tables.__all__  # importing the module is what fills the metadata


def plain_types(type_: str, item: Any, _context: Any) -> str | Literal[False]:
    """Migrations outlive our column classes: they name PostgreSQL's types only."""
    if type_ == "type" and isinstance(item, AutoString | Enum):
        return "sa.Text()"
    if type_ == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_item=plain_types,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
