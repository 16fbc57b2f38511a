"""What an answer or a message about an attempt changes in the ledger, in one transaction with its events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select

from agreements import inquiries, retries, schedule
from agreements.attempts import Finding, Verdict, judge
from agreements.declines import Decline, DeclineCategory
from agreements.retries import Action, Decision
from agreements.status import AttemptStatus, ChargeStatus, Stop
from gateways.port import ChargeAnswer
from store import ids, lifecycle
from store.changes import Change
from store.tables import Attempt, Charge, Credential, Refund

UNFINISHED = Decline(
    category=DeclineCategory.ISSUER_UNAVAILABLE,
    code="never_finished",
    message="The provider did not finish the debit in time.",
)
"""What stands for a decline where an attempt ended without one."""
_DEAD_CREDENTIAL = {
    DeclineCategory.EXPIRED_CARD,
    DeclineCategory.LOST_OR_STOLEN,
    DeclineCategory.CLOSED_ACCOUNT,
    DeclineCategory.INVALID_CREDENTIAL,
}


async def record(change: Change, attempt: Attempt, answer: ChargeAnswer) -> None:
    """Writes down what is now known of an attempt, and what follows from it. Harmless when it was known already."""
    charge = await change.session.get_one(Charge, attempt.charge_id)
    answer = _trusted(attempt, answer)
    others = await _others(change, attempt)
    finding = judge(
        attempt.status,
        answer.verdict,
        paid_by_another=any(other.status is AttemptStatus.SUCCEEDED for other in others),
        revoked=change.agreement.stop is Stop.REVOKED,
    )
    attempt.payment_id = answer.payment_id or attempt.payment_id
    if finding is Finding.NOTHING:
        return
    attempt.evidence = answer.evidence or attempt.evidence
    if finding is Finding.LOOK_AGAIN:
        _look_again(change, charge, attempt, answer.verdict)
        return
    attempt.next_look_at = None
    attempt.finished_at = change.now
    if finding is Finding.COLLECT:
        _collected(change, charge, attempt, others)
    elif finding is Finding.REVERSE:
        _reverse(change, charge, attempt)
    else:
        attempt.status = AttemptStatus.FAILED if finding is Finding.FAIL else AttemptStatus.CANCELED
        await _declined(change, charge, attempt, answer.decline or UNFINISHED)
    await lifecycle.complete_if_finished(change)


def refuse(change: Change, charge: Charge, reason: str) -> None:
    """The debit would break the terms: the charge fails without a call to the provider."""
    decline = Decline(category=DeclineCategory.TERMS, code=reason)
    decision = Decision(
        action=Action.GIVE_UP,
        rule=f"terms_{reason}",
        rulebook_version=retries.RULEBOOK_VERSION,
        budget_left=0,
        inputs={"amount": str(charge.money), "cycle": charge.cycle},
    )
    change.decide(decision, charge, None)
    charge.status = ChargeStatus.FAILED
    charge.next_attempt_at = None
    change.event("charge.failed", charge, decline=decline.model_dump(mode="json"))


def _trusted(attempt: Attempt, answer: ChargeAnswer) -> ChargeAnswer:
    """A success over another amount is not the success of this attempt: nothing is known until somebody looks."""
    if answer.verdict is Verdict.SUCCEEDED and answer.amount is not None and answer.amount != attempt.money:
        return ChargeAnswer(Verdict.UNKNOWN, payment_id=answer.payment_id, evidence="amount_mismatch")
    return answer


def _look_again(change: Change, charge: Charge, attempt: Attempt, verdict: Verdict) -> None:
    processing = verdict is Verdict.PROCESSING
    attempt.status = AttemptStatus.PROCESSING if processing else AttemptStatus.UNKNOWN
    attempt.times_not_found += verdict is Verdict.NOT_FOUND
    attempt.next_look_at = inquiries.next_look(attempt.sent_at or change.now, attempt.looks, change.now)
    if charge.paid_at is not None:
        return
    before, charge.status = charge.status, ChargeStatus.PROCESSING if processing else ChargeStatus.UNKNOWN
    if charge.status is ChargeStatus.UNKNOWN and before is not ChargeStatus.UNKNOWN:
        change.event("charge.unknown", charge)


def _collected(change: Change, charge: Charge, attempt: Attempt, others: Sequence[Attempt]) -> None:
    attempt.status = AttemptStatus.SUCCEEDED
    for other in others:
        if other.status is AttemptStatus.PREPARED:
            other.status = AttemptStatus.CANCELED
            other.finished_at = change.now
    charge.status = ChargeStatus.SUCCEEDED
    charge.next_attempt_at = None
    charge.paid_at = change.now
    change.agreement.action_required = None
    change.event("charge.succeeded", charge)


def _reverse(change: Change, charge: Charge, attempt: Attempt) -> None:
    """The cycle is paid already, or the agreement was revoked: the money goes back (design promises 1 and 4)."""
    attempt.status = AttemptStatus.REVERSED
    change.session.add(
        Refund(
            id=ids.new("rfd"),
            agreement_id=charge.agreement_id,
            charge_id=charge.id,
            attempt_id=attempt.id,
            kind="cancel",
            request_id=f"{attempt.gateway_request_id}-r1",
            status="pending",
            currency=attempt.currency,
            amount=attempt.amount,
            reason="the cycle was paid already" if charge.paid_at else "the agreement was revoked",
            next_try_at=change.now,
            created_at=change.now,
        )
    )
    if charge.paid_at is None:
        charge.status = ChargeStatus.REVERSED
        charge.next_attempt_at = None
    change.event("charge.reversed", charge)


async def _declined(change: Change, charge: Charge, attempt: Attempt, decline: Decline) -> None:
    attempt.decline = decline.model_dump(mode="json")
    if charge.paid_at is not None:
        return
    if change.agreement.ended:
        lifecycle.cancel_charge(change, charge)
        return
    credential = await change.session.get_one(Credential, attempt.credential_id)
    decision = retries.decide(
        retries.POLICIES[change.agreement.retry_policy],
        decline,
        attempt=attempt.number,
        declined_before=[Decline.model_validate(other.decline).category for other in await _earlier(change, attempt)],
        now=change.now,
        due_at=await _window_start(change, charge),
        next_due_at=_next_due_at(change, charge),
        refreshable=credential.sealed_refresh_token is not None,
        terms=change.terms,
    )
    attempt.decision = decision.model_dump(mode="json")
    change.decide(decision, charge, attempt)
    await _follow(change, charge, credential, decline, decision)


async def _follow(change: Change, charge: Charge, credential: Credential, decline: Decline, decision: Decision) -> None:
    shown = {"decline": decline.model_dump(mode="json"), "decision": decision.model_dump(mode="json")}
    charge.next_attempt_at = decision.at
    if decision.action is Action.RETRY:
        charge.status = ChargeStatus.RETRYING
        if decline.category is DeclineCategory.INVALID_CREDENTIAL:
            credential.refresh_at = change.now
        change.event("charge.retry_scheduled", charge, **shown)
    elif decision.action is Action.NEEDS_CUSTOMER:
        charge.status = ChargeStatus.ACTION_REQUIRED
        if decline.category in _DEAD_CREDENTIAL:
            change.agreement.action_required = decline.code
        change.event("charge.action_required", charge, **shown)
    else:
        charge.status = ChargeStatus.FAILED
        change.event("charge.failed", charge, **shown)
        if decision.action is Action.REVOKE:
            await lifecycle.revoke(change, initiator="customer", reason=decline.code, by_provider=True)


async def _others(change: Change, attempt: Attempt) -> Sequence[Attempt]:
    query = select(Attempt).where(Attempt.charge_id == attempt.charge_id, Attempt.id != attempt.id)
    return (await change.session.exec(query)).all()


async def _earlier(change: Change, attempt: Attempt) -> Sequence[Attempt]:
    query = select(Attempt).where(
        Attempt.charge_id == attempt.charge_id,
        Attempt.number < attempt.number,
        col(Attempt.decline).is_not(None),
    )
    return (await change.session.exec(query.order_by(col(Attempt.number)))).all()


async def _window_start(change: Change, charge: Charge) -> datetime:
    query = select(Attempt.sent_at).where(Attempt.charge_id == charge.id, Attempt.number == 1)
    first = (await change.session.exec(query)).first()
    return max(charge.due_at, first) if first else charge.due_at


def _next_due_at(change: Change, charge: Charge) -> datetime | None:
    """Where retries of this charge must have ended: the next cycle, or the end of the agreement."""
    last = schedule.last_cycle(change.plan)
    if charge.cycle is not None and (last is None or charge.cycle < last):
        return schedule.due_at(change.plan, charge.cycle + 1)
    return schedule.ends_at(change.terms)
