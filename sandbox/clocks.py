"""Time as the sandbox sees it: real, or that of a test clock which only moves when told to (design §3).

A request with `X-Sandbox-Clock` and `X-Sandbox-Time` belongs to that clock, and so does everything it creates: tokens
age and delayed news comes due when the clock gets there, not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Mapped, Session, mapped_column
from starlette.datastructures import Headers

from sandbox.database import Table


class Clock(Table):
    """A test clock of the engine, as far as this sandbox has heard of it."""

    __tablename__ = "clocks"

    id: Mapped[str] = mapped_column(primary_key=True)
    now: Mapped[datetime]


@dataclass(frozen=True)
class Moment:
    """An instant, and the clock it was read from (None: real time)."""

    now: datetime
    clock: str | None = None


class BadClockHeader(ValueError):
    """`X-Sandbox-Clock` came without a usable `X-Sandbox-Time`."""


def real_now() -> datetime:
    """The real time, UTC."""
    return datetime.now(UTC)


def read(session: Session, clock: str | None) -> Moment:
    """The time now on a clock, or the real time for None and for a clock never heard of."""
    known = session.get(Clock, clock) if clock else None
    return Moment(known.now, known.id) if known else Moment(real_now(), clock)


def move(session: Session, clock: str, to: datetime) -> Moment:
    """Moves a clock forward to `to`; never back, so repeating the call or calling late changes nothing."""
    known = session.get(Clock, clock)
    if known is None:
        session.add(Clock(clock, to))
        return Moment(to, clock)
    known.now = max(known.now, to)
    return Moment(known.now, clock)


def observe(session: Session, headers: Headers, inherited: str | None = None) -> Moment:
    """The moment of a request: its clock is at least at the time it carries. Without headers, `inherited`'s time.

    Raises BadClockHeader.
    """
    clock = headers.get("x-sandbox-clock")
    if not clock:
        return read(session, inherited)
    try:
        time = datetime.fromisoformat(headers["x-sandbox-time"])
    except (KeyError, ValueError) as error:
        raise BadClockHeader("X-Sandbox-Clock needs X-Sandbox-Time, RFC 3339 with an offset") from error
    if time.tzinfo is None:
        raise BadClockHeader("X-Sandbox-Time needs an offset")
    return move(session, clock, time)
