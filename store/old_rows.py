"""Agreement by agreement, what is no longer kept: old events with their deliveries, links that lead nowhere any more.

A walk through all agreements, a few with every sweep, which costs the same however large the ledger is.

Of an agreement the oldest events go, never one in the middle, and the newest of the old ones stays. So what is left has
no gaps; an agreement whose first events are missing begins with one that is old itself, which tells a purge from a loss
(`store.audit`); and whoever has read the feed to its end finds the place they stopped at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, takewhile

from sqlalchemy import delete, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.card_changes import OPEN
from store import ids, walks
from store.tables import AuditMark, Authorization, CardChange, Delivery, DeliveryAttempt, Event
from store.walks import Walk

PURGED = "events_purged"
"""The mark of the instant before which events were purged; there is none until the first one was."""

_AGREEMENTS = 100
_EVENTS = 20
"""Of one agreement per walk."""
_RUN = timedelta(days=8)
"""A delivery that ended longer ago has no run left in Temporal: the plan of one takes seven days."""
_LINKS = timedelta(days=30)
"""Since a page or a link was made: by then it can be seen in support cases that are still fresh."""
_ENDED = ("completed", "failed", "canceled", "expired")
"""Authorizations that no page belongs to any more."""

_OLDEST = """
    select events.id, events.agreement_id, events.sequence
    from unnest(cast(:agreements as text[])) as walked(id) cross join lateral (
      select id, agreement_id, sequence, created_at from events
      where agreement_id = walked.id order by sequence limit :most) as events
    where events.created_at < :before
    order by events.agreement_id, events.sequence
"""


async def walk_on(session: AsyncSession, kept: timedelta, now: datetime) -> None:
    """The next agreements of the walk; `kept` is for how long events are."""
    agreements = await walks.next_slice(session, Walk.OLD_ROWS, _AGREEMENTS)
    await purge_events(session, agreements, now - kept, now)
    await blank_links(session, agreements, now)


async def purge_events(session: AsyncSession, agreements: Sequence[str], before: datetime, now: datetime) -> None:
    """Deletes the oldest of what these agreements had told before an instant (real time)."""
    connection = await session.connection()
    values = {"agreements": list(agreements), "most": _EVENTS, "before": before}
    oldest = (await connection.execute(text(_OLDEST), values)).all()
    may_go = await _may_go(session, [row.id for row in oldest], now)
    gone: list[str] = []
    for _, rows in groupby(oldest, key=lambda row: row.agreement_id):
        *all_but_newest, _ = [row.id for row in rows]
        gone.extend(takewhile(may_go.__contains__, all_but_newest))
    if gone:
        of_them = select(Delivery.id).where(col(Delivery.event_id).in_(gone))
        await session.exec(delete(DeliveryAttempt).where(col(DeliveryAttempt.delivery_id).in_(of_them)))
        await session.exec(delete(Delivery).where(col(Delivery.event_id).in_(gone)))
        await session.exec(delete(Event).where(col(Event.id).in_(gone)))
        await _mark(session, before)


async def blank_links(session: AsyncSession, agreements: Sequence[str], now: datetime) -> None:
    """Forgets addresses of pages and links that have ended; the rows stay, and say what came of them."""
    pages = update(Authorization).where(
        col(Authorization.agreement_id).in_(agreements),
        col(Authorization.id) < ids.first_at("aut", now - _LINKS),
        col(Authorization.status).in_(_ENDED),
        col(Authorization.url).is_not(None),
    )
    await session.exec(pages.values(url=None))
    links = update(CardChange).where(
        col(CardChange.agreement_id).in_(agreements),
        col(CardChange.id) < ids.first_at("ccr", now - _LINKS),
        col(CardChange.status).not_in(OPEN),
        col(CardChange.url) != "",
    )
    await session.exec(links.values(url=""))


async def purged_until(session: AsyncSession) -> datetime | None:
    """The instant before which events may be missing; None while none was ever purged."""
    mark = await session.get(AuditMark, PURGED)
    return datetime.fromisoformat(mark.reached) if mark else None


async def _may_go(session: AsyncSession, events: Sequence[str], now: datetime) -> set[str]:
    """Those that nothing is to be sent of, locked: nobody redelivers them meanwhile. Nothing is waited for."""
    mine = select(Event.id).where(col(Event.id).in_(events)).order_by(Event.id)
    found = set(await session.exec(mine.with_for_update(skip_locked=True)))
    over = col(Delivery.finished_at) < now - _RUN
    over_for_good = select(Delivery.id).where(col(Delivery.event_id).in_(found), over).order_by(Delivery.id)
    done = set(await session.exec(over_for_good.with_for_update(skip_locked=True)))
    rows = await session.exec(select(Delivery.event_id, Delivery.id).where(col(Delivery.event_id).in_(found)))
    return found - {event for event, delivery in rows if delivery not in done}


async def _mark(session: AsyncSession, before: datetime) -> None:
    """The furthest instant stays: a longer setting brings nothing back."""
    known = await purged_until(session)
    if known is None or known < before:
        await session.merge(AuditMark(name=PURGED, reached=before.astimezone(UTC).isoformat()))
