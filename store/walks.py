"""Walks through all agreements, a slice at a time, each of which remembers how far it has come."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.tables import Agreement, AuditMark


class Walk(StrEnum):
    """Who walks; the value is the name of its mark."""

    ROWS = "all"
    """The audit's, which asks the ledger (`store.audit`)."""
    WORKFLOWS = "workflows"
    """The audit's, which asks Temporal: slower, for each agreement is a call."""
    OLD_ROWS = "old rows"
    """What is no longer kept of each agreement (`store.old_rows`)."""


async def next_slice(session: AsyncSession, walk: Walk, size: int) -> list[str]:
    """The next agreements of a walk, which begins again when it is through."""
    known = await session.get(AuditMark, walk)
    found = await after(session, known.reached if known else "", size)
    await mark(session, walk, found[-1] if len(found) == size else "")
    return found


async def after(session: AsyncSession, agreement_id: str, size: int) -> list[str]:
    """Agreements in the order of their ids."""
    query = select(Agreement.id).where(Agreement.id > agreement_id).order_by(Agreement.id).limit(size)
    return list(await session.exec(query))


async def mark(session: AsyncSession, name: str, reached: str) -> None:
    """Remembers how far something has come: a walk, or what looks at changes alone (`store.audit_log`)."""
    row = insert(AuditMark).values(name=name, reached=reached)
    await session.exec(row.on_conflict_do_update(index_elements=["name"], set_={"reached": reached}))
