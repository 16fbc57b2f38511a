"""Starred calls and their first answers (design §4, the IETF Idempotency-Key draft).

The key's row is written in the transaction of what it guards, so neither exists without the other. Two callers with one
key meet at the row's primary key: PostgreSQL lets the second wait until the first has committed or given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.merchants import Principal
from store.tables import IdempotencyKey
from store.tables.columns import utcnow


@dataclass(frozen=True)
class Call:
    """One starred call: whose, under which key, and the hash of what it asks for."""

    principal: Principal
    key: str
    fingerprint: str


async def find(session: AsyncSession, call: Call) -> IdempotencyKey | None:
    """What is kept under the caller's key, whatever it was used for."""
    query = select(IdempotencyKey).where(
        IdempotencyKey.merchant_id == call.principal.merchant_id,
        IdempotencyKey.livemode == call.principal.livemode,
        IdempotencyKey.key == call.key,
    )
    return (await session.exec(query)).first()


async def reserve(
    session: AsyncSession,
    call: Call,
    resource_id: str | None,
    status_code: int | None = None,
    answer: dict[str, Any] | None = None,
) -> bool:
    """Takes the key for this transaction, with its answer if that is known. False when somebody else was first."""
    row = IdempotencyKey(
        merchant_id=call.principal.merchant_id,
        livemode=call.principal.livemode,
        key=call.key,
        fingerprint=call.fingerprint,
        resource_id=resource_id,
        status_code=status_code,
        answer=answer,
    )
    statement = insert(IdempotencyKey).values(**row.model_dump()).on_conflict_do_nothing()
    return bool((await session.exec(statement.returning(col(IdempotencyKey.key)))).first())


async def keep_answer(session: AsyncSession, call: Call, status_code: int, answer: dict[str, Any]) -> None:
    """Stores the answer unless one is kept already: the first one stands."""
    await session.exec(
        update(IdempotencyKey)
        .where(
            col(IdempotencyKey.merchant_id) == call.principal.merchant_id,
            col(IdempotencyKey.livemode) == call.principal.livemode,
            col(IdempotencyKey.key) == call.key,
            col(IdempotencyKey.status_code).is_(None),
        )
        .values(status_code=status_code, answer=answer)
    )


def abandoned(row: IdempotencyKey, after: timedelta) -> bool:
    """Whether whoever took the key must have died: it has no answer, and has had `after` to find one."""
    return row.status_code is None and utcnow() - row.created_at > after
