"""Migrations on a database that is in use: every release's rows survive, the code reads them, and nobody waits long."""

from __future__ import annotations

import ast
import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, Enum, inspect, text
from sqlalchemy.types import JSON, BigInteger, Boolean, DateTime, Integer
from sqlmodel import SQLModel, select

from cli.embedded.postgres import create_database
from store import standings, tables
from store.database import Database
from store.migrate import config, migrate
from tests.store.test_migrations import engine
from tests.support.house import House
from tests.support.shops import agreement_body

RELEASES = {"0001": "0.1.0", "0002": "0.2.0", "0003": "0.3.0"}
VERSIONS = Path(__file__).parents[2] / "store/migrations/versions"
TERMS = agreement_body(None)["terms"]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
MODELS: list[type[SQLModel]] = [
    model for model in vars(tables).values() if isinstance(model, type) and hasattr(model, "__table__")
]

Row = dict[str, Any]


def fill(connection: Connection) -> None:
    """A row in every table there is, with something in every column, as far as one row can have it."""
    found = inspect(connection)
    for table, _ in found.get_sorted_table_and_fkc_names():
        if table is None or table == "alembic_version":
            continue
        parents = {key["constrained_columns"][0]: key["referred_table"] for key in found.get_foreign_keys(table)}
        columns = [column for column in found.get_columns(table) if not column.get("identity")]
        row = {column["name"]: value_of(table, column, parents) for column in columns}
        names, places = ", ".join(f'"{name}"' for name in row), ", ".join(f":{name}" for name in row)
        connection.execute(text(f"insert into {table} ({names}) values ({places})"), row)  # noqa: S608


def value_of(table: str, column: Any, parents: dict[str, str]) -> Any:
    name, kind = column["name"], column["type"]
    if (table, name) == ("agreements", "terms"):
        return json.dumps(TERMS)
    if name == "currency":
        return "PHP"
    if name in parents:
        return f"one of {parents[name]}"
    if name == "id" and not isinstance(kind, Integer):
        return f"one of {table}"
    described = SQLModel.metadata.tables[table].c[name].type
    if isinstance(described, Enum):
        return described.enums[0]
    if isinstance(kind, JSON):
        return "{}"
    if isinstance(kind, DateTime):
        return NOW
    if isinstance(kind, Boolean):
        return False
    return 1 if isinstance(kind, Integer | BigInteger) else name


def rows(connection: Connection) -> dict[str, list[Row]]:
    names = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
    query = "select to_jsonb(t) from {} t"
    return {name: [row for (row,) in connection.execute(text(query.format(name)))] for name in names}


async def at_release(house: House, revision: str, name: str) -> str:
    """A database as the release left it, with data; its address."""
    url = await create_database(house.settings.database_url, name)
    async with engine(url) as made, made.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(config(sync), revision))
        await connection.run_sync(fill)
    return url


@pytest.mark.parametrize("revision", RELEASES)
async def test_what_a_release_wrote_survives_and_is_read(house: House, revision: str) -> None:
    url = await at_release(house, revision, f"data_of_{revision}")
    async with engine(url) as made, made.connect() as connection:
        before = await connection.run_sync(rows)
    assert len(before) > 10
    assert all(len(found) == 1 for found in before.values())
    await migrate(url)
    async with engine(url) as made, made.connect() as connection:
        after = await connection.run_sync(rows)
    for table, (row,) in before.items():
        assert row.items() <= after[table][0].items(), table
    database = Database(url, pool_size=1)
    async with database.transaction() as session:
        for model in MODELS:
            assert len((await session.exec(select(model))).all()) == len(after[str(model.__tablename__)])
    standing = await standings.current(database, "one of agreements")
    assert standing.agreement.id == "one of agreements"
    await database.close()


async def test_a_table_in_use_holds_up_a_migration_and_the_migration_nobody(house: House) -> None:
    url = await at_release(house, "0003", "data_in_use")
    async with engine(url) as made, made.connect() as reader, made.connect() as customer:
        await reader.execute(text("select * from agreements"))  # a transaction that goes on for long
        migrating = asyncio.create_task(migrate(url, lock_timeout=timedelta(milliseconds=200)))
        waiting = text(
            "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock'"
            " and database = (select oid from pg_database where datname = current_database())"
        )
        async with asyncio.timeout(60):
            while not await customer.scalar(waiting):
                await customer.rollback()
                await asyncio.sleep(0.02)
        async with asyncio.timeout(30):
            await customer.execute(text("update agreements set version = version + 1"))
            await customer.commit()
        assert not migrating.done()
        await reader.rollback()
        await migrating


async def test_several_may_migrate_at_once(house: House) -> None:
    url = await create_database(house.settings.database_url, "migrated_twice")
    await asyncio.gather(*(migrate(url) for _ in range(3)))


ONLINE = sorted(path for path in VERSIONS.glob("0*.py") if path.name > "0004")
"""Of the migrations before, engines and databases were small."""


@pytest.mark.parametrize("path", ONLINE, ids=lambda path: path.stem)
def test_no_migration_rewrites_or_locks_a_table_with_rows(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    operations = [call for call in calls if isinstance(call.func, ast.Attribute) and is_op(call.func)]
    made = {literal(call.args[0]) for call in operations if name_of(call) == "create_table"}
    for call in operations:
        options = {option.arg: ast.unparse(option.value) for option in call.keywords}
        if name_of(call) == "create_index":
            assert options.get("postgresql_concurrently") == "True" or literal(call.args[1]) in made
        if name_of(call) == "add_column" and literal(call.args[0]) not in made:
            column = ast.unparse(call.args[1])
            assert "nullable=True" in column or "server_default=" in column
        assert name_of(call) not in ("drop_column", "drop_table", "rename_table", "create_unique_constraint")
        if name_of(call) == "alter_column":
            assert options.keys() == {"nullable"}
            assert options["nullable"] == "True"


def is_op(function: ast.Attribute) -> bool:
    return isinstance(function.value, ast.Name) and function.value.id == "op"


def name_of(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    return call.func.attr


def literal(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    return str(node.value)
