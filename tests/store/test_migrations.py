"""The migrations make exactly the tables the code works with, and carry over what older releases wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel, select

from agreements.refunds import RefundKind, RefundOrigin, RefundStatus
from store.database import Database
from store.migrate import config, migrate
from store.tables import Agreement, Charge, Refund
from tests.support.house import House

WRITTEN_BY_0_1_0 = """
insert into merchants values ('mer_1', 'Old Shop', now());
insert into gateway_accounts (id, merchant_id, livemode, gateway, base_url, sandbox, sealed_keys, created_at)
  values ('gwa_1', 'mer_1', false, 'antom', 'http://provider', true, 'sealed', now());
insert into agreements (id, merchant_id, livemode, reference, gateway, account_id, payment_method, customer_id,
    customer, terms, retry_policy, return_url, extra, status, stop, version, sequence, started, revoke_tries,
    written_at, created_at)
  values ('agr_1', 'mer_1', false, 'sub-1', 'antom', 'gwa_1', 'GCASH', 'cus-1', '{"id": "cus-1"}',
    '{"type": "recurring"}', 'standard', 'https://shop.example', '{}', 'active', 'none', 7, 9, true, 0, now(), now());
insert into charges (id, agreement_id, merchant_id, livemode, cycle, purpose, status, currency, amount, due_at,
    catch_up, attempts_made, created_at)
  values ('chg_1', 'agr_1', 'mer_1', false, 1, 'cycle', 'reversed', 'PHP', 49900, now(), false, 1, now());
insert into attempts (id, agreement_id, charge_id, number, gateway_request_id, status, currency, amount, credential_id,
    looks, times_not_found, prepared_at)
  values ('att_1', 'agr_1', 'chg_1', 1, 'agr_1-c1-a1', 'reversed', 'PHP', 49900, 'crd_1', 0, 0, now());
insert into refunds (id, agreement_id, charge_id, attempt_id, kind, request_id, status, currency, amount, reason, tries,
    next_try_at, created_at)
  values ('rfd_1', 'agr_1', 'chg_1', 'att_1', 'cancel', 'agr_1-c1-a1-r1', 'pending', 'PHP', 49900, 'paid already', 1,
    now(), now())
"""


def differences(connection: Connection) -> list[Any]:
    """Tables, columns, nullability and indexes; how a text column is called is not compared."""
    context = MigrationContext.configure(connection, opts={"compare_type": False, "compare_server_default": False})
    return list(compare_metadata(context, SQLModel.metadata))


@asynccontextmanager
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(url)
    try:
        yield made
    finally:
        await made.dispose()


async def test_the_migrated_database_is_the_one_the_tables_describe(house: House) -> None:
    async with engine(house.settings.database_url) as migrated, migrated.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_what_0_1_0_wrote_is_carried_over(house: House) -> None:
    async with engine(house.settings.database_url) as server, server.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("create database old"))
    url = house.settings.database_url.rpartition("/")[0] + "/old"
    async with engine(url) as old, old.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "0001"))
        for statement in WRITTEN_BY_0_1_0.split(";"):
            await connection.exec_driver_sql(statement)
    await migrate(url)
    database = Database(url, pool_size=1)
    async with database.transaction() as session:
        refund = (await session.exec(select(Refund))).one()
        assert (refund.kind, refund.status, refund.origin) == (
            RefundKind.CANCEL,
            RefundStatus.PENDING,
            RefundOrigin.ENGINE,
        )
        assert refund.started
        assert str((await session.exec(select(Charge))).one().money) == "PHP 499.00"
        agreement = (await session.exec(select(Agreement))).one()
        assert (agreement.version, agreement.own_policy, agreement.notice) == (7, None, None)
    await database.close()
