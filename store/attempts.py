"""The attempts made of a charge."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.tables import Attempt

# Made once, as every debit and every event of a charge needs it: to make a statement takes longer than to execute it.
_OF_CHARGE = select(Attempt).where(Attempt.charge_id == bindparam("charge")).order_by(col(Attempt.number))


async def of(session: AsyncSession, charge_id: str) -> Sequence[Attempt]:
    """Those made so far, oldest first."""
    return (await session.exec(_OF_CHARGE, params={"charge": charge_id})).all()
