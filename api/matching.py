"""Whom a verified message concerns, and whether it says anything new; a provider's word counts for its account only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from agreements.attempts import Verdict
from agreements.refunds import RefundOrigin, RefundStatus
from agreements.status import AgreementStatus, AttemptStatus
from api.services import Services
from gateways.port import News, NewsKind
from store import ids, journal, refunds
from store.journal import Entry
from store.tables import Agreement, Attempt, Authorization, Credential, GatewayAccount, Notification, Refund
from store.vault import Vault

Row = TypeVar("Row")
About = Attempt | Refund | None

_FINAL = (AttemptStatus.SUCCEEDED, AttemptStatus.FAILED, AttemptStatus.CANCELED, AttemptStatus.REVERSED)
_SAYS_NOTHING = (Verdict.PROCESSING, Verdict.UNKNOWN)

# A provider may report a debit before its own answer to it was written down; that answer usually follows at once, and
# on a busy day within a second. Told too early, the workflow would take up what it is about to know.
_ANSWER_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds

# Made once: to make the statement takes longer than to execute it.
_ATTEMPT = (
    select(Attempt)
    .join(Agreement, col(Agreement.id) == Attempt.agreement_id)
    .where(Attempt.gateway_request_id == bindparam("request_id"), Agreement.account_id == bindparam("account_id"))
)


async def match(inside: Services, account: GatewayAccount, notification_id: str, news: News) -> list[Entry]:
    """Finds whom the news concerns and writes it down; `signalled` means that a workflow is to be told."""
    for pause in _ANSWER_PAUSES:
        async with inside.database.transaction() as session:
            matching = _Matching(session, inside.vault, account, news)
            about = await matching.about()
            if not _awaits_answer(about):
                return await matching.entries(notification_id, about)
        await asyncio.sleep(pause)
    async with inside.database.transaction() as session:
        matching = _Matching(session, inside.vault, account, news)
        return await matching.entries(notification_id, await matching.about())


@dataclass(frozen=True)
class _Matching:
    """One message in one transaction."""

    session: AsyncSession
    vault: Vault
    account: GatewayAccount
    news: News

    async def about(self) -> About:
        """What of ours a message on a payment or a refund is about."""
        if self.news.kind is NewsKind.PAYMENT:
            return await self._attempt()
        return await self._refund() if self.news.kind is NewsKind.REFUND else None

    async def entries(self, notification_id: str, about: About) -> list[Entry]:
        """The journal's entries of the message, written down."""
        own, repeated = await journal.heard(self.session, self.account.id, notification_id, self.news.dedupe_key)
        if own.status in journal.KNOWN:
            return [own]  # it was taken in before, and is taken in again
        agreement_id, status = (None, "duplicate") if repeated else await self._judge(about)
        entry = Entry(own.id, status, agreement_id, None if repeated else _workflow_of(about))
        named = (self.news.request_id or self.news.payment_id) if status == "unmatched" else None
        kind, dedupe_key = self.news.kind.value, self.news.dedupe_key
        await journal.judge(self.session, entry, kind=kind, dedupe_key=dedupe_key, detail=named)
        return [entry, *await self._for_the_others(entry)]

    async def _for_the_others(self, entry: Entry) -> list[Entry]:
        """A token that is canceled ends every agreement that lives on it: each has the message in a row of its own."""
        if self.news.kind is not NewsKind.TOKEN_CANCELED or entry.status != "signalled":
            return []
        row = await self.session.get_one(Notification, entry.id)
        kept = row.model_dump(exclude={"id", "agreement_id", "created_at"})
        living = await self._users_of_token(living=True)
        others = [each.id for each in living if each.id != entry.agreement_id]
        copies = [Notification(**kept, id=ids.new("ntf"), agreement_id=each) for each in others]
        self.session.add_all(copies)
        return [Entry(copy.id, copy.status, copy.agreement_id) for copy in copies]

    async def _judge(self, about: About) -> tuple[str | None, str]:
        """The agreement concerned, and "signalled", "ignored" (nothing new in it) or "unmatched"."""
        news = self.news
        if news.kind is NewsKind.PAYMENT:
            return _verdict(about, isinstance(about, Attempt) and _says_nothing_new(about, news))
        if news.kind is NewsKind.REFUND:
            if not isinstance(about, Refund):
                # Made on the provider's own portal: the payment is ours, the refund's id is not.
                return _verdict(await self._attempt_paid(), known=False)
            return _verdict(about, _refund_known(about, news))
        if news.kind in (NewsKind.AUTHORIZATION_CODE, NewsKind.CARD_ENTERED):
            authorization = await self._authorization()
            done = authorization is not None and authorization.status == "completed"
            return _verdict(authorization, done)
        return await self._judge_token()

    async def _judge_token(self) -> tuple[str | None, str]:
        users = await self._users_of_token()
        agreement = next((each for each in users if each.ended is None), users[0] if users else None)
        if self.news.kind is NewsKind.TOKEN_CANCELED:
            # The provider echoes a revocation of ours that it has confirmed already.
            echo = agreement is not None and (agreement.revocation or {}).get("provider_status") == "done"
            if agreement is not None and agreement.ended in (None, AgreementStatus.REVOKED):
                return agreement.id, "ignored" if echo else "signalled"
            released_by = await self._released_by()
            if agreement is not None and released_by is None:
                return agreement.id, "signalled"
            return released_by, "ignored" if released_by else "unmatched"
        if agreement is not None:
            return agreement.id, "ignored"
        return _verdict(await self._authorization(), known=False)

    def _ours(self, query: SelectOfScalar[Row], agreement_id: str) -> SelectOfScalar[Row]:
        """Only of agreements of the account whose key signed the message."""
        return query.join(Agreement, col(Agreement.id) == agreement_id).where(Agreement.account_id == self.account.id)

    async def _attempt(self) -> Attempt | None:
        params = {"account_id": self.account.id, "request_id": self.news.request_id}
        return (await self.session.exec(_ATTEMPT, params=params)).first()

    async def _attempt_paid(self) -> Attempt | None:
        query = select(Attempt).where(Attempt.payment_id == self.news.payment_id, col(Attempt.payment_id).is_not(None))
        return (await self.session.exec(self._ours(query, Attempt.agreement_id))).first()

    async def _refund(self) -> Refund | None:
        return await refunds.told_of(
            self.session,
            self.account.id,
            request_id=self.news.request_id,
            reversal_id=self.news.reversal_id,
            payment_id=self.news.payment_id,
            amount=self.news.amount,
        )

    async def _authorization(self) -> Authorization | None:
        fingerprint = self.vault.fingerprint(self.news.authorization_state or "")
        query = select(Authorization).where(Authorization.state_hash == fingerprint)
        return (await self.session.exec(self._ours(query, Authorization.agreement_id))).first()

    async def _released_by(self) -> str | None:
        """The agreement that replaced the credential with this token: its end at the provider is no news."""
        query = select(Credential.released_by).where(
            Credential.account_id == self.account.id,
            Credential.token_hash == self.vault.fingerprint(self.news.token or ""),
            col(Credential.released_by).is_not(None),
        )
        return (await self.session.exec(query.limit(1))).first()

    async def _users_of_token(self, *, living: bool = False) -> Sequence[Agreement]:
        """The agreements charged with the token, newest first."""
        fingerprint = self.vault.fingerprint(self.news.token or "")
        query = (
            select(Agreement)
            .join(Credential, col(Credential.id) == Agreement.credential_id)
            .where(Agreement.account_id == self.account.id, Credential.token_hash == fingerprint)
        )
        if living:
            query = query.where(col(Agreement.ended).is_(None))
        return (await self.session.exec(query.order_by(col(Agreement.id).desc()))).all()


def _awaits_answer(about: About) -> bool:
    """Whether the answer to our own call for it has yet to be written down."""
    if isinstance(about, Attempt):
        # A payment the customer makes on a page is no call of ours.
        return about.status is AttemptStatus.SENT and about.authorization_id is None
    if about is None or about.next_try_at is None or about.sent_at is None:
        return False
    return about.in_doubt and about.next_try_at <= about.sent_at  # an answer puts the next call off


def _workflow_of(about: About) -> str | None:
    """The refund the news concerns if it has a workflow of its own, else None."""
    return about.id if isinstance(about, Refund) and about.origin is RefundOrigin.MERCHANT else None


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
