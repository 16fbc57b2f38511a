"""News from outside: journalled as it came, matched to an agreement, handed to its workflow.

A message reaches a workflow only if it says something new; whatever was done with it stays in the journal's `status`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from agreements.attempts import Verdict
from agreements.refunds import RefundOrigin, RefundStatus
from agreements.status import AgreementStatus, AttemptStatus
from api.services import Services
from gateways.port import Account, BadNotification, News, NewsKind
from store import ids, journal, merchants, refunds, standings
from store.journal import JournalledMessage
from store.tables import Agreement, Attempt, Authorization, Credential, GatewayAccount, Notification, Refund
from store.vault import VaultError
from workflows import client

Row = TypeVar("Row")

_FINAL = (AttemptStatus.SUCCEEDED, AttemptStatus.FAILED, AttemptStatus.CANCELED, AttemptStatus.REVERSED)
_SAYS_NOTHING = (Verdict.PROCESSING, Verdict.UNKNOWN)
_KNOWN = ("signalled", "settled")

# A provider may report a debit before its own answer to it was written down; that answer usually follows at once, and
# on a busy day within a second. Told too early, the workflow would take up what it is about to know.
_ANSWER_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds


async def journalled(inside: Services, account: GatewayAccount, source: str, message: JournalledMessage) -> str:
    """Keeps a message before anything is made of it; the row's id. `source` is "notification", "return" or "card"."""
    sealed = journal.seal(inside.vault, message)
    row = Notification(id=ids.new("ntf"), account_id=account.id, source=source, sealed_message=sealed)
    async with inside.database.transaction() as session:
        session.add(row)
    return row.id


async def accept(
    inside: Services, account: GatewayAccount, notification_id: str, read: Callable[[Account], list[News]]
) -> None:
    """Takes in a journalled message. Raises BadNotification (nothing changed), and RPCError while Temporal is away:
    the row then waits for the sweeper.
    """
    try:
        found = read(_opened(inside, account))
    except BadNotification as error:
        await _note(inside, notification_id, status="refused", detail=error.code)
        raise
    if not found:
        await _note(inside, notification_id, status="ignored", detail="not a kind of message that concerns us")
        return
    # A message is about one thing; a page that was paid is two pieces of news about it.
    for row in await _match(inside, account, notification_id, found[0]):
        if row.status == "signalled" and row.refund_id is not None:
            refund = await refunds.current(inside.database, row.refund_id)
            await client.tell_refund_news(inside.temporal, refund, row.id)
        elif row.status == "signalled" and row.agreement_id is not None:
            standing = await standings.current(inside.database, row.agreement_id)
            await client.tell_news(inside.temporal, standing, row.id)


def message(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]
) -> JournalledMessage:
    """A request as the journal keeps it. `path` includes the query, as the sender knows it."""
    return JournalledMessage(
        method=method, path=path, headers=dict(headers), body=base64.b64encode(body), query=dict(query)
    )


def _opened(inside: Services, row: GatewayAccount) -> Account:
    try:
        keys = merchants.opened_keys(inside.vault, row)
    except VaultError as error:
        raise BadNotification("account_keys") from error
    return Account(id=row.id, livemode=row.livemode, base_url=row.base_url, keys=keys, sandbox=row.sandbox)


async def _note(inside: Services, notification_id: str, *, status: str, detail: str) -> None:
    async with inside.database.transaction() as session:
        row = await session.get_one(Notification, notification_id)
        row.status, row.detail = status, detail


async def _match(inside: Services, account: GatewayAccount, notification_id: str, news: News) -> list[Notification]:
    """Finds whom the news concerns and writes it down; `signalled` means that a workflow is to be told."""
    if news.kind in (NewsKind.PAYMENT, NewsKind.REFUND):
        await _answer_written(inside, account, news)
    async with inside.database.transaction() as session:
        # Repeats of one message queue here, so that exactly one of them is signalled.
        await session.exec(
            select(func.pg_advisory_xact_lock(func.hashtextextended(f"{account.id} {news.dedupe_key}", 0)))
        )
        row = await session.get_one(Notification, notification_id)
        if row.status in _KNOWN:
            return [row]  # it was taken in before, and is taken in again
        row.kind, row.dedupe_key = news.kind.value, news.dedupe_key
        if await _is_repeat(session, account, news):
            row.status = "duplicate"
            return [row]
        row.agreement_id, row.status = await _judge(inside, session, account, news)
        row.detail = (news.request_id or news.payment_id) if row.status == "unmatched" else None
        row.refund_id = await _workflow_of_refund(session, account, news)
        return [row, *await _for_the_others(inside, session, account, row, news)]


async def _for_the_others(
    inside: Services, session: AsyncSession, account: GatewayAccount, row: Notification, news: News
) -> list[Notification]:
    """A token that is canceled ends every agreement that lives on it: each has the message in a row of its own."""
    if news.kind is not NewsKind.TOKEN_CANCELED or row.status != "signalled":
        return []
    kept = row.model_dump(exclude={"id", "agreement_id", "created_at"})
    living = await _users_of_token(inside, session, account, news.token or "", living=True)
    copies = [
        Notification(**kept, id=ids.new("ntf"), agreement_id=each.id) for each in living if each.id != row.agreement_id
    ]
    session.add_all(copies)
    return copies


async def _is_repeat(session: AsyncSession, account: GatewayAccount, news: News) -> bool:
    query = select(Notification.id).where(
        Notification.account_id == account.id,
        Notification.dedupe_key == news.dedupe_key,
        col(Notification.status).in_(_KNOWN),
    )
    return (await session.exec(query.limit(1))).first() is not None


async def _judge(
    inside: Services, session: AsyncSession, account: GatewayAccount, news: News
) -> tuple[str | None, str]:
    """The agreement concerned, and "signalled", "ignored" (nothing new in it) or "unmatched"."""
    if news.kind is NewsKind.PAYMENT:
        attempt = await _attempt(session, account, news)
        return _verdict(attempt, attempt is not None and _says_nothing_new(attempt, news))
    if news.kind is NewsKind.REFUND:
        refund = await _refund(session, account, news)
        if refund is None:
            # Made on the provider's own portal: the payment is ours, the refund's id is not.
            return _verdict(await _attempt_paid(session, account, news), known=False)
        return _verdict(refund, _refund_known(refund, news))
    if news.kind in (NewsKind.AUTHORIZATION_CODE, NewsKind.CARD_ENTERED):
        authorization = await _authorization(inside, session, account, news.authorization_state)
        done = authorization is not None and authorization.status == "completed"
        return _verdict(authorization, done)
    return await _judge_token(inside, session, account, news)


async def _judge_token(
    inside: Services, session: AsyncSession, account: GatewayAccount, news: News
) -> tuple[str | None, str]:
    users = await _users_of_token(inside, session, account, news.token or "")
    agreement = next((each for each in users if each.ended is None), users[0] if users else None)
    if news.kind is NewsKind.TOKEN_CANCELED:
        # The provider echoes a revocation of ours that it has confirmed already.
        echo = agreement is not None and (agreement.revocation or {}).get("provider_status") == "done"
        if agreement is not None and agreement.ended in (None, AgreementStatus.REVOKED):
            return agreement.id, "ignored" if echo else "signalled"
        released_by = await _released_by(inside, session, account, news.token or "")
        if agreement is not None and released_by is None:
            return agreement.id, "signalled"
        return released_by, "ignored" if released_by else "unmatched"
    if agreement is not None:
        return agreement.id, "ignored"
    authorization = await _authorization(inside, session, account, news.authorization_state)
    return _verdict(authorization, known=False)


def _verdict(row: Attempt | Refund | Authorization | None, known: bool) -> tuple[str | None, str]:
    if row is None:
        return None, "unmatched"
    return row.agreement_id, "ignored" if known else "signalled"


def _says_nothing_new(attempt: Attempt, news: News) -> bool:
    """Whether the attempt has ended the way the message says, or the message says less than we know."""
    said = news.claims or news.verdict
    if attempt.status not in _FINAL:
        return False
    if said in _SAYS_NOTHING:
        return True
    if said in (Verdict.DECLINED, Verdict.CANCELED):
        return attempt.status in (AttemptStatus.FAILED, AttemptStatus.CANCELED)
    agreed = (AttemptStatus.SUCCEEDED, AttemptStatus.REVERSED)
    return attempt.status in agreed and news.amount in (None, attempt.money)


def _refund_known(refund: Refund, news: News) -> bool:
    if refund.next_try_at is not None:
        return False
    expected = {Verdict.SUCCEEDED: RefundStatus.SUCCEEDED, Verdict.DECLINED: RefundStatus.FAILED}
    said = news.claims or news.verdict or Verdict.UNKNOWN
    return said in _SAYS_NOTHING or expected.get(said) is refund.status


async def _answer_written(inside: Services, account: GatewayAccount, news: News) -> None:
    for pause in _ANSWER_PAUSES:
        async with inside.database.transaction() as session:
            if not await _awaits_answer(session, account, news):
                return
        await asyncio.sleep(pause)


async def _awaits_answer(session: AsyncSession, account: GatewayAccount, news: News) -> bool:
    if news.kind is NewsKind.PAYMENT:
        attempt = await _attempt(session, account, news)
        if attempt is None or attempt.authorization_id is not None:
            return False  # a payment the customer makes on a page is no call of ours
        return attempt.status is AttemptStatus.SENT
    refund = await _refund(session, account, news)
    if refund is None or refund.next_try_at is None or refund.sent_at is None:
        return False
    return refund.in_doubt and refund.next_try_at <= refund.sent_at  # an answer puts the next call off


def _of_account(query: SelectOfScalar[Row], agreement_id: str, account: GatewayAccount) -> SelectOfScalar[Row]:
    """A provider's word counts only for agreements of the account whose key signed it."""
    return query.join(Agreement, col(Agreement.id) == agreement_id).where(Agreement.account_id == account.id)


async def _attempt(session: AsyncSession, account: GatewayAccount, news: News) -> Attempt | None:
    query = select(Attempt).where(Attempt.gateway_request_id == news.request_id)
    return (await session.exec(_of_account(query, Attempt.agreement_id, account))).first()


async def _refund(session: AsyncSession, account: GatewayAccount, news: News) -> Refund | None:
    return await refunds.told_of(
        session,
        account.id,
        request_id=news.request_id,
        reversal_id=news.reversal_id,
        payment_id=news.payment_id,
        amount=news.amount,
    )


async def _workflow_of_refund(session: AsyncSession, account: GatewayAccount, news: News) -> str | None:
    """The refund the news concerns if it has a workflow of its own, else None."""
    refund = await _refund(session, account, news) if news.kind is NewsKind.REFUND else None
    return refund.id if refund and refund.origin is RefundOrigin.MERCHANT else None


async def _attempt_paid(session: AsyncSession, account: GatewayAccount, news: News) -> Attempt | None:
    query = select(Attempt).where(Attempt.payment_id == news.payment_id, col(Attempt.payment_id).is_not(None))
    return (await session.exec(_of_account(query, Attempt.agreement_id, account))).first()


async def _authorization(
    inside: Services, session: AsyncSession, account: GatewayAccount, state: str | None
) -> Authorization | None:
    query = select(Authorization).where(Authorization.state_hash == inside.vault.fingerprint(state or ""))
    return (await session.exec(_of_account(query, Authorization.agreement_id, account))).first()


async def _released_by(inside: Services, session: AsyncSession, account: GatewayAccount, token: str) -> str | None:
    """The agreement that replaced the credential with this token: its end at the provider is no news."""
    query = select(Credential.released_by).where(
        Credential.account_id == account.id,
        Credential.token_hash == inside.vault.fingerprint(token),
        col(Credential.released_by).is_not(None),
    )
    return (await session.exec(query.limit(1))).first()


async def _users_of_token(
    inside: Services, session: AsyncSession, account: GatewayAccount, token: str, *, living: bool = False
) -> Sequence[Agreement]:
    """The agreements charged with a token, newest first."""
    query = (
        select(Agreement)
        .join(Credential, col(Credential.id) == Agreement.credential_id)
        .where(Agreement.account_id == account.id, Credential.token_hash == inside.vault.fingerprint(token))
    )
    if living:
        query = query.where(col(Agreement.ended).is_(None))
    return (await session.exec(query.order_by(col(Agreement.id).desc()))).all()
