"""What is still to happen: payments that settle later, orders that close, notifications to send.

Every item is a row with a due time, on a test clock or in real time. One background loop performs what is due; a row
goes away in the transaction that records its end, so a killed process carries on where it stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Index, Select, delete, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sandbox.clocks import Clock, Moment, real_now
from sandbox.database import NEVER_REUSED, Database, Table

log = logging.getLogger(__name__)

NOW = timedelta(0)
MOST_AT_ONCE = 50
"""Deliveries under way at the same time."""
LONGEST_NAP = 1.0
"""Seconds after which the loop looks again even if nobody woke it."""


class Due(Table):
    """One thing to do at `due_at`, and never before `not_before` in real time (in real time: the same instant)."""

    __tablename__ = "agenda"
    __table_args__ = (
        Index("agenda_by_clock", "clock", "due_at"),
        Index("agenda_by_subject", "kind", "subject"),
        NEVER_REUSED,
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    kind: Mapped[str]
    subject: Mapped[str]
    clock: Mapped[str | None]
    due_at: Mapped[datetime]
    not_before: Mapped[datetime]


Transition = Callable[[Session, str, Moment], None]
"""Changes the state of a subject at a moment, inside the transaction that removes the row."""

Finish = Callable[[Session], timedelta | None]
"""Records the end of a delivery; the wait until it is tried again, or None if it is over."""

Delivery = Callable[[str, Moment], Awaitable[Finish]]
"""Does something that takes real time for a subject, such as an HTTP call."""


@dataclass
class Agenda:
    """The rows and the loop. `speed` divides every wait in real time; waits on a test clock are never scaled."""

    database: Database
    speed: float = 1.0
    transitions: dict[str, Transition] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    def plan(
        self,
        session: Session,
        moment: Moment,
        kind: str,
        subject: str,
        after: timedelta = NOW,
        hold: timedelta = NOW,
    ) -> None:
        """Adds a row due `after` this moment, held back for at least `hold` of real time."""
        start = real_now() + hold
        if moment.clock:
            session.add(Due(kind, subject, moment.clock, moment.now + after, start))
        else:
            due_at = moment.now + after / self.speed
            session.add(Due(kind, subject, None, due_at, max(due_at, start)))
        self.wake()

    def drop(self, session: Session, subject: str, *kinds: str) -> None:
        """Takes rows of a subject off the agenda."""
        session.execute(delete(Due).where(Due.subject == subject, Due.kind.in_(kinds)))

    def wake(self) -> None:
        """Makes the loop look at once: something was planned, or a clock moved."""
        self._wake.set()

    def next_due(self, session: Session, moment: Moment) -> datetime | None:
        """The earliest due time of a clock after its now."""
        return session.scalar(select(func.min(Due.due_at)).where(Due.clock == moment.clock, Due.due_at > moment.now))

    def outstanding(self, session: Session, moment: Moment) -> int:
        """How many rows of a clock are due and not finished, those under way included."""
        due = select(func.count()).select_from(Due).where(Due.clock == moment.clock, Due.due_at <= moment.now)
        return session.scalar(due) or 0

    async def run(self) -> None:
        """Performs what is due, until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    while self._perform_transition():
                        pass
                    nap = self._start_deliveries()
                except Exception:
                    log.exception("the sandbox's agenda stumbled")
                    nap = LONGEST_NAP
                with suppress(TimeoutError):
                    async with asyncio.timeout(nap):
                        await self._wake.wait()
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _perform_transition(self) -> bool:
        """Performs the earliest transition that is due; False if there is none. One may take others off the agenda."""
        with self.database.begin() as session:
            row = session.scalar(self._ready(real_now()).where(Due.kind.in_(self.transitions)).limit(1))
            if row is None:
                return False
            session.delete(row)
            session.flush()
            self.transitions[row.kind](session, row.subject, self._moment(row))
        return True

    def _start_deliveries(self) -> float:
        """Starts the deliveries that are due; seconds until the next one may be."""
        now = real_now()
        with self.database.begin() as session:
            ready = self._ready(now).where(Due.kind.in_(self.deliveries), Due.number.not_in(self._under_way))
            for row in session.scalars(ready.limit(MOST_AT_ONCE - len(self._under_way))):
                self._under_way[row.number] = asyncio.create_task(self._deliver(row))
            upcoming = session.scalar(
                select(Due.not_before).where(Due.not_before > now).order_by(Due.not_before).limit(1)
            )
        return LONGEST_NAP if upcoming is None else min(LONGEST_NAP, (upcoming - now).total_seconds())

    def _ready(self, now: datetime) -> Select[Due]:
        """Rows whose clock has reached them, earliest first."""
        reached = or_(Due.clock.is_(None), Due.due_at <= Clock.now)
        rows = select(Due).outerjoin(Clock, Due.clock == Clock.id).where(reached, Due.not_before <= now)
        return rows.order_by(Due.due_at, Due.number)

    def _moment(self, row: Due) -> Moment:
        return Moment(row.due_at if row.clock else real_now(), row.clock)

    async def _deliver(self, row: Due) -> None:
        try:
            finish = await self.deliveries[row.kind](row.subject, self._moment(row))
            with self.database.begin() as session:
                again = finish(session)
                kept = session.get(Due, row.number)
                if kept is not None and again is None:
                    session.delete(kept)
                elif kept is not None and again is not None:
                    kept.due_at = kept.due_at + again if kept.clock else real_now() + again / self.speed
                    kept.not_before = real_now() if kept.clock else kept.due_at
        except Exception:
            log.exception("the sandbox could not deliver %s %s", row.kind, row.subject)
            await asyncio.sleep(LONGEST_NAP)
        finally:
            del self._under_way[row.number]
            self.wake()
