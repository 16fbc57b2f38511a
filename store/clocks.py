"""What time it is for an agreement."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.tables import TestClock


async def now_for(session: AsyncSession, test_clock_id: str | None, at_least: datetime | None = None) -> datetime:
    """The clock's time for an agreement on a test clock, else real time.

    `at_least` is the instant for which Temporal woke the caller: the server's timers decide when a step is due, so a
    machine whose clock is behind must not argue.
    """
    if test_clock_id is not None:
        return (await session.exec(select(TestClock.now).where(TestClock.id == test_clock_id))).one()
    real = datetime.now(UTC)
    return real if at_least is None else max(real, at_least)
