"""Reads of card changes whose link still works."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.card_changes import OPEN
from store.tables import Authorization, CardChange

_HOPEFUL = ("requested", "open", "granted", "closing")
_BEING_SETTLED = {"granted", "closing"}


async def of(session: AsyncSession, agreement_id: str) -> CardChange | None:
    """The agreement's card change whose link works; there is never more than one."""
    query = select(CardChange).where(CardChange.agreement_id == agreement_id, col(CardChange.status).in_(OPEN))
    return (await session.exec(query)).first()


async def pages(session: AsyncSession, card_change: CardChange) -> Sequence[Authorization]:
    """The provider's pages that may still bring a credential, newest first."""
    query = select(Authorization).where(
        Authorization.card_change_id == card_change.id, col(Authorization.status).in_(_HOPEFUL)
    )
    return (await session.exec(query.order_by(col(Authorization.id).desc()))).all()


async def waiting(session: AsyncSession, agreement_id: str) -> CardChange | None:
    """The open link whose time runs: not while the provider is asked what came of it."""
    card_change = await of(session, agreement_id)
    if card_change is None or _BEING_SETTLED & {each.status for each in await pages(session, card_change)}:
        return None
    return card_change


async def expires_at(session: AsyncSession, agreement_id: str) -> datetime | None:
    """When the open link stops working."""
    card_change = await waiting(session, agreement_id)
    return card_change.expires_at if card_change else None
