"""The journal's entries: every message as it came, sealed, because it may hold codes and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import Base64Bytes, BaseModel, ConfigDict
from sqlalchemy import ColumnElement, String, bindparam, insert
from sqlmodel import and_, col, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from store import ids
from store.tables import GatewayAccount, Notification
from store.tables.columns import utcnow
from store.vault import Vault

_PURPOSE = "notification"

KNOWN = ("signalled", "settled")
"""A workflow has been told."""

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


class Entry(NamedTuple):
    """What became of a message. `refund_id` is set where the refund has a workflow of its own."""

    id: str
    status: str
    agreement_id: str | None = None
    refund_id: str | None = None


# Statements that every message repeats are made once: to make one takes longer than to execute it.
_WRITE = insert(Notification).values(
    id=bindparam("id"),
    account_id=bindparam("account_id"),
    source=bindparam("source"),
    sealed_message=bindparam("sealed_message"),
    status="received",
    created_at=bindparam("created_at"),
)
_REFUSE = (
    update(Notification)
    .where(col(Notification.id) == bindparam("notification_id"))
    .values(status=bindparam("status"), detail=bindparam("detail"))
    .execution_options(synchronize_session=False)
)
_JUDGE = _REFUSE.values(
    kind=bindparam("kind"),
    dedupe_key=bindparam("dedupe_key"),
    agreement_id=bindparam("agreement_id"),
    refund_id=bindparam("refund_id"),
)
_WAIT = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("same", type_=String), 0)))
_ENTRY = select(
    col(Notification.id), col(Notification.status), col(Notification.agreement_id), col(Notification.refund_id)
)
_HEARD = _ENTRY.where(
    or_(
        col(Notification.id) == bindparam("notification_id"),
        and_(
            col(Notification.account_id) == bindparam("account_id"),
            col(Notification.dedupe_key) == bindparam("dedupe_key"),
            col(Notification.status).in_(KNOWN),
        ),
    )
)


async def write(session: AsyncSession, vault: Vault, account_id: str, source: str, message: JournalledMessage) -> str:
    """A message as it came, not judged yet; its id. `source` is "notification", "return" or "card"."""
    id_, sealed = ids.new("ntf"), seal(vault, message)
    row = {"id": id_, "account_id": account_id, "source": source, "sealed_message": sealed, "created_at": utcnow()}
    await session.exec(_WRITE, params=row)
    return id_


async def refuse(session: AsyncSession, notification_id: str, status: str, detail: str) -> None:
    """Writes down of a message that nothing is to be done about, and why."""
    await session.exec(_REFUSE, params={"notification_id": notification_id, "status": status, "detail": detail})


async def judge(session: AsyncSession, entry: Entry, *, kind: str, dedupe_key: str, detail: str | None) -> None:
    """Writes down what a message says, and whom it concerns."""
    row = {
        "notification_id": entry.id,
        "status": entry.status,
        "detail": detail,
        "kind": kind,
        "dedupe_key": dedupe_key,
        "agreement_id": entry.agreement_id,
        "refund_id": entry.refund_id,
    }
    await session.exec(_JUDGE, params=row)


async def heard(session: AsyncSession, account_id: str, notification_id: str, dedupe_key: str) -> tuple[Entry, bool]:
    """What is known of a message so far, and whether a workflow knows of another that says the same.

    Others that say the same wait here until the transaction ends, so that exactly one of them is handed on.
    """
    await session.exec(_WAIT, params={"same": f"{account_id} {dedupe_key}"})
    asked = {"notification_id": notification_id, "account_id": account_id, "dedupe_key": dedupe_key}
    rows = [Entry(*row) for row in await session.exec(_HEARD, params=asked)]
    own = next(row for row in rows if row.id == notification_id)
    return own, len(rows) > 1


@dataclass(frozen=True)
class Wanted:
    """Which messages: of one status, all, or those that need somebody's attention; of one account or any."""

    status: str | None = None
    everything: bool = False
    account: str | None = None

    def conditions(self, now: datetime) -> list[ColumnElement[bool]]:
        """For the query."""
        found = [] if self.account is None else [col(Notification.account_id) == self.account]
        status = col(Notification.status)
        if self.status is not None:
            return [*found, status == self.status]
        stuck = and_(status.in_(("received", "signalled")), col(Notification.created_at) < now - _STUCK_AFTER)
        return found if self.everything else [*found, or_(status.in_(("refused", "unmatched")), stuck)]


async def listed(
    session: AsyncSession, now: datetime, wanted: Wanted, limit: int
) -> Sequence[tuple[Notification, GatewayAccount]]:
    """The last of the messages, newest first."""
    query = select(Notification, GatewayAccount).join(
        GatewayAccount, col(GatewayAccount.id) == col(Notification.account_id)
    )
    query = query.where(*wanted.conditions(now)).order_by(col(Notification.id).desc())
    return (await session.exec(query.limit(limit))).all()


async def counted(session: AsyncSession, now: datetime, wanted: Wanted) -> dict[str, int]:
    """How many messages of each status there are."""
    query = select(col(Notification.status), func.count()).where(*wanted.conditions(now))
    return dict((await session.exec(query.group_by(col(Notification.status)))).all())


async def found(session: AsyncSession, notification_id: str) -> tuple[Notification, GatewayAccount] | None:
    """One message and the account it came to."""
    query = select(Notification, GatewayAccount).join(
        GatewayAccount, col(GatewayAccount.id) == col(Notification.account_id)
    )
    return (await session.exec(query.where(Notification.id == notification_id))).first()


async def of_status(session: AsyncSession, status: str, account: str | None = None) -> Sequence[str]:
    """The ids of all messages of a status, oldest first."""
    wanted = Wanted(status, account=account).conditions(utcnow())
    return (await session.exec(select(Notification.id).where(*wanted).order_by(col(Notification.id)))).all()
