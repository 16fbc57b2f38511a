"""Connections that died while nobody used them are found before a transaction is lost on them."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from store.pinging import ping_when_stale
from tests.support.house import House

_KILL = text("select pg_terminate_backend(:pid)")
_PID = text("select pg_backend_pid()")


async def _pid(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(_PID)).scalar_one())


async def test_a_connection_that_died_while_idle_is_replaced_before_it_is_used(house: House) -> None:
    now = 0.0
    engine = create_async_engine(house.settings.database_url, pool_size=1, max_overflow=0)
    ping_when_stale(engine.sync_engine, lambda: now)
    try:
        first = await _pid(engine)
        assert await _pid(engine) == first
        async with house.database.transaction() as session:
            await (await session.connection()).execute(_KILL, {"pid": first})
        with pytest.raises(DBAPIError):
            await _pid(engine)  # it was fresh, so nobody asked
        second = await _pid(engine)
        async with house.database.transaction() as session:
            await (await session.connection()).execute(_KILL, {"pid": second})
        now += 60
        assert await _pid(engine) not in (first, second)
    finally:
        await engine.dispose()
