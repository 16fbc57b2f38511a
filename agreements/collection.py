"""Collecting a charge: what a due date, an answer or a silence changes in its records (design promises 1 to 4).

No I/O and no clock. The records are the store's rows or the simulation's, so that both run the very same rules; what
needs a search among rows is found by the caller and handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from agreements import credentials, enforcement, inquiries, schedule
from agreements.attempts import ChargeAnswer, Finding, Verdict, judge
from agreements.budgets import Spent, used_up
from agreements.declines import Decline, DeclineCategory
from agreements.guarantees import QueryLimits, Traits
from agreements.money import Money
from agreements.policies import AtEnd, RetryPolicy
from agreements.retries import Action, Decision
from agreements.schedule import Plan
from agreements.status import AttemptStatus, ChargeStatus, Stop

UNFINISHED = Decline(
    category=DeclineCategory.ISSUER_UNAVAILABLE,
    code="never_finished",
    message="The provider did not finish the debit in time.",
)
"""What stands for a decline where an attempt ended without one."""


class AgreementRecord(Protocol):
    """What collecting needs of the agreement."""

    stop: Stop
    ended: Any
    action_required: str | None
    currency: str | None


class ChargeRecord(Protocol):
    """One amount owed. `act_by` is when the customer must have acted, while the charge waits for that."""

    id: str
    cycle: int | None
    status: ChargeStatus
    due_at: datetime
    next_attempt_at: datetime | None
    act_by: datetime | None
    catch_up: bool
    attempts_made: int
    canceled_at: datetime | None
    paid_at: datetime | None
    amount: int | None

    @property
    def money(self) -> Money:
        """What is owed."""


class AttemptRecord(Protocol):
    """One debit tried."""

    number: int
    status: AttemptStatus
    payment_id: str | None
    decline: dict[str, Any] | None
    decision: dict[str, Any] | None
    evidence: str | None
    looks: int
    times_not_found: int
    next_look_at: datetime | None
    sent_at: datetime | None
    finished_at: datetime | None

    @property
    def money(self) -> Money:
        """What is debited."""


class Book(Protocol):
    """Where a change is written down: events for the merchant, decisions for everybody who asks why."""

    now: datetime

    @property
    def agreement(self) -> AgreementRecord:
        """The agreement that is being changed."""

    def event(self, type_: str, charge: Any = None, **details: Any) -> None:
        """Announces a fact."""

    def decide(self, decision: Decision, charge: Any, attempt: Any) -> None:
        """Keeps a decision with its inputs."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a charge is to be paid with: the life of the token in use."""

    token_expires_at: datetime | None
    refresh_at: datetime | None


class Clearance(StrEnum):
    """Whether a charge that is due may be tried."""

    GO = "go"
    LATER = "later"
    """Not now; the charge says when, or waits for somebody."""
    LATE = "late"
    """Past the catch-up limit without ever having been tried: the terms say what becomes of it."""
    REFUSED = "refused"


class Aftermath(StrEnum):
    """What else a decision does to the agreement."""

    NOTHING = "nothing"
    REVOKE = "revoke"
    PAUSE = "pause"
    CARRY = "carry"
    """The amount goes to the next cycle, if the terms allow."""


# Before an attempt


def clear(
    book: Book,
    charge: ChargeRecord,
    *,
    plan: Plan,
    means: Means,
    last_success: datetime | None,
    debit_from: datetime | None,
    policy: RetryPolicy,
    rulebook_version: str,
    made: int = 0,
) -> Clearance:
    """Whether an attempt of a due charge may be made now; where not, the charge says what became of it.

    `made` counts the other charges on demand that `total_cycles` counts, for a charge that is itself on demand.
    `debit_from` is the earliest instant the rules on notices allow, None while the proof they ask for is missing.
    """
    untried = charge.attempts_made == 0 and not charge.catch_up
    if untried and enforcement.too_late(plan.terms, charge.due_at, book.now):
        return Clearance.LATE
    if charge.amount is None or debit_from is None:
        # An amount nobody has set, a notice nobody has proven: waited for until the cycle is too late to collect.
        late_at = charge.due_at + schedule.catch_up_limit(plan.terms) + timedelta(seconds=1)
        charge.next_attempt_at = None if charge.catch_up else late_at
        return Clearance.LATER
    if debit_from > book.now:
        charge.next_attempt_at = debit_from
        return Clearance.LATER
    if book.agreement.action_required:
        wait_for_customer(book, charge, book.agreement.action_required, policy)
        return Clearance.LATER
    if reason := _refusal(book, plan, charge, charge.money, made):
        refuse(book, charge, reason, rulebook_version)
        return Clearance.REFUSED
    if not credentials.usable(means.token_expires_at, book.now):
        # An expired token is not sent: the charge waits for the refresh under way, else for the customer.
        charge.next_attempt_at = means.refresh_at
        if means.refresh_at is None:
            book.agreement.action_required = "token_expired"
            wait_for_customer(book, charge, "token_expired", policy)
        return Clearance.LATER
    if charge.catch_up or charge.cycle is None:
        charge.next_attempt_at = enforcement.catch_up_at(plan.terms, last_success, book.now)
    due = charge.next_attempt_at is not None and charge.next_attempt_at <= book.now
    return Clearance.GO if due else Clearance.LATER


def may_send(
    book: Book,
    charge: ChargeRecord,
    attempt: AttemptRecord,
    *,
    plan: Plan,
    spent: Sequence[Spent],
    limits: QueryLimits,
    rulebook_version: str,
    made: int = 0,
) -> Clearance:
    """The gate: with stop, terms, caps and budgets as they are now (design promise 4). `made` as for `clear`.

    It is passed before the first call and before every repeat. A repeat that may not be sent leaves the attempt as it
    is: somebody else may have ended it, and what was sent before is still to be found out.
    """
    unsent = attempt.status is AttemptStatus.PREPARED
    if book.agreement.stop is not Stop.NONE or book.agreement.ended or charge.paid_at is not None:
        return Clearance.LATER
    if not (unsent or attempt.status.open):
        return Clearance.LATER
    reason = _refusal(book, plan, charge, attempt.money, made)
    if reason is None and not unsent:
        return Clearance.GO
    if reason is not None:
        if unsent:
            attempt.status, attempt.finished_at = AttemptStatus.CANCELED, book.now
            refuse(book, charge, reason, rulebook_version)
        return Clearance.REFUSED
    if full := used_up(spent):
        return _postpone(book, charge, attempt, plan, full, rulebook_version)
    attempt.status = AttemptStatus.SENT
    attempt.sent_at = book.now
    attempt.next_look_at = book.now + limits.first_after
    charge.attempts_made = attempt.number
    charge.status = ChargeStatus.PROCESSING
    charge.next_attempt_at = None
    return Clearance.GO


def _refusal(book: Book, plan: Plan, charge: ChargeRecord, money: Money, made: int) -> str | None:
    number = made + 1 if charge.cycle is None else charge.cycle
    return enforcement.refusal(plan.terms, money, number, book.now, book.agreement.currency)


def refuse(book: Book, charge: ChargeRecord, reason: str, rulebook_version: str) -> None:
    """The debit would break the terms: the charge fails without a call to the provider."""
    decline = Decline(category=DeclineCategory.TERMS, code=reason)
    decision = Decision(
        action=Action.GIVE_UP,
        rule=f"terms_{reason}",
        rulebook_version=rulebook_version,
        budget_left=0,
        inputs={"amount": str(charge.money), "cycle": charge.cycle},
    )
    book.decide(decision, charge, None)
    charge.status = ChargeStatus.FAILED
    charge.next_attempt_at = None
    book.event("charge.failed", charge, decline=decline.model_dump(mode="json"))


def _postpone(
    book: Book, charge: ChargeRecord, attempt: AttemptRecord, plan: Plan, full: Spent, rulebook_version: str
) -> Clearance:
    """The scheme's budget of this card is spent, maybe by another agreement: the attempt waits until some is free.

    A retry does not wait into the next cycle: it is given up.
    """
    at = max(full.frees_at, book.now + timedelta(seconds=1))
    retry = charge.cycle is not None and charge.attempts_made > 0
    over = retry and at >= schedule.due_at(plan, (charge.cycle or 0) + 1)
    decision = Decision(
        action=Action.GIVE_UP if over else Action.RETRY,
        at=None if over else at,
        rule=full.budget.id,
        rulebook_version=rulebook_version,
        budget_left=0,
        inputs={"attempt": attempt.number, f"spent_{full.budget.id}": full.used},
    )
    book.decide(decision, charge, attempt)
    charge.next_attempt_at = decision.at
    if over:
        attempt.status, attempt.finished_at = AttemptStatus.CANCELED, book.now
        charge.status = ChargeStatus.FAILED
    event = "charge.failed" if over else "charge.retry_scheduled"
    book.event(event, charge, decision=decision.model_dump(mode="json"))
    return Clearance.REFUSED if over else Clearance.LATER


def wait_for_customer(book: Book, charge: ChargeRecord, reason: str, policy: RetryPolicy) -> None:
    """Nothing can be collected before somebody acted; after the policy's days it is given up."""
    charge.status = ChargeStatus.ACTION_REQUIRED
    charge.next_attempt_at = None
    charge.act_by = book.now + timedelta(days=policy.customer_days)
    book.event("charge.action_required", charge, reason=reason)


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
    return ChargeAnswer(Verdict.DECLINED, decline=UNFINISHED, evidence="never_received") if sure else answer


# After an answer


def record(
    book: Book,
    charge: ChargeRecord,
    attempt: AttemptRecord,
    answer: ChargeAnswer,
    *,
    others: Iterable[AttemptRecord],
    limits: QueryLimits,
    rulebook_version: str,
) -> Finding:
    """Writes down what is now known of an attempt; what follows a failure is `follow`'s. A repeat changes nothing."""
    answer = _trusted(attempt, answer)
    others = list(others)
    finding = judge(
        attempt.status,
        answer.verdict,
        paid_by_another=any(other.status is AttemptStatus.SUCCEEDED for other in others),
        revoked=book.agreement.stop is Stop.REVOKED or charge.canceled_at is not None,
    )
    attempt.payment_id = answer.payment_id or attempt.payment_id
    if finding is Finding.NOTHING:
        return finding
    attempt.evidence = answer.evidence or attempt.evidence
    if finding is Finding.LOOK_AGAIN:
        _look_again(book, charge, attempt, answer.verdict, limits, rulebook_version)
        return finding
    attempt.next_look_at = None
    attempt.finished_at = book.now
    if finding is Finding.COLLECT:
        _collected(book, charge, attempt, others)
    elif finding is Finding.REVERSE:
        _reversed(book, charge, attempt)
    else:
        attempt.status = AttemptStatus.FAILED if finding is Finding.FAIL else AttemptStatus.CANCELED
        attempt.decline = (answer.decline or UNFINISHED).model_dump(mode="json")
    return finding


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


def _trusted(attempt: AttemptRecord, answer: ChargeAnswer) -> ChargeAnswer:
    """A success over another amount is not the success of this attempt: nothing is known until somebody looks."""
    if answer.verdict is Verdict.SUCCEEDED and answer.amount is not None and answer.amount != attempt.money:
        return ChargeAnswer(Verdict.UNKNOWN, payment_id=answer.payment_id, evidence="amount_mismatch")
    return answer


def _look_again(
    book: Book,
    charge: ChargeRecord,
    attempt: AttemptRecord,
    verdict: Verdict,
    limits: QueryLimits,
    rulebook_version: str,
) -> None:
    processing = verdict is Verdict.PROCESSING
    with_operator = attempt.status is not AttemptStatus.PREPARED and attempt.next_look_at is None
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
    """The cycle is paid already, or the agreement was revoked: the money goes back (design promises 1 and 4)."""
    attempt.status = AttemptStatus.REVERSED
    if charge.paid_at is None:
        charge.status = ChargeStatus.REVERSED
        charge.next_attempt_at = None
    book.event("charge.reversed", charge)
