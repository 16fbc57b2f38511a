"""What a provider says of money sent back, also of what somebody did on the provider's own portal."""

from __future__ import annotations

from sqlmodel import col, select

from agreements import refunds as rules
from agreements.attempts import Verdict
from agreements.refunds import COUNTED, RefundKind
from agreements.status import AttemptStatus
from gateways.port import News
from store import refunds
from store.changes import Change
from store.tables import Attempt, Refund

_TAKEN = (AttemptStatus.SUCCEEDED, AttemptStatus.REVERSED)


async def refunded(change: Change, news: News) -> bool:
    """A refund has ended: one of ours, or one made at the provider, which is written down first. Whether it is of
    anything the agreement has.
    """
    refund = await refunds.told_of(
        change.session,
        change.agreement.account_id,
        request_id=news.request_id,
        reversal_id=news.reversal_id,
        payment_id=news.payment_id,
        amount=news.amount,
    )
    refund = refund or await _made_at_provider(change, news)
    if refund is None:
        return False
    refund.provider_id = refund.provider_id or news.reversal_id
    if news.claims is not None:
        # Its sender has proved too little to be believed: the provider is asked.
        refund.in_doubt, refund.next_try_at = True, change.now
        return True
    verdict = news.verdict or Verdict.UNKNOWN
    if news.amount is not None and news.amount != refund.money:
        verdict = Verdict.UNKNOWN
    await refunds.apply(change, refund, rules.told(refunds.progress(refund), verdict, change.now), news.decline)
    return True


def undoes(attempt: Attempt, news: News) -> bool:
    """Whether the message says that a debit which was paid is canceled."""
    return news.verdict is Verdict.CANCELED and attempt.status in _TAKEN


async def canceled(change: Change, attempt: Attempt) -> None:
    """A paid debit was canceled: by us, or at the provider, which is written down once."""
    query = select(Refund).where(
        Refund.attempt_id == attempt.id, Refund.kind == RefundKind.CANCEL, col(Refund.status).in_(COUNTED)
    )
    refund = (await change.session.exec(query)).first()
    if refund is None:
        refund = refunds.made_at_provider(change, attempt, RefundKind.CANCEL, None, attempt.money)
    await refunds.apply(change, refund, rules.told(refunds.progress(refund), Verdict.CANCELED, change.now))


async def _made_at_provider(change: Change, news: News) -> Refund | None:
    query = select(Attempt).where(Attempt.agreement_id == change.agreement.id, Attempt.payment_id == news.payment_id)
    attempt = (await change.session.exec(query)).first()
    request_id = news.request_id or news.reversal_id
    if attempt is None or request_id is None:
        return None
    return refunds.made_at_provider(change, attempt, RefundKind.REFUND, request_id, news.amount or attempt.money)
