"""A small pool is slow and not wrong: nothing of the engine asks for a connection while it holds one."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.house import House
from tests.support.one_connection import OneEach, SecondConnection


async def test_the_engine_in_tests_is_given_one_connection_at_a_time(house: House) -> None:
    """So every test with a house or an API proves it of what it does. A task after the other may have the same one."""
    assert isinstance(house.parts.database, OneEach)
    engines_own = OneEach(house.settings.database_url, 1)
    try:
        async with engines_own.transaction():
            with pytest.raises(SecondConnection):
                async with asyncio.timeout(5), engines_own.transaction():
                    pass
        await asyncio.gather(*(_used(engines_own) for _ in range(5)))
    finally:
        await engines_own.close()


async def _used(database: OneEach) -> None:
    async with database.transaction():
        await asyncio.sleep(0)
