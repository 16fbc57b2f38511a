"""After an attempt: what an answer or a silence changes in its charge (design promises 1, 2 and 4).

No I/O and no clock: the records are the store's rows or the simulation's, and what needs a search is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from agreements import inquiries
from agreements.attempts import ChargeAnswer, Finding, Verdict, judge
from agreements.declines import Decline, DeclineCategory
from agreements.guarantees import QueryLimits, Traits
from agreements.policies import AtEnd
from agreements.records import AttemptRecord, Book, ChargeRecord
from agreements.recovery import NEVER_RECEIVED
from agreements.retries import Action, Decision
from agreements.status import AgreementStatus, AttemptStatus, ChargePurpose, ChargeStatus, Stop

BROKEN_OFF = "canceled_by_customer"
"""What a provider's word for a canceled payment means where a customer makes it (agreements/rulebook/data/declines)."""
NEVER_FINISHED = Decline(
    category=DeclineCategory.ISSUER_UNAVAILABLE,
    code="never_finished",
    message="The provider did not finish the debit in time.",
)
"""What stands for a decline where an attempt ended without one."""


class Aftermath(StrEnum):
    """What else a decision does to the agreement."""

    NOTHING = "nothing"
    REVOKE = "revoke"
    PAUSE = "pause"
    CARRY = "carry"
    """The amount goes to the next cycle, if the terms allow."""


# After a silence


def must_cancel(book: Book, charge: ChargeRecord, attempt: AttemptRecord, answer: ChargeAnswer, traits: Traits) -> bool:
    """An attempt the provider does not finish is ended before the cycle is tried again, if paid by another, or if
    revoked.
    """
    if answer.verdict is not Verdict.PROCESSING:
        return False
    limit = traits.cancel_unfinished_after
    overdue = limit is not None and book.now - (attempt.sent_at or book.now) >= limit
    return overdue or charge.paid_at is not None or book.agreement.stop is Stop.REVOKED


def may_repeat(book: Book, attempt: AttemptRecord, traits: Traits) -> bool:
    """A request the provider never saw is sent again under the same id, as long as it vouches for such a repeat."""
    safe_for, sent_at = traits.repeat_is_safe, attempt.sent_at or book.now
    return safe_for is not None and book.now - sent_at < safe_for and book.agreement.stop is Stop.NONE


def settled(book: Book, attempt: AttemptRecord, answer: ChargeAnswer, traits: Traits) -> ChargeAnswer:
    """ "Not found" counts only after the provider's settling time and at the second look (payment-rules §4 point 5).

    It is our judgement, not the provider's word: a failure, after which a late success still counts.
    """
    sure = (
        answer.verdict is Verdict.NOT_FOUND
        and attempt.times_not_found >= 1
        and book.now - (attempt.sent_at or book.now) >= traits.settling_time
    )
    return ChargeAnswer(Verdict.DECLINED, decline=NEVER_FINISHED, evidence=NEVER_RECEIVED) if sure else answer


# After an answer


def record(
    book: Book,
    charge: ChargeRecord,
    attempt: AttemptRecord,
    answer: ChargeAnswer,
    *,
    others: Iterable[AttemptRecord],
    traits: Traits,
    rulebook_version: str,
) -> Finding:
    """Writes down what is now known of an attempt; what follows a failure is `follow`'s. A repeat changes nothing."""
    answer = _trusted(attempt, answer)
    others = list(others)
    finding = judge(
        attempt.status,
        answer.verdict,
        paid_by_another=any(other.status is AttemptStatus.SUCCEEDED for other in others),
        unwanted=_unwanted(book, charge),
        cancel_stands=traits.cancel_stands,
    )
    attempt.payment_id = answer.payment_id or attempt.payment_id
    if finding is Finding.NOTHING:
        _looked_in_vain(book, attempt, answer.verdict, traits.queries)
        return finding
    attempt.evidence = answer.evidence or attempt.evidence
    if finding is Finding.LOOK_AGAIN:
        _look_again(book, charge, attempt, answer.verdict, traits.queries, rulebook_version)
        return finding
    attempt.next_look_at = None
    attempt.finished_at = book.now
    if finding is Finding.COLLECT:
        _collected(book, charge, attempt, others)
    elif finding is Finding.REVERSE:
        _reversed(book, charge, attempt)
    else:
        attempt.status = AttemptStatus.FAILED if finding is Finding.FAIL else AttemptStatus.CANCELED
        attempt.decline = _why_it_ended(attempt, answer).model_dump(mode="json")
    return finding


def _why_it_ended(attempt: AttemptRecord, answer: ChargeAnswer) -> Decline:
    """Nobody stands before a debit who could break it off: it was canceled by us, and whoever did that died before it
    was written down. Only of a payment on a page the customer is believed to have wanted it.
    """
    unattended = attempt.authorization_id is None
    if answer.decline is None or (unattended and answer.decline.code == BROKEN_OFF):
        return NEVER_FINISHED
    return answer.decline


def follow(
    book: Book,
    charge: ChargeRecord,
    attempt: AttemptRecord,
    decline: Decline,
    decision: Decision,
    at_end: AtEnd,
) -> Aftermath:
    """Does to the charge what was decided about its decline, and says what it means for the agreement."""
    attempt.decision = decision.model_dump(mode="json")
    book.decide(decision, charge, attempt)
    shown = {"decline": decline.model_dump(mode="json"), "decision": attempt.decision}
    charge.next_attempt_at = decision.at
    if decision.action is Action.RETRY:
        charge.status = ChargeStatus.RETRYING
        book.event("charge.retry_scheduled", charge, **shown)
        return Aftermath.NOTHING
    if decision.action in (Action.NEEDS_CUSTOMER, Action.NEEDS_NEW_CARD):
        charge.status = ChargeStatus.ACTION_REQUIRED
        charge.act_by = decision.act_by
        if decision.action is Action.NEEDS_NEW_CARD:
            book.agreement.action_required = decline.code
        book.event("charge.action_required", charge, **shown)
        return Aftermath.NOTHING
    charge.status = ChargeStatus.FAILED
    book.event("charge.failed", charge, **shown)
    return at_the_end(at_end) if decision.action is Action.GIVE_UP else Aftermath.NOTHING


def lapse(book: Book, charge: ChargeRecord, at_end: AtEnd, rulebook_version: str) -> Aftermath:
    """The customer did not act by the deadline: the charge is given up as the policy says."""
    decision = Decision(
        action=Action.GIVE_UP,
        rule="customer_did_not_act",
        rulebook_version=rulebook_version,
        budget_left=0,
        inputs={"act_by": charge.act_by.isoformat() if charge.act_by else None},
    )
    book.decide(decision, charge, None)
    charge.status = ChargeStatus.FAILED
    charge.act_by = None
    charge.next_attempt_at = None
    book.event("charge.failed", charge, decision=decision.model_dump(mode="json"))
    return at_the_end(at_end)


def at_the_end(chosen: AtEnd) -> Aftermath:
    """What the policy does to the agreement when a charge is given up."""
    return {AtEnd.PAUSE: Aftermath.PAUSE, AtEnd.REVOKE: Aftermath.REVOKE, AtEnd.CARRY: Aftermath.CARRY}.get(
        chosen, Aftermath.NOTHING
    )


def _unwanted(book: Book, charge: ChargeRecord) -> bool:
    """Whether money taken for this charge goes back: nothing is owed for it, or nobody agreed to it any more."""
    agreement = book.agreement
    gone = agreement.stop is Stop.REVOKED or agreement.ended is AgreementStatus.AUTHORIZATION_FAILED
    return gone or charge.canceled_at is not None or charge.purpose is ChargePurpose.VERIFICATION


def _trusted(attempt: AttemptRecord, answer: ChargeAnswer) -> ChargeAnswer:
    """A success over another amount is not the success of this attempt: nothing is known until somebody looks."""
    if answer.verdict is Verdict.SUCCEEDED and answer.amount is not None and answer.amount != attempt.money:
        return ChargeAnswer(Verdict.UNKNOWN, payment_id=answer.payment_id, evidence="amount_mismatch")
    return answer


def _looked_in_vain(book: Book, attempt: AttemptRecord, verdict: Verdict, limits: QueryLimits) -> None:
    """An attempt that has ended is looked at again only until the provider says something about it."""
    if attempt.next_look_at is None or attempt.status.open:
        return
    silent = verdict in (Verdict.UNKNOWN, Verdict.PROCESSING)
    started = attempt.sent_at or book.now
    attempt.next_look_at = inquiries.next_look(started, attempt.looks, book.now, limits) if silent else None


def _look_again(
    book: Book,
    charge: ChargeRecord,
    attempt: AttemptRecord,
    verdict: Verdict,
    limits: QueryLimits,
    rulebook_version: str,
) -> None:
    processing = verdict is Verdict.PROCESSING
    with_operator = attempt.next_look_at is None
    attempt.status = AttemptStatus.PROCESSING if processing else AttemptStatus.UNKNOWN
    attempt.times_not_found += verdict is Verdict.NOT_FOUND
    attempt.next_look_at = inquiries.next_look(attempt.sent_at or book.now, attempt.looks, book.now, limits)
    if attempt.next_look_at is None and not with_operator:
        _hand_to_operator(book, charge, attempt, rulebook_version)
    if charge.paid_at is not None:
        return
    before, charge.status = charge.status, ChargeStatus.PROCESSING if processing else ChargeStatus.UNKNOWN
    if charge.status is ChargeStatus.UNKNOWN and before is not ChargeStatus.UNKNOWN:
        book.event("charge.unknown", charge)


def _hand_to_operator(book: Book, charge: ChargeRecord, attempt: AttemptRecord, rulebook_version: str) -> None:
    """Nobody could say in a week: the cycle stays frozen and a person finds out, with the evidence (§4 point 6)."""
    decision = Decision(
        action=Action.OPERATOR,
        rule="unknown_for_a_week",
        rulebook_version=rulebook_version,
        budget_left=0,
        inputs={
            "attempt": attempt.number,
            "looks": attempt.looks,
            "sent_at": attempt.sent_at.isoformat() if attempt.sent_at else None,
            "evidence": attempt.evidence,
        },
    )
    attempt.decision = decision.model_dump(mode="json")
    book.decide(decision, charge, attempt)
    book.event("charge.unknown", charge, decision=attempt.decision)


def _collected(book: Book, charge: ChargeRecord, attempt: AttemptRecord, others: Iterable[AttemptRecord]) -> None:
    attempt.status = AttemptStatus.SUCCEEDED
    for other in others:
        if other.status is AttemptStatus.PREPARED:
            other.status, other.finished_at = AttemptStatus.CANCELED, book.now
    charge.status = ChargeStatus.SUCCEEDED
    charge.next_attempt_at = None
    charge.act_by = None
    charge.paid_at = book.now
    book.agreement.action_required = None
    book.event("charge.succeeded", charge)


def _reversed(book: Book, charge: ChargeRecord, attempt: AttemptRecord) -> None:
    """The cycle is paid already, or the money is not wanted: it goes back (design promises 1 and 4)."""
    attempt.status = AttemptStatus.REVERSED
    if charge.paid_at is None:
        charge.status = ChargeStatus.REVERSED
        charge.next_attempt_at = None
    book.event("charge.reversed", charge)


def renew(book: Book, charge: ChargeRecord, rulebook_version: str) -> None:
    """The credential was replaced: what is overdue is tried at once, the old one's plan is dropped (promise 5).

    Like everything caught up on it keeps the minimum gap, which `clear` sees to.
    """
    decision = Decision(
        action=Action.RETRY,
        at=book.now,
        rule="credential_replaced",
        rulebook_version=rulebook_version,
        budget_left=0,
        inputs={"status": charge.status.value, "attempts_made": charge.attempts_made},
    )
    book.decide(decision, charge, None)
    charge.status = ChargeStatus.RETRYING
    charge.next_attempt_at = book.now
    charge.act_by = None
    charge.catch_up = True
    book.event("charge.retry_scheduled", charge, decision=decision.model_dump(mode="json"))
