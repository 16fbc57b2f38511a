"""Connections that were used a moment ago are taken at their word, others are asked first whether they still live.

A question before every transaction is a round trip in five. Where a fresh connection has died all the same, its
transaction fails like any other that loses PostgreSQL, and the pool asks all that are older.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

_FRESH = 1.0
"""Seconds. A PostgreSQL that starts again takes longer."""
_USED = "autodebit.used_at"


def ping_when_stale(engine: Engine, steady: Callable[[], float] = time.monotonic) -> None:
    """`steady` is a clock in seconds that never goes back; tests bring their own."""

    @event.listens_for(engine, "checkin")
    def put_back(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info[_USED] = steady()

    @event.listens_for(engine, "checkout")
    def take(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: object) -> None:
        used_at = entry.info.get(_USED)
        if used_at is None or steady() - used_at < _FRESH:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError("the connection died while it was idle") from error
