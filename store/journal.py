"""The journal's entries: every message as it came, sealed, because it may hold codes and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import Base64Bytes, BaseModel, ConfigDict
from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.tables import GatewayAccount, Notification
from store.vault import Vault

_PURPOSE = "notification"

_STUCK_AFTER = timedelta(minutes=1)
"""A sweep takes up after seconds what was left; what still waits then needs a person's look."""


class JournalledMessage(BaseModel):
    """A provider's notification, or the query with which a customer's browser came back from its page."""

    model_config = ConfigDict(frozen=True)

    method: str = "POST"
    path: str = ""
    headers: dict[str, str] = {}
    body: Base64Bytes = b""
    query: dict[str, str] = {}


def seal(vault: Vault, message: JournalledMessage) -> str:
    """For the journal's column."""
    return vault.seal(_PURPOSE, message.model_dump_json())


def unseal(vault: Vault, sealed: str) -> JournalledMessage:
    """Raises VaultError when it does not open."""
    return JournalledMessage.model_validate_json(vault.open(_PURPOSE, sealed))


async def listed(
    session: AsyncSession, now: datetime, *, status: str | None, everything: bool, limit: int
) -> Sequence[tuple[Notification, GatewayAccount]]:
    """The last messages, newest first: of one status, all, or those that need somebody's attention."""
    query = select(Notification, GatewayAccount).join(
        GatewayAccount, col(GatewayAccount.id) == col(Notification.account_id)
    )
    if status is not None:
        query = query.where(Notification.status == status)
    elif not everything:
        query = query.where(
            or_(
                col(Notification.status).in_(("refused", "unmatched")),
                and_(
                    col(Notification.status).in_(("received", "signalled")),
                    Notification.created_at < now - _STUCK_AFTER,
                ),
            )
        )
    return (await session.exec(query.order_by(col(Notification.id).desc()).limit(limit))).all()


async def found(session: AsyncSession, notification_id: str) -> tuple[Notification, GatewayAccount] | None:
    """One message and the account it came to."""
    query = select(Notification, GatewayAccount).join(
        GatewayAccount, col(GatewayAccount.id) == col(Notification.account_id)
    )
    return (await session.exec(query.where(Notification.id == notification_id))).first()


async def of_status(session: AsyncSession, status: str) -> Sequence[str]:
    """The ids of all messages of a status, oldest first."""
    query = select(Notification.id).where(Notification.status == status)
    return (await session.exec(query.order_by(col(Notification.id)))).all()
