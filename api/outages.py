"""Which errors mean that PostgreSQL or Temporal is away, in one place."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.service import RPCError, RPCStatusCode

RAISED: tuple[type[Exception], ...] = (OSError, DBAPIError, PoolTimeout, asyncpg.PostgresError, RPCError, RuntimeError)
"""What such errors are instances of; not every instance means an outage."""

_AWAY = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.ABORTED,
}
_NO_CONNECTION = "Failed client connect"  # how Temporal's client says so at its first call


def what_is_away(error: Exception) -> str | None:
    """The part that does not answer; None if the error means something else."""
    if isinstance(error, RPCError):
        return "Temporal" if error.status in _AWAY else None
    if isinstance(error, RuntimeError):
        return "Temporal" if _NO_CONNECTION in str(error) else None
    if isinstance(error, DBAPIError):
        lost = error.connection_invalidated or isinstance(error, (InterfaceError, OperationalError))
        return "PostgreSQL" if lost or _class_57(error.orig) else None
    if isinstance(error, asyncpg.PostgresError):
        return "PostgreSQL" if _class_57(error) else None
    return "PostgreSQL" if isinstance(error, (OSError, PoolTimeout)) else None


def _class_57(error: BaseException | None) -> bool:
    """Operator intervention, connection trouble, too many connections: SQLSTATE classes 57, 08 and 53."""
    return str(getattr(error, "sqlstate", "") or "")[:2] in ("57", "08", "53")
