"""Credentials of living agreements as they are checked at the provider, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from store.tables import Agreement, Credential

# An agreement on a test clock has no days but those its clock is moved by.
_LIVING = (col(Agreement.ended).is_(None), col(Agreement.test_clock_id).is_(None))


async def accounts(session: AsyncSession, gateway: str) -> Sequence[str]:
    """The accounts at a gateway through which an agreement in real time is charged."""
    query = select(Agreement.account_id).where(
        Agreement.gateway == gateway, col(Agreement.credential_id).is_not(None), *_LIVING
    )
    return (await session.exec(query.distinct().order_by(Agreement.account_id))).all()


async def batch(session: AsyncSession, account_id: str, after: str, limit: int) -> Sequence[Credential]:
    """The next credentials in use at an account, by id."""
    used = select(Agreement.credential_id).where(Agreement.account_id == account_id, *_LIVING)
    query = select(Credential).where(col(Credential.id).in_(used), col(Credential.id) > after)
    return (await session.exec(query.order_by(col(Credential.id)).limit(limit))).all()


async def found(session: AsyncSession, credential: Credential) -> None:
    """The provider has it: what was missed before was none of the payer's doing."""
    if credential.missing_since is not None:
        await session.exec(update(Credential).where(col(Credential.id) == credential.id).values(missing_since=None))


async def missed(session: AsyncSession, credential: Credential, now: datetime) -> datetime:
    """The provider has it no more; answers since when (real time)."""
    if credential.missing_since is None:
        await session.exec(update(Credential).where(col(Credential.id) == credential.id).values(missing_since=now))
    return credential.missing_since or now
