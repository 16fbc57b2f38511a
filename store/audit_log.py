"""The audit's memory: what it found, what is still so, and up to when it has looked at what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.invariants import Invariant
from store import ids, walks
from store.audit import Violation
from store.backlog import Question
from store.tables import Agreement, AuditFinding, AuditMark
from store.tables.columns import utcnow

_SETTLED = timedelta(minutes=1)
"""Our transactions take milliseconds: what has an older id is committed, or never will be."""
_AT_MOST = timedelta(days=1)
"""After a longer pause the walk through all agreements gets to what changed before."""
_CHANGES = "changes"

OPEN = Question(
    "invariant_violations_open",
    "Violations of an invariant that are still there.",
    ("invariant",),
    "select invariant, found_at as since from audit_findings where resolved_at is null",
)


@dataclass(frozen=True)
class Window:
    """Agreements changed in a span of real time."""

    since: datetime
    until: datetime


async def window(session: AsyncSession, now: datetime) -> Window:
    """From where the last audit ended to what is certainly committed by now."""
    mark = await session.get(AuditMark, _CHANGES)
    until = now - _SETTLED
    since = datetime.fromisoformat(mark.reached) if mark else until
    return Window(max(since, until - _AT_MOST), until)


async def changed(session: AsyncSession, within: Window) -> list[str]:
    """The agreements with a new charge, attempt, refund or event: ids sort by time, so each is one range of a key."""
    parts, values = [], {}
    for table, prefix in (("charges", "chg"), ("attempts", "att"), ("refunds", "rfd"), ("events", "evt")):
        parts.append(f"select agreement_id from {table} where id >= :{prefix}_since and id < :{prefix}_until")  # noqa: S608
        values[f"{prefix}_since"] = ids.first_at(prefix, within.since)
        values[f"{prefix}_until"] = ids.first_at(prefix, within.until)
    connection = await session.connection()
    return list((await connection.execute(text(" union ".join(parts) + " order by 1"), values)).scalars())


async def walked(session: AsyncSession, within: Window) -> None:
    """Notes that what changed in this span was looked at."""
    await walks.mark(session, _CHANGES, within.until.astimezone(UTC).isoformat())


async def living(session: AsyncSession, agreement_ids: Sequence[str], before: datetime) -> list[str]:
    """Those that have not ended, and whose workflow was started before this instant at the latest."""
    query = select(Agreement.id).where(
        col(Agreement.id).in_(agreement_ids),
        col(Agreement.ended).is_(None),
        col(Agreement.started),
        Agreement.written_at < before,
    )
    return list(await session.exec(query))


async def note(session: AsyncSession, found: Sequence[Violation]) -> list[Violation]:
    """Keeps violations; answers those that were not known, or were thought to be over."""
    new = []
    for violation in found:
        row = insert(AuditFinding).values(
            id=ids.new("adt"),
            invariant=violation.invariant,
            subject=violation.subject,
            agreement_id=violation.agreement_id,
            detail=violation.detail,
            found_at=utcnow(),
        )
        again = {"detail": row.excluded.detail, "found_at": row.excluded.found_at, "resolved_at": None}
        kept = row.on_conflict_do_update(
            index_elements=["invariant", "subject"], set_=again, where=col(AuditFinding.resolved_at).is_not(None)
        )
        if (await session.exec(kept.returning(col(AuditFinding.id)))).first() is not None:
            new.append(violation)
    return new


async def resolve(
    session: AsyncSession,
    asked: Sequence[Invariant],
    still: Sequence[Violation],
    of_agreements: Sequence[str] | None = None,
) -> None:
    """Closes findings of the invariants asked about that are not among those found now."""
    over = update(AuditFinding).where(col(AuditFinding.resolved_at).is_(None), col(AuditFinding.invariant).in_(asked))
    if of_agreements is not None:
        over = over.where(col(AuditFinding.agreement_id).in_(of_agreements))
    if still:
        now_known = tuple_(col(AuditFinding.invariant), col(AuditFinding.subject))
        over = over.where(now_known.not_in([(each.invariant, each.subject) for each in still]))
    await session.exec(over.values(resolved_at=utcnow()))


async def unresolved(session: AsyncSession, limit: int = 1000) -> Sequence[AuditFinding]:
    """What is still wrong, the oldest first."""
    query = select(AuditFinding).where(col(AuditFinding.resolved_at).is_(None))
    return (await session.exec(query.order_by(col(AuditFinding.found_at), AuditFinding.id).limit(limit))).all()
