"""Notifications to merchants: sent, logged, and sent again by the provider's schedule until acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sandbox.agenda import NOW, Agenda, Finish
from sandbox.clocks import Moment
from sandbox.database import NEVER_REUSED, Database, Table
from sandbox.faults import Faults

NOTIFY = "notify"
"""Kind of agenda row that sends a notification."""
LATE = timedelta(hours=1)
"""How long after the fact late news comes."""
OVERTAKEN_BY = timedelta(milliseconds=300)
"""Real head start that shuffled news gives to what was sent after it."""
LONGEST = 60.0
"""Seconds after which a merchant is given up even if the dialect would wait longer."""


class Notification(Table):
    """One message to a merchant: its exact bytes, and how far sending it has come."""

    __tablename__ = "notifications"
    __table_args__ = NEVER_REUSED

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    type: Mapped[str]
    client_id: Mapped[str]
    url: Mapped[str]
    body: Mapped[str]
    clock: Mapped[str | None]
    created: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    last_status: Mapped[int | None] = mapped_column(default=None)
    last_error: Mapped[str | None] = mapped_column(default=None)
    acknowledged: Mapped[bool] = mapped_column(default=False)


@dataclass(frozen=True)
class Dialect:
    """How a provider notifies: how long it waits before each further attempt, its headers, what it takes for a yes."""

    waits: tuple[timedelta, ...]
    headers: Callable[[Notification, str, datetime], dict[str, str]]
    """Of (notification, path and query as sent, time of sending)."""
    acknowledges: Callable[[httpx.Response], bool]
    answer_within: float = 10.0
    """Seconds a merchant has for its answer, always in real time."""
    gives_up_on: Callable[[int], bool] = lambda _: False
    """Whether an answer with this HTTP status is final, no yes though it is."""
    only_after_timeouts: bool = False
    """An answer that is no yes, or a refused connection, is final: only a time-out is tried again."""


@dataclass
class Notifier:
    """Queues notifications on the agenda and sends them. `delay` is the real time the first attempt gives the answer of
    the call that caused it to arrive first."""

    database: Database
    agenda: Agenda
    faults: Faults
    dialect: Dialect
    delay: timedelta
    http: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(timeout=LONGEST, follow_redirects=False, trust_env=False)
    )
    _first_attempts: dict[int, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.agenda.deliveries[NOTIFY] = self._send

    def queue(
        self,
        session: Session,
        moment: Moment,
        message: Notification,
        *,
        after: timedelta = NOW,
        copies: int = 1,
        hold: timedelta | None = None,
    ) -> int:
        """Plans a notification `after` the moment, `copies` times over; the number of the first copy."""
        copies += self.faults.duplicate()
        after += LATE if self.faults.late() else NOW
        held = (self.delay if hold is None else hold) + self.faults.held_back()
        rows = [message]
        for _ in range(copies - 1):
            rows.append(
                Notification(message.type, message.client_id, message.url, message.body, message.clock, message.created)
            )
        session.add_all(rows)
        session.flush()
        for row in rows:
            self.agenda.plan(session, moment, NOTIFY, str(row.number), after, held)
        return message.number

    async def first_attempt(self, number: int, timeout: float) -> None:
        """Returns when the first attempt at a notification is over, or after `timeout` seconds."""
        done = self._first_attempts.setdefault(number, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await done.wait()
        self._first_attempts.pop(number, None)

    async def _send(self, subject: str, moment: Moment) -> Finish:
        with self.database.begin() as session:
            message = session.get(Notification, int(subject))
        if message is None:  # the sandbox was reset meanwhile
            return lambda _: None
        status, error, acknowledged = await self._post(message, moment)

        def finish(session: Session) -> timedelta | None:
            row = session.get(Notification, message.number)
            if row is None:
                return None
            row.attempts += 1
            row.last_status, row.last_error, row.acknowledged = status, error, acknowledged
            final = self.dialect.only_after_timeouts and error != TimeoutError.__name__
            final = final or (status is not None and self.dialect.gives_up_on(status))
            if acknowledged or final or row.attempts > len(self.dialect.waits):
                return None
            return self.dialect.waits[row.attempts - 1]

        if waiting := self._first_attempts.get(message.number):
            waiting.set()
        return finish

    async def _post(self, message: Notification, moment: Moment) -> tuple[int | None, str | None, bool]:
        try:
            path = httpx.URL(message.url).raw_path.decode()
            headers = self.dialect.headers(message, path, moment.now)
            async with asyncio.timeout(self.dialect.answer_within):
                answer = await self.http.post(message.url, content=message.body.encode(), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return None, type(error).__name__, False
        return answer.status_code, None, self.dialect.acknowledges(answer)


def log_of(session: Session) -> list[dict[str, object]]:
    """All notifications, oldest first, in the form of `GET /_sandbox/notifications`."""
    return [
        {
            "id": row.number,
            "type": row.type,
            "client_id": row.client_id,
            "url": row.url,
            "body": json.loads(row.body),
            "attempts": row.attempts,
            "last_status": row.last_status,
            "last_error": row.last_error,
            "acknowledged": row.acknowledged,
            "created_at": row.created.isoformat(),
        }
        for row in session.scalars(select(Notification).order_by(Notification.number))
    ]
