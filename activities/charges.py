"""Debits that cannot double (design promises 1 and 2).

An attempt is written down before the call (`prepared`), committed as `sent` under the agreement's lock just before it,
and settled after it. Whatever dies in between, the repeated activity finds the row: prepared means never sent, sent
means the provider is asked first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from temporalio import activity

from activities import outcomes
from activities.contract import STEPS, StepInput
from activities.workbench import Workbench, heartbeats
from agreements import credentials, enforcement
from agreements.agenda import StepKind
from agreements.attempts import UNFINISHED, Verdict, order_id, request_id
from agreements.standing import Standing
from agreements.status import AttemptStatus, ChargeStatus, Stop
from gateways.port import Account, Call, ChargeAnswer, ChargeRequest, Gateway
from store import cycles, ids, lifecycle
from store.changes import Change
from store.tables import Attempt, Charge, Credential


@dataclass(frozen=True)
class _Dispatch:
    """Everything one call needs, read under the lock that committed the attempt as sent."""

    gateway: Gateway
    account: Account
    call: Call
    request: ChargeRequest


class Charges:
    """The steps that move a customer's money, and those that find out whether it moved."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    @activity.defn(name=STEPS[StepKind.CHARGE])
    async def charge(self, step: StepInput) -> Standing:
        """Tries to collect a charge. A repeat of the same attempt asks what became of it before anything else."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            attempt = await _prepare(change, step)
        if attempt is None:
            return change.standing
        if attempt.status.open:
            return await self.inquire(step.model_copy(update={"subject": attempt.id}))
        dispatch, standing = await self._cleared(step, attempt.id)
        if dispatch is None:
            return standing
        return await self._record(step, attempt.id, await _debit(dispatch))

    @activity.defn(name=STEPS[StepKind.INQUIRE])
    async def inquire(self, step: StepInput) -> Standing:
        """Asks what became of an attempt; sends it again, or cancels it, where the provider's answer calls for that."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            attempt = await change.session.get_one(Attempt, step.subject)
            charge = await change.session.get_one(Charge, attempt.charge_id)
            unfinished = attempt.status.open
            if unfinished:
                attempt.looks += 1
                dispatch = await self._dispatch(change, attempt)
        if not unfinished:
            return change.standing
        async with heartbeats():
            answer = await dispatch.gateway.inquire(dispatch.account, attempt.gateway_request_id, dispatch.call)
            if _must_cancel(change, charge, attempt, answer, dispatch.gateway):
                answer = await _cancel(dispatch, answer)
        if answer.verdict is Verdict.NOT_FOUND and _may_repeat(change, attempt, dispatch.gateway):
            again, _ = await self._cleared(step, attempt.id)
            if again is not None:
                return await self._record(step, attempt.id, await _debit(again))
        return await self._record(step, attempt.id, _settled(attempt, answer, dispatch.gateway, change.now))

    async def _cleared(self, step: StepInput, attempt_id: str) -> tuple[_Dispatch | None, Standing]:
        """Passes the gate: what to send now that the attempt is committed as sent, or None if nothing may be sent."""
        async with self._bench.change(step.agreement_id, step.at) as change:
            attempt = await change.session.get_one(Attempt, attempt_id)
            dispatch = await self._dispatch(change, attempt) if await _may_send(change, attempt) else None
        return dispatch, change.standing

    async def _record(self, step: StepInput, attempt_id: str, answer: ChargeAnswer) -> Standing:
        async with self._bench.change(step.agreement_id, step.at) as change:
            await outcomes.record(change, await change.session.get_one(Attempt, attempt_id), answer)
        return change.standing

    async def _dispatch(self, change: Change, attempt: Attempt) -> _Dispatch:
        agreement = change.agreement
        charge = await change.session.get_one(Charge, attempt.charge_id)
        credential = await change.session.get_one(Credential, attempt.credential_id)
        seller = change.terms.seller
        return _Dispatch(
            gateway=self._bench.gateway(change),
            account=await self._bench.account(change),
            call=self._bench.call(agreement, change.now),
            request=ChargeRequest(
                request_id=attempt.gateway_request_id,
                order_id=order_id(agreement.id, charge.cycle, charge.id),
                description=f"{seller.name if seller else agreement.reference}, {cycles.in_words(charge)}",
                amount=attempt.money,
                payment_method=agreement.payment_method,
                token=self._bench.open_token(credential),
                notify_url=self._bench.notify_url(change),
                customer_id=agreement.customer_id,
            ),
        )


async def _prepare(change: Change, step: StepInput) -> Attempt | None:
    """The attempt to go on with: the one this step made before it was interrupted, or a new one if it may be made."""
    query = select(Attempt).where(Attempt.charge_id == step.subject, Attempt.number == step.attempt)
    existing = (await change.session.exec(query)).first()
    if existing is not None and existing.status is not AttemptStatus.PREPARED:
        return existing if existing.status.open else None
    charge = await change.session.get_one(Charge, step.subject)
    if await _in_flight(change, charge):
        charge.next_attempt_at = None
        return None
    if charge.next_attempt_at is None or charge.next_attempt_at > change.now or change.agreement.stop is not Stop.NONE:
        return None
    if charge.cycle is not None and charge.cycle == await cycles.last_written(change):
        await cycles.write_next(change, charge.cycle + 1)
    if not await _collectable(change, charge):
        await lifecycle.complete_if_finished(change)
        return None
    if existing is not None:
        # It waited out a pause or a crash and was never sent: what it debits is what is owed now.
        existing.amount, existing.currency = charge.amount, charge.currency
        existing.credential_id = change.agreement.credential_id or ""
        return existing
    attempt = Attempt(
        id=ids.new("att"),
        agreement_id=charge.agreement_id,
        charge_id=charge.id,
        number=step.attempt,
        gateway_request_id=request_id(order_id(charge.agreement_id, charge.cycle, charge.id), step.attempt),
        status=AttemptStatus.PREPARED,
        currency=charge.currency,
        amount=charge.amount,
        credential_id=change.agreement.credential_id or "",
        prepared_at=change.now,
    )
    change.session.add(attempt)
    return attempt


async def _in_flight(change: Change, charge: Charge) -> bool:
    """Whether money may be moving for this charge: then no other attempt starts, whoever asks for one."""
    query = select(Attempt.id).where(Attempt.charge_id == charge.id, col(Attempt.status).in_(UNFINISHED))
    return (await change.session.exec(query.limit(1))).first() is not None


async def _collectable(change: Change, charge: Charge) -> bool:
    """Whether an attempt may be made now; where not, the charge says what became of it."""
    if (
        charge.attempts_made == 0
        and not charge.catch_up
        and enforcement.too_late(change.terms, charge.due_at, change.now)
    ):
        await cycles.skip(change, charge, "past the catch-up limit")
        return False
    if change.agreement.action_required:
        charge.status = ChargeStatus.ACTION_REQUIRED
        charge.next_attempt_at = None
        change.event("charge.action_required", charge, reason=change.agreement.action_required)
        return False
    if reason := enforcement.refusal(change.terms, charge.money, charge.cycle, change.now):
        outcomes.refuse(change, charge, reason)
        return False
    credential = await change.session.get_one(Credential, change.agreement.credential_id)
    if not credentials.usable(credential.token_expires_at, change.now):
        _wait_for_token(change, charge, credential)
        return False
    if charge.catch_up:
        charge.next_attempt_at = enforcement.catch_up_at(change.terms, await cycles.last_success_at(change), change.now)
    return charge.next_attempt_at is not None and charge.next_attempt_at <= change.now


def _wait_for_token(change: Change, charge: Charge, credential: Credential) -> None:
    """An expired token is not sent: the charge waits for the refresh under way, else for the customer."""
    charge.next_attempt_at = credential.refresh_at
    if credential.refresh_at is None:
        charge.status = ChargeStatus.ACTION_REQUIRED
        change.agreement.action_required = "token_expired"
        change.event("charge.action_required", charge, reason="token_expired")


async def _debit(dispatch: _Dispatch) -> ChargeAnswer:
    async with heartbeats():
        return await dispatch.gateway.charge(dispatch.account, dispatch.request, dispatch.call)


async def _may_send(change: Change, attempt: Attempt) -> bool:
    """The gate: under the agreement's lock, with stop, terms and caps as they are now (design promise 4).

    It is passed before the first call and before every repeat. A repeat that may not be sent leaves the attempt as it
    is: somebody else may have ended it, and what was sent before is still to be found out.
    """
    charge = await change.session.get_one(Charge, attempt.charge_id)
    unsent = attempt.status is AttemptStatus.PREPARED
    if change.agreement.stop is not Stop.NONE or change.agreement.ended or charge.paid_at is not None:
        return False
    if not (unsent or attempt.status.open):
        return False
    reason = enforcement.refusal(change.terms, attempt.money, charge.cycle, change.now)
    if reason is None and unsent:
        attempt.status = AttemptStatus.SENT
        attempt.sent_at = change.now
        attempt.next_look_at = change.now
        charge.attempts_made = attempt.number
        charge.status = ChargeStatus.PROCESSING
        charge.next_attempt_at = None
    elif reason is not None and unsent:
        attempt.status = AttemptStatus.CANCELED
        attempt.finished_at = change.now
        outcomes.refuse(change, charge, reason)
        await lifecycle.complete_if_finished(change)
    return reason is None


def _must_cancel(change: Change, charge: Charge, attempt: Attempt, answer: ChargeAnswer, gateway: Gateway) -> bool:
    """An attempt the provider does not finish is ended before the cycle is tried again, if paid by another, or if
    revoked.
    """
    if answer.verdict is not Verdict.PROCESSING:
        return False
    limit = gateway.traits.cancel_unfinished_after
    overdue = limit is not None and change.now - (attempt.sent_at or change.now) >= limit
    return overdue or charge.paid_at is not None or change.agreement.stop is Stop.REVOKED


async def _cancel(dispatch: _Dispatch, processing: ChargeAnswer) -> ChargeAnswer:
    reversal = await dispatch.gateway.cancel(dispatch.account, dispatch.request.request_id, dispatch.call)
    if reversal.verdict is not Verdict.SUCCEEDED:
        return processing
    return ChargeAnswer(Verdict.CANCELED, payment_id=processing.payment_id, evidence="canceled_by_us")


def _may_repeat(change: Change, attempt: Attempt, gateway: Gateway) -> bool:
    """A request the provider never saw is sent again under the same id, as long as it vouches for such a repeat."""
    safe_for = gateway.traits.repeat_is_safe
    sent_at = attempt.sent_at or change.now
    return safe_for is not None and change.now - sent_at < safe_for and change.agreement.stop is Stop.NONE


def _settled(attempt: Attempt, answer: ChargeAnswer, gateway: Gateway, now: datetime) -> ChargeAnswer:
    """ "Not found" counts only after the provider's settling time and at the second look (payment-rules §4 point 5).

    It is our judgement, not the provider's word: a failure, after which a late success still counts.
    """
    sure = (
        answer.verdict is Verdict.NOT_FOUND
        and attempt.times_not_found >= 1
        and now - (attempt.sent_at or now) >= gateway.traits.settling_time
    )
    return ChargeAnswer(Verdict.DECLINED, decline=outcomes.UNFINISHED, evidence="never_received") if sure else answer
