"""What is kept for a while only: the log of webhook attempts, the journal of providers' messages, retired secrets,
links to customers' pages. What goes agreement by agreement is in `store.old_rows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Interval, delete, func, literal
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store import ids
from store.tables import Agreement, DeliveryAttempt, Notification, PortalLink, RetiredSecret, TestClock

_AT_ONCE = 1000
"""Rows of a kind per purge: one runs with every sweep, and none may hold up the next."""

LINKS = timedelta(days=30)
"""How long a link to a customer's page is kept once its time has run out: the page says that much meanwhile."""

_DONE_WITH = ("settled", "ignored", "duplicate")
_IN_DOUBT = ("refused", "unmatched")


@dataclass(frozen=True)
class Kept:
    """For how long."""

    delivery_attempts: timedelta
    notifications: timedelta
    """Those that were dealt with. Received and signalled ones are kept until they are."""
    doubtful_notifications: timedelta
    """Those that were refused, or concern nobody known."""


async def purge(session: AsyncSession, kept: Kept, now: datetime) -> None:
    """Deletes some of what is older than that, with the sealed secrets in it."""
    await _delete(session, DeliveryAttempt, col(DeliveryAttempt.at), now - kept.delivery_attempts)
    await _delete(session, RetiredSecret, col(RetiredSecret.signs_until), now)
    for statuses, time in ((_DONE_WITH, kept.notifications), (_IN_DOUBT, kept.doubtful_notifications)):
        for status in statuses:
            await _delete(session, Notification, col(Notification.created_at), now - time, status=status)


async def purge_links(session: AsyncSession, now: datetime) -> None:
    """Deletes links to customers' pages that ran out long ago, by the clock of their agreement."""
    # No link runs out before it is made: by their ids only old ones are looked at, which are few once these have gone.
    before = now - LINKS
    old = (
        select(PortalLink.id)
        .join(Agreement, col(Agreement.id) == PortalLink.agreement_id)
        .outerjoin(TestClock, col(TestClock.id) == Agreement.test_clock_id)
        .where(
            col(PortalLink.id) < ids.first_at("ptl", before),
            PortalLink.expires_at < func.coalesce(TestClock.now, now) - literal(LINKS, Interval),
        )
        .order_by(PortalLink.id)
        .limit(_AT_ONCE)
    )
    await session.exec(delete(PortalLink).where(col(PortalLink.id).in_(old)))


async def _delete(
    session: AsyncSession, table: type[SQLModel], since: Mapped[Any], before: datetime, **having: str
) -> None:
    columns = table.__table__.columns  # type: ignore[attr-defined]
    old = select(columns["id"]).where(since < before, *(columns[name] == value for name, value in having.items()))
    await session.exec(delete(table).where(columns["id"].in_(old.order_by(since).limit(_AT_ONCE))))
