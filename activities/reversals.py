"""Money on its way back, one provider call at a time: for merchants' refunds and for debits that must not be kept.

A call is committed as made just before it is made (`agreements/refunds.py`): whatever dies in between, the repeat asks
the provider first.
"""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import activity

from activities.contract import REFUND, STEPS, RefundInput, StepInput
from activities.workbench import Workbench
from agreements import refunds as rules
from agreements.agenda import StepKind
from agreements.refunds import RefundKind, RefundStanding
from agreements.standing import Standing
from gateways.port import Account, Call, Gateway, RefundRequest, ReversalAnswer
from store import refunds
from store.changes import Change
from store.tables import Attempt, Refund


@dataclass(frozen=True)
class _Dispatch:
    """Everything one call needs, read under the lock that committed it."""

    gateway: Gateway
    account: Account
    call: Call
    kind: RefundKind
    question: bool
    debit: str
    """The request id of the debit that is given back."""
    handle: str | None
    """The provider's name of the refund, where it told us."""
    request: RefundRequest


class Reversals:
    """The step that brings money sent back closer to its end."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=STEPS[StepKind.REVERSE])
    async def reverse(self, step: StepInput) -> Standing:
        """The next call of a reversal that stands on its agreement's agenda."""
        given = RefundInput(agreement_id=step.agreement_id, refund_id=step.subject, at=step.at)
        return (await self._go_on(given)).standing

    @activity.defn(name=REFUND)
    async def refund(self, given: RefundInput) -> RefundStanding:
        """The next call of a refund that has a workflow of its own."""
        await self._go_on(given)
        return await refunds.current(self._bench.database, given.refund_id)

    async def _go_on(self, given: RefundInput) -> Change:
        async with self._bench.change(given.agreement_id, given.at) as change:
            dispatch = await self._committed(change, given.refund_id)
        if dispatch is None:
            return change
        answer = await _ask(dispatch)
        async with self._bench.change(given.agreement_id, given.at) as change:
            await _record(change, given.refund_id, dispatch, answer)
        return change

    async def _committed(self, change: Change, refund_id: str) -> _Dispatch | None:
        """The call to make now, written down as made; None once the outcome is known."""
        refund = await change.session.get_one(Refund, refund_id)
        before = refunds.progress(refund)
        if before.next_at is None:
            return None
        if not before.in_doubt:
            refund.tries += 1
            await refunds.apply(change, refund, rules.sent(before, change.now))
        attempt = await change.session.get_one(Attempt, refund.attempt_id)
        return _Dispatch(
            gateway=self._bench.gateway(change),
            account=await self._bench.account(change),
            call=self._bench.call(change.agreement, change.now),
            kind=before.kind,
            question=before.in_doubt,
            debit=attempt.gateway_request_id,
            handle=refund.provider_id,
            request=RefundRequest(
                request_id=refund.request_id,
                payment_id=attempt.payment_id or "",
                amount=refund.money,
                reason=refund.reason or "",
                notify_url=self._bench.notify_url(change),
            ),
        )


async def _ask(dispatch: _Dispatch) -> ReversalAnswer:
    gateway, account, call = dispatch.gateway, dispatch.account, dispatch.call
    paid_as = dispatch.request.payment_id or None
    if dispatch.kind is RefundKind.CANCEL and dispatch.question:
        payment = await gateway.inquire(account, dispatch.debit, call, paid_as)
        return ReversalAnswer(payment.verdict, evidence=payment.evidence)
    if dispatch.kind is RefundKind.CANCEL:
        return await gateway.cancel(account, dispatch.debit, call, paid_as)
    if dispatch.question:
        return await gateway.inquire_refund(account, dispatch.request.request_id, call, dispatch.handle)
    return await gateway.refund(account, dispatch.request, call)


async def _record(change: Change, refund_id: str, dispatch: _Dispatch, answer: ReversalAnswer) -> None:
    refund = await change.session.get_one(Refund, refund_id)
    refund.evidence = answer.evidence or refund.evidence
    refund.provider_id = answer.reversal_id or refund.provider_id
    means = rules.looked_up if dispatch.question else rules.answered
    after = means(refunds.progress(refund), answer.verdict, dispatch.gateway.traits, change.now)
    await refunds.apply(change, refund, after, answer.decline)
