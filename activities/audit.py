"""The background audit: looks for rows that break an invariant, says so once, and remembers until they do no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from temporalio import activity

from activities.contract import AUDIT
from agreements.invariants import Invariant
from store import audit, audit_log, walks
from store.audit import Violation
from store.database import Database
from store.walks import Walk
from telemetry import metrics

log = structlog.get_logger(__name__)

_AT_ONCE = 500
"""Agreements per transaction: some tenths of a second."""
_WALKED = 5_000
"""Of the walk through all agreements, per audit: with one a minute ten million take a day and a half."""
_ASKED_FOR = 100
"""Workflows looked for per audit, in a slower walk of their own: each is a call to Temporal."""
_STARTED_BEFORE = timedelta(minutes=5)

Running = Callable[[str], Awaitable[bool]]
"""Whether an agreement's workflow runs, by the agreement's id."""


class Audits:
    """One audit after the other; doing one twice finds nothing new."""

    def __init__(self, database: Database, running: Running) -> None:
        self._database, self._running = database, running

    @activity.defn(name=AUDIT)
    async def audit(self) -> int:
        """Looks at what changed since the last one, at a slice of all, at what is open, and at what it found before.

        Answers the number found.
        """
        now = datetime.now(UTC)
        async with self._database.transaction() as session:
            window = await audit_log.window(session, now)
            changed = await audit_log.changed(session, window)
            part = await walks.next_slice(session, Walk.ROWS, _WALKED)
            sleeping = await walks.next_slice(session, Walk.WORKFLOWS, _ASKED_FOR)
            suspected = [finding.agreement_id for finding in await audit_log.unresolved(session)]
        looked_at = sorted({*changed, *part, *suspected})
        found = await of_agreements(self._database, looked_at)
        found += await of_all(self._database)
        overdue = [each.subject for each in found if each.invariant is Invariant.STEPS_ARE_TAKEN]
        found += await self._without_workflow(sorted({*overdue[:_ASKED_FOR], *sleeping, *suspected}), now)
        async with self._database.transaction() as session:
            await audit_log.walked(session, window)
        metrics.AUDITED.inc(len(looked_at))
        return len(found)

    async def _without_workflow(self, candidates: Sequence[str], now: datetime) -> list[Violation]:
        async with self._database.transaction() as session:
            living = await audit_log.living(session, candidates, now - _STARTED_BEFORE)
        found = [
            Violation(Invariant.WORKFLOW_RUNS, agreement_id, agreement_id, "it has not ended, and no workflow runs")
            for agreement_id in living
            if not await self._running(agreement_id)
        ]
        await _keep(self._database, found, (Invariant.WORKFLOW_RUNS,), candidates)
        return found


async def of_agreements(database: Database, agreement_ids: Sequence[str]) -> list[Violation]:
    """Asks what is wrong with these agreements and keeps the answers, some hundred agreements at a time."""
    found: list[Violation] = []
    for some in _batches(agreement_ids):
        async with database.transaction() as session:
            violations = await audit.of_agreements(session, some)
        await _keep(database, violations, audit.OF_AGREEMENTS, some)
        found += violations
    return found


async def of_all(database: Database) -> list[Violation]:
    """Asks what is open and should not be, and keeps the answers."""
    async with database.transaction() as session:
        found = await audit.of_all(session)
    await _keep(database, found, audit.OF_ALL, None)
    return found


async def everything(database: Database) -> list[Violation]:
    """The same of every agreement there is; takes minutes per million."""
    found, last = await of_all(database), ""
    while True:
        async with database.transaction() as session:
            some = await walks.after(session, last, _AT_ONCE)
        if not some:
            return found
        found, last = found + await of_agreements(database, some), some[-1]


async def _keep(
    database: Database, found: Sequence[Violation], asked: Sequence[Invariant], of: Sequence[str] | None
) -> None:
    """Writes down what was found and what is over; what is new is counted and logged, after the commit."""
    async with database.transaction() as session:
        new = await audit_log.note(session, found)
        await audit_log.resolve(session, asked, found, of)
    for each in new:
        metrics.VIOLATIONS.labels(each.invariant.value).inc()
        log.error(
            "invariant_violated",
            invariant=each.invariant.value,
            subject=each.subject,
            agreement=each.agreement_id,
            detail=each.detail,
        )


def _batches(agreement_ids: Sequence[str]) -> Iterator[list[str]]:
    return (list(agreement_ids[at : at + _AT_ONCE]) for at in range(0, len(agreement_ids), _AT_ONCE))
