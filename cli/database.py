"""What commands do on the database of the settings, and who does it."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from store.actors import Actor

_T = TypeVar("_T")


def in_transaction(work: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
    """Commits when `work` returns, and what it returns; nothing of it happened when it raises."""
    from settings import Settings
    from store.database import Database

    async def inside() -> _T:
        database = Database(Settings().database_url, pool_size=1)
        try:
            async with database.transaction() as session:
                return await work(session)
        finally:
            await database.close()

    return asyncio.run(inside())


def operator(command: str, reason: str | None = None, name: str | None = None) -> Actor:
    """Whoever runs a command, by the name they give or theirs on this machine. Raises typer.BadParameter for a reason
    with a secret in it.
    """
    from store.actors import Actor, without_secret

    try:
        without_secret(reason or "")
    except ValueError as error:
        raise typer.BadParameter(f"the reason {error}") from error

    if name:
        return Actor("operator", f"autodebit {command}", who=name, reason=reason)
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        name = None
    return Actor("operator", f"autodebit {command}", who=name, reason=reason)
