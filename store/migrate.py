"""Brings a database to the current schema while the engine runs. Several processes may try at once: one migrates, the
others wait.

Each migration is a transaction of its own. It waits only a moment for a table's lock, because whoever comes after it
waits behind it; it is tried again when the table is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_LOCK = 0x6175746F  # "auto"
_LOOK_AGAIN = 0.2  # seconds
_LOCK_NOT_AVAILABLE = "55P03"
_TRIES = 30


def config(connection: Connection) -> Config:
    """Alembic's configuration, without a file of its own."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    settings.attributes["connection"] = connection
    return settings


async def migrate(database_url: str, lock_timeout: timedelta = timedelta(seconds=2)) -> None:
    """Runs every migration that is missing. Raises DBAPIError when a table stayed locked through all tries.

    The connection has to be one of PostgreSQL's own: a pooler that lends it for a transaction loses the lock.
    """
    engine = create_async_engine(database_url)
    try:
        async with _alone(engine), engine.connect() as connection:
            await connection.execute(text(f"set lock_timeout = {lock_timeout // timedelta(milliseconds=1)}"))
            await connection.commit()
            for tries in range(1, _TRIES + 1):
                try:
                    return await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
                except DBAPIError as error:
                    if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or tries == _TRIES:
                        raise
                    await asyncio.sleep(_LOOK_AGAIN)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _alone(engine: AsyncEngine) -> AsyncIterator[None]:
    """Asks for the lock again and again instead of waiting for it: an index that is built concurrently waits for every
    statement that began before, and must not wait for one that waits for its builder.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        while not await connection.scalar(text(f"select pg_try_advisory_lock({_LOCK})")):
            await asyncio.sleep(_LOOK_AGAIN)
        try:
            yield
        finally:
            await connection.execute(text(f"select pg_advisory_unlock({_LOCK})"))
