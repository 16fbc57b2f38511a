"""Reads of credentials: who is charged with one, and what a customer has on file.

One token may stand behind several agreements: they share a row, or the provider gave the same token twice and each has
a row of its own. Whoever ends a token, or begins to use it, locks its rows first; an agreement's own row, where one is
locked too, always comes before them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement
from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.attempts import UNFINISHED
from store.tables import Agreement, Attempt, Credential

GONE = ("released", "release_failed")
"""The provider has given its final answer: nothing is charged with the token, and nothing more is said of it."""


async def lock(session: AsyncSession, credential: Credential) -> Sequence[Credential]:
    """Every row of the credential's token, this one among them, locked and as it is now."""
    query = select(Credential).where(or_(col(Credential.id) == credential.id, _same_token(credential)))
    query = query.order_by(col(Credential.id)).with_for_update().execution_options(populate_existing=True)
    await session.flush()  # what this transaction changed must not be read over
    return (await session.exec(query)).all()


async def users(session: AsyncSession, credential: Credential) -> Sequence[str]:
    """The agreements that have not ended and are charged with the same token, oldest first."""
    query = (
        select(Agreement.id)
        .join(Credential, col(Credential.id) == Agreement.credential_id)
        .where(_same_token(credential), col(Agreement.ended).is_(None))
    )
    return (await session.exec(query.order_by(col(Agreement.id)))).all()


async def holders(session: AsyncSession, credential: Credential) -> Sequence[str]:
    """The agreements for whose sake it cannot be deleted, oldest first: its users, and those with a debit in flight.

    None but the latter once the provider has ended it: a later row of the same token is another matter.
    """
    using = [] if credential.status in GONE else await users(session, credential)
    query = (
        select(Attempt.agreement_id)
        .join(Credential, col(Credential.id) == Attempt.credential_id)
        .where(or_(col(Credential.id) == credential.id, _same_token(credential)), col(Attempt.status).in_(UNFINISHED))
    )
    return sorted({*using, *await session.exec(query)})


async def on_file(session: AsyncSession, credential: Credential) -> bool:
    """Whether an agreement that has not ended is charged with this very row."""
    query = select(Agreement.id).where(Agreement.credential_id == credential.id, col(Agreement.ended).is_(None))
    return (await session.exec(query.limit(1))).first() is not None


async def last_user(session: AsyncSession, credential: Credential) -> str | None:
    """The newest agreement that was ever charged with it, as far as the rows tell."""
    query = select(Agreement.id).where(Agreement.credential_id == credential.id)
    found = (await session.exec(query.order_by(col(Agreement.id).desc()).limit(1))).first()
    return found or credential.released_by


def _same_token(credential: Credential) -> ColumnElement[bool]:
    return and_(
        col(Credential.account_id) == credential.account_id, col(Credential.token_hash) == credential.token_hash
    )
