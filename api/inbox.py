"""News from outside: journalled as it came, matched to an agreement, handed to its workflow.

A message reaches a workflow only if it says something new; whatever was done with it stays in the journal's `status`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from api import matching
from api.services import Services
from gateways.port import Account, BadNotification, News
from store import journal, merchants, refunds, standings
from store.journal import Entry, JournalledMessage
from store.tables import GatewayAccount
from store.vault import VaultError
from workflows import client

Read = Callable[[Account], list[News]]
"""Verifies and reads one message. Raises BadNotification."""


class UnusableKeys(BadNotification):
    """Nothing is known to be wrong with the message: the account's own keys do not open."""


def message(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]
) -> JournalledMessage:
    """A request as the journal keeps it. `path` includes the query, as the sender knows it."""
    return JournalledMessage(
        method=method, path=path, headers=dict(headers), body=base64.b64encode(body), query=dict(query)
    )


async def journalled(inside: Services, account: GatewayAccount, source: str, message: JournalledMessage) -> str:
    """Keeps a message before anything is made of it; the row's id. `source` is "notification", "return" or "card"."""
    async with inside.database.transaction() as session:
        return await journal.write(session, inside.vault, account.id, source, message)


def verified(inside: Services, account: GatewayAccount, read: Read) -> list[News]:
    """What a message says. Raises BadNotification."""
    try:
        keys = merchants.opened_keys(inside.vault, account)
    except VaultError as error:
        raise UnusableKeys("account_keys") from error
    return read(Account.of(account, keys))


async def accept(inside: Services, account: GatewayAccount, notification_id: str, read: Read) -> None:
    """Takes in a journalled message. Raises BadNotification (nothing changed), and RPCError while Temporal is away:
    the row then waits for the sweeper.
    """
    try:
        found = verified(inside, account, read)
    except BadNotification as error:
        await _nothing_to_do(inside, notification_id, "refused", error.code)
        raise
    if not found:
        await _nothing_to_do(inside, notification_id, "ignored", "not a kind of message that concerns us")
        return
    # A message is about one thing; a page that was paid is two pieces of news about it.
    for entry in await matching.match(inside, account, notification_id, found[0]):
        if entry.status == "signalled":
            await _tell(inside, entry)


async def _nothing_to_do(inside: Services, notification_id: str, status: str, detail: str) -> None:
    async with inside.database.transaction() as session:
        await journal.refuse(session, notification_id, status, detail)


async def _tell(inside: Services, entry: Entry) -> None:
    if entry.refund_id is not None:
        refund = await refunds.current(inside.database, entry.refund_id)
        await client.tell_refund_news(inside.temporal, refund, entry.id)
    elif entry.agreement_id and not await client.tell_running(inside.temporal, entry.agreement_id, entry.id):
        standing = await standings.current(inside.database, entry.agreement_id)
        await client.tell_news(inside.temporal, standing, entry.id)
