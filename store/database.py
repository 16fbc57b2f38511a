"""The connection to PostgreSQL: one engine per process, one transaction per unit of work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from store.pinging import ping_when_stale


class Database:
    """Owns the pool. Read committed everywhere; whoever decides on an agreement locks its row first."""

    def __init__(self, url: str, pool_size: int = 20) -> None:
        # Parameters stay out of error texts, and so out of logs and workflow histories.
        # The connection used last goes first: it has the statements prepared, as its PostgreSQL process has its caches.
        self._engine = create_async_engine(
            url, pool_size=pool_size, max_overflow=0, pool_use_lifo=True, hide_parameters=True
        )
        ping_when_stale(self._engine.sync_engine)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Commits when the block ends, rolls back when it raises."""
        async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    async def ping(self) -> None:
        """Raises if PostgreSQL does not answer."""
        async with self._engine.connect() as connection:
            await connection.execute(text("select 1"))

    async def close(self) -> None:
        """Returns every connection."""
        await self._engine.dispose()
