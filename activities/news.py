"""What providers say on their own account: results, consents, cancellations; maybe twice, late, or out of order."""

from __future__ import annotations

import structlog
from sqlmodel import select
from temporalio import activity

from activities import card_entry, outcomes, refund_news, tokens
from activities.authorizations import ASK_FOR
from activities.contract import NEWS, REFUND_NEWS, NewsInput, RefundNewsInput
from activities.workbench import Workbench
from agreements.attempts import Verdict
from agreements.refunds import RefundStanding
from agreements.standing import Standing
from agreements.status import AttemptStatus
from gateways.port import BadNotification, ChargeAnswer, News, NewsKind, Token
from store import first_payments, lifecycle, refunds, releases
from store.changes import Change
from store.tables import Attempt, Authorization, Credential, Notification

log = structlog.get_logger(__name__)

_PAYABLE = ("open", "granted", "closing")


class ProviderNews:
    """Settles journalled messages that the API has verified and matched."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=NEWS)
    async def settle_news(self, news: NewsInput) -> Standing:
        """Applies one message. What it says may be known already; then only the journal changes."""
        async with self._bench.change(news.agreement_id, news.at) as change:
            journalled = await change.session.get(Notification, news.notification_id)
            if journalled is None:
                # Signalled by hand, say. The agreement goes on: the provider is asked for whatever is open anyway.
                log.error("news_not_in_the_journal")
            elif journalled.status != "settled":
                await self._settle(change, journalled)
        return change.standing

    @activity.defn(name=REFUND_NEWS)
    async def settle_refund_news(self, news: RefundNewsInput) -> RefundStanding:
        """The same for the workflow of a refund that the message concerns."""
        await self.settle_news(
            NewsInput(agreement_id=news.agreement_id, notification_id=news.notification_id, at=news.at)
        )
        return await refunds.current(self._bench.database, news.refund_id)

    async def _settle(self, change: Change, journalled: Notification) -> None:
        try:
            found = self._bench.news(change.agreement.gateway, await self._bench.account(change), journalled)
        except BadNotification as error:
            # The account's keys were replaced since it came: what it said is found out by asking the provider.
            journalled.status, journalled.detail = "refused", error.code
            return
        journalled.status = "settled"
        for item in found:
            await self._apply(change, item, journalled)

    async def _apply(self, change: Change, news: News, journalled: Notification) -> None:
        if news.kind is NewsKind.PAYMENT:
            await self._payment(change, news, journalled)
        elif news.kind is NewsKind.REFUND:
            if not await refund_news.refunded(change, news):
                _unmatched(journalled, news)
        elif news.kind is NewsKind.AUTHORIZATION_CODE:
            await self._code(change, news, journalled)
        elif news.kind is NewsKind.CARD_ENTERED:
            await self._card(change, news, journalled)
        elif news.kind is NewsKind.TOKEN_CREATED:
            await self._token(change, news)
        else:
            await self._canceled(change, news)

    async def _payment(self, change: Change, news: News, journalled: Notification) -> None:
        query = select(Attempt).where(
            Attempt.agreement_id == change.agreement.id, Attempt.gateway_request_id == news.request_id
        )
        attempt = (await change.session.exec(query)).first()
        if attempt is None:
            _unmatched(journalled, news)
            return
        if refund_news.undoes(attempt, news):
            await refund_news.canceled(change, attempt)
            return
        page = await change.session.get(Authorization, attempt.authorization_id) if attempt.authorization_id else None
        if page is not None and page.status in _PAYABLE:
            _look_at_page(change, page)
            return
        if news.claims is not None:
            attempt.next_look_at = change.now
            return
        if news.verdict is not Verdict.SUCCEEDED and news.payment_id != (attempt.payment_id or news.payment_id):
            return  # about something that was opened for this attempt before and given up
        answer = ChargeAnswer(
            verdict=news.verdict or Verdict.UNKNOWN,
            payment_id=news.payment_id,
            decline=news.decline,
            amount=news.amount,
            evidence=f"notified_{news.reason or ''}".rstrip("_"),
        )
        await outcomes.record(change, attempt, answer, self._bench.gateway(change).traits, self._bench.links)

    async def _code(self, change: Change, news: News, journalled: Notification) -> None:
        """The customer agreed, or comes back from the page. The same code comes by redirect and by notification; the
        first one is used.
        """
        authorization = await self._authorization(change, news)
        if authorization is None:
            return
        payment = await first_payments.of(change.session, authorization)
        if payment is not None:
            if authorization.status in _PAYABLE:
                _look_at_page(change, authorization)
            elif payment.status in (AttemptStatus.FAILED, AttemptStatus.CANCELED) and news.request_id is not None:
                payment.next_look_at = change.now  # paid after all, maybe
        elif authorization.status == "open" and not change.agreement.ended:
            authorization.status = "granted"
            authorization.code_notification_id = journalled.id
            authorization.next_try_at = change.now
            # The page's time is over: from here on it is the provider who has to answer.
            authorization.expires_at = change.now + ASK_FOR

    async def _card(self, change: Change, news: News, journalled: Notification) -> None:
        """The customer typed a card on our page. One at a time; a page that waits for none takes none."""
        authorization = await self._authorization(change, news)
        waiting = authorization is not None and authorization.status == "open" and authorization.card_key is not None
        if authorization is None or not waiting or authorization.code_notification_id or change.agreement.ended:
            card_entry.forget(self._bench, journalled)
            return
        authorization.code_notification_id, authorization.next_try_at = journalled.id, change.now

    async def _token(self, change: Change, news: News) -> None:
        authorization = await self._authorization(change, news)
        if authorization is None or not news.token:
            return
        token = Token(access_token=news.token, expires_at=None)
        if authorization.status in ("open", "granted") and not change.agreement.ended:
            await tokens.grant(change, self._bench.vault, authorization, token)
        elif not await self._known(change, news.token):
            tokens.give_up(change, self._bench.vault, token)

    async def _known(self, change: Change, token: str) -> bool:
        query = select(Credential.id).where(
            Credential.account_id == change.agreement.account_id,
            Credential.token_hash == self._bench.vault.fingerprint(token),
        )
        return (await change.session.exec(query.limit(1))).first() is not None

    async def _canceled(self, change: Change, news: News) -> None:
        """The payer withdrew at the provider, or the provider echoes our own revocation."""
        credential = await change.session.get(Credential, change.agreement.credential_id)
        if credential is not None and credential.token_hash == self._bench.vault.fingerprint(news.token or ""):
            try:
                await lifecycle.revoke(change, initiator="customer", reason=news.reason, by_provider=True)
            except lifecycle.Conflict:  # it had come to its end; now nobody else can be charged with the token either
                await releases.confirmed(change)

    async def _authorization(self, change: Change, news: News) -> Authorization | None:
        if not news.authorization_state:
            return None
        query = select(Authorization).where(
            Authorization.agreement_id == change.agreement.id,
            Authorization.state_hash == self._bench.vault.fingerprint(news.authorization_state),
        )
        return (await change.session.exec(query)).first()


def _unmatched(journalled: Notification, news: News) -> None:
    """The agreement has nothing it could be about: written down for people, as where no agreement is found at all."""
    journalled.status, journalled.detail = "unmatched", news.request_id or news.payment_id


def _look_at_page(change: Change, page: Authorization) -> None:
    """What is said of a page that takes a payment is asked of the provider: its messages prove too little."""
    page.status = "closing" if page.status == "closing" else "granted"
    page.next_try_at = change.now
