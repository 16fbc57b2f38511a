"""A pool of connections that gives nobody a second one.

Where one task waited for a connection while it held another, as many such tasks as there are connections would wait for
each other for ever, in a process with a small pool or much to do. What tests make the engine do goes through here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from store.database import Database


class SecondConnection(AssertionError):
    """Somebody opens a transaction inside of another one."""


class OneEach(Database):
    """Refuses a transaction to a task that has one open; what counts is the task, whichever functions are between."""

    def __init__(self, url: str, pool_size: int) -> None:
        super().__init__(url, pool_size)
        self._holding = set[asyncio.Task[Any] | None]()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        task = asyncio.current_task()
        if task in self._holding:
            raise SecondConnection("a transaction is opened inside of another one")
        self._holding.add(task)
        try:
            async with super().transaction() as session:
                yield session
        finally:
            self._holding.discard(task)
