"""Messages of the journal, taken in again: after the API died over one, or because a person asks for it."""

from __future__ import annotations

from functools import partial

from api import inbox
from api.services import Services
from gateways import notifications
from gateways.port import BadNotification
from store import journal
from store.tables import GatewayAccount, Notification
from store.vault import VaultError

_DEALT_WITH = ("settled", "duplicate")


class NotReplayable(LookupError):
    """There is no such message, or it can no longer be opened."""


async def take_up(inside: Services, notification_id: str) -> Notification:
    """Verifies, matches and signals a journalled message as if it had just come; its row afterwards.

    Harmless when repeated: one that was dealt with stays as it is. Raises NotReplayable, and RPCError while Temporal is
    away.
    """
    async with inside.database.transaction() as session:
        row = await session.get(Notification, notification_id)
        if row is None:
            raise NotReplayable(f"there is no message {notification_id} in the journal")
        account = await session.get_one(GatewayAccount, row.account_id)
    if row.status in _DEALT_WITH:
        return row
    try:
        message = journal.unseal(inside.vault, row.sealed_message)
    except VaultError as error:
        raise NotReplayable(f"{notification_id} does not open: {error}") from error
    try:
        await inbox.accept(
            inside, account, row.id, partial(notifications.read, account.gateway, source=row.source, message=message)
        )
    except BadNotification:
        pass  # the row says so
    except Exception as error:
        await _failed(inside, row.id, error)
        raise
    async with inside.database.transaction() as session:
        return await session.get_one(Notification, notification_id)


async def _failed(inside: Services, notification_id: str, error: Exception) -> None:
    """Says on a message that could not be judged what happened, for whoever looks at it."""
    async with inside.database.transaction() as session:
        row = await session.get_one(Notification, notification_id)
        if row.status == "received":
            row.detail = f"{type(error).__name__} while it was taken in"
