"""Money that must not be kept: a debit is canceled while the provider allows it, else refunded."""

from __future__ import annotations

from temporalio import activity

from activities.contract import STEPS, StepInput
from activities.workbench import Workbench, heartbeats
from agreements import inquiries
from agreements.agenda import StepKind
from agreements.attempts import Verdict
from agreements.standing import Standing
from gateways.port import RefundRequest, ReversalAnswer
from store.changes import Change
from store.tables import Attempt, Charge, Refund


class Reversals:
    """The step that brings one reversal to its end."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=STEPS[StepKind.REVERSE])
    async def reverse(self, step: StepInput) -> Standing:
        """One try. The ids are fixed, so a repeat is answered like the first."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            refund = await change.session.get_one(Refund, step.subject)
            attempt = await change.session.get_one(Attempt, refund.attempt_id)
            account = await self._bench.account(change)
            call = self._bench.call(change.agreement, change.now)
            request = RefundRequest(
                request_id=refund.request_id,
                payment_id=attempt.payment_id or "",
                amount=refund.money,
                reason=refund.reason,
                notify_url=self._bench.notify_url(change),
            )
        if refund.next_try_at is None:
            return change.standing
        gateway = self._bench.gateway(change)
        async with heartbeats():
            if refund.kind == "cancel":
                answer = await gateway.cancel(account, attempt.gateway_request_id, call)
            else:
                answer = await gateway.refund(account, request, call)
        async with self._bench.change(step.agreement_id, step.at) as change:
            await record(change, await change.session.get_one(Refund, refund.id), answer)
        return change.standing


async def record(change: Change, refund: Refund, answer: ReversalAnswer) -> None:
    """Writes down what is known of a reversal; a cancel the provider refuses becomes a refund."""
    if refund.next_try_at is None:
        return
    refund.tries += 1
    refund.evidence = answer.evidence or refund.evidence
    refund.provider_id = answer.reversal_id or refund.provider_id
    charge = await change.session.get_one(Charge, refund.charge_id)
    if answer.verdict is Verdict.SUCCEEDED:
        refund.status, refund.next_try_at, refund.finished_at = "succeeded", None, change.now
        change.event("refund.succeeded", charge, refund=refund.id)
    elif answer.verdict is Verdict.DECLINED and refund.kind == "cancel":
        refund.kind, refund.next_try_at = "refund", change.now
    elif answer.verdict is Verdict.DECLINED:
        refund.status, refund.next_try_at, refund.finished_at = "failed", None, change.now
        decline = answer.decline.model_dump(mode="json") if answer.decline else None
        change.event("refund.failed", charge, refund=refund.id, decline=decline)
    else:
        refund.next_try_at = inquiries.next_try(refund.tries, change.now)
