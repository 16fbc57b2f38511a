"""Coming back: after Temporal was lost, or after this database was restored from a backup (docs/deploy.md).

PostgreSQL holds the truth, so every workflow can be started from its rows. What the rows of a backup do not know is
what happened after it was taken: they are marked, and a debit that may have been made is asked for before it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlmodel import col, or_, select

from agreements import recovery
from agreements.deliveries import DeliveryStatus
from agreements.refunds import RefundOrigin
from store.changes import Change
from store.database import Database
from store.tables import Agreement, Attempt, Charge, Declaration, Delivery, Refund

_BATCH = 2000

_OPEN = or_(col(Agreement.ended).is_(None), col(Agreement.next_step_at).is_not(None))
"""Agreements that still live, or have something left to do."""


@dataclass(frozen=True)
class Found:
    """How many of each have to be started again."""

    agreements: int
    refunds: int
    declarations: int
    deliveries: int


async def forget_workflows(database: Database, stopped_at: datetime | None) -> Found:
    """Notes for everything unfinished that no workflow of it runs; in batches, and safe to repeat.

    `stopped_at` is when the engine stopped that the backup was taken from; None where this database lost nothing.
    """
    restored = {} if stopped_at is None else {"restored_at": stopped_at}
    unfinished = col(Refund.next_try_at).is_not(None), Refund.origin == RefundOrigin.MERCHANT
    return Found(
        agreements=await _unstart(database, Agreement, (_OPEN,), restored),
        refunds=await _unstart(database, Refund, unfinished, {}),
        declarations=await _unstart(database, Declaration, (col(Declaration.next_try_at).is_not(None),), {}),
        deliveries=await _unstart(database, Delivery, (Delivery.status == DeliveryStatus.PENDING,), {}),
    )


async def _unstart(
    database: Database,
    table: type[Agreement] | type[Refund] | type[Declaration] | type[Delivery],
    which: Sequence[ColumnElement[bool] | bool],
    values: dict[str, Any],
) -> int:
    """Batches by id, each a transaction: nothing waits long for a row."""
    count, last = 0, ""
    while True:
        async with database.transaction() as session:
            page = select(table.id).where(*which, col(table.id) > last).order_by(col(table.id)).limit(_BATCH)
            ids = list(await session.exec(page))
            await session.exec(update(table).where(col(table.id).in_(ids)).values(started=False, **values))
        if not ids:
            return count
        count, last = count + len(ids), ids[-1]


async def unstarted(database: Database, limit: int) -> Sequence[str]:
    """The agreements to be started next: what is due soonest comes first."""
    query = select(Agreement.id).where(~col(Agreement.started)).order_by(col(Agreement.next_step_at), Agreement.id)
    async with database.transaction() as session:
        return (await session.exec(query.limit(limit))).all()


async def mark_started(database: Database, agreement_ids: Sequence[str]) -> None:
    """Their workflows run."""
    async with database.transaction() as session:
        await session.exec(update(Agreement).where(col(Agreement.id).in_(agreement_ids)).values(started=True))


async def expects_workflows(database: Database) -> bool:
    """Whether a workflow should be running, by the rows."""
    query = select(Agreement.id).where(col(Agreement.started), col(Agreement.ended).is_(None)).limit(1)
    async with database.transaction() as session:
        return (await session.exec(query)).first() is not None


async def may_have_been_made(change: Change, attempt: Attempt) -> bool:
    """Whether an attempt nothing is known of may have been made already, before this database was restored."""
    if change.agreement.restored_at is None:
        return False
    charge = await change.session.get_one(Charge, attempt.charge_id)
    others = select(Attempt.evidence).where(Attempt.charge_id == charge.id, Attempt.id != attempt.id)
    evidence = list(await change.session.exec(others))
    return recovery.may_have_been_made(change.agreement.restored_at, charge.due_at, evidence)
