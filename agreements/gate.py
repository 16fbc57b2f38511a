"""Before an attempt: whether a charge that is due may be tried, and the gate every debit passes (design promises 3, 4).

No I/O and no clock: the records are the store's rows or the simulation's, and what needs a search is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from agreements import credentials, enforcement, schedule
from agreements.budgets import Spent, used_up
from agreements.declines import Decline, DeclineCategory
from agreements.guarantees import QueryLimits
from agreements.money import Money
from agreements.policies import RetryPolicy
from agreements.records import AttemptRecord, Book, ChargeRecord
from agreements.retries import Action, Decision
from agreements.schedule import Plan
from agreements.status import AttemptStatus, ChargeStatus, Stop


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


def clear(
    book: Book,
    charge: ChargeRecord,
    *,
    plan: Plan,
    means: Means,
    last_success: datetime | None,
    debit_from: datetime | None,
    dead_card: str | None,
    policy: RetryPolicy,
    rulebook_version: str,
    made: int = 0,
) -> Clearance:
    """Whether an attempt of a due charge may be made now; where not, the charge says what became of it.

    `made` counts the other charges on demand that `total_cycles` counts, for a charge that is itself on demand.
    `debit_from` is the earliest instant the rules on notices allow, None while the proof they ask for is missing.
    `dead_card` is why the card may never be tried again, as another agreement of the merchant has learned.
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
    book.agreement.action_required = book.agreement.action_required or dead_card
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
    if keeps_the_gap(charge):
        wanted = enforcement.catch_up_at(plan.terms, last_success, book.now)
        charge.next_attempt_at, _ = schedule.allowed(plan, wanted)
    due = charge.next_attempt_at is not None and charge.next_attempt_at <= book.now
    return Clearance.GO if due else Clearance.LATER


def keeps_the_gap(charge: ChargeRecord) -> bool:
    """Whether it comes no sooner after the last success than the terms' minimum gap (design promise 3)."""
    return charge.catch_up or charge.cycle is None


def may_send(
    book: Book,
    charge: ChargeRecord,
    attempt: AttemptRecord,
    *,
    plan: Plan,
    spent: Sequence[Spent],
    dead_card: str | None,
    policy: RetryPolicy,
    limits: QueryLimits,
    rulebook_version: str,
    made: int = 0,
    held: bool = False,
) -> Clearance:
    """The gate: with stop, terms, caps and budgets as they are now (design promise 4). Parameters as for `clear`.

    `held`: a stop switch is in force for the provider or the merchant.

    It is passed before the first call and before every repeat. A repeat that may not be sent leaves the attempt as it
    is: somebody else may have ended it, and what was sent before is still to be found out.
    """
    unsent = attempt.status is AttemptStatus.PREPARED
    if held or book.agreement.stop is not Stop.NONE or book.agreement.ended or charge.paid_at is not None:
        return Clearance.LATER
    if not (unsent or attempt.status.open):
        return Clearance.LATER
    reason = _refusal(book, plan, charge, attempt.money, made)
    if reason is None and not unsent:
        # Meanwhile another attempt may have learned that the card is dead: what never arrived is not sent after all.
        return Clearance.LATER if dead_card or book.agreement.action_required else Clearance.GO
    if reason is not None:
        if unsent:
            attempt.status, attempt.finished_at = AttemptStatus.CANCELED, book.now
            refuse(book, charge, reason, rulebook_version)
        return Clearance.REFUSED
    if dead_card:
        # The attempt stays prepared: it goes out with the card that replaces this one.
        book.agreement.action_required = dead_card
        wait_for_customer(book, charge, dead_card, policy)
        return Clearance.LATER
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
