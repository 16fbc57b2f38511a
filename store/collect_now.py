"""Collecting an overdue charge now, because its merchant asks for it. What schemes and the provider forbid stays
forbidden; only our own waits and ends are set aside. Budgets are the gate's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import select

from agreements import enforcement, retries, rulebook, schedule
from agreements.attempts import UNFINISHED
from agreements.declines import Decline
from agreements.notices import debit_from
from agreements.retries import Action, Case, Decision, Hurdle
from agreements.status import AttemptStatus, ChargeStatus
from store import attempts, cycles, notices, on_demand
from store.changes import Change
from store.lifecycle import Conflict
from store.refusals import Refused
from store.tables import Attempt, Charge, Credential

RULE = "merchant_asked"

_OVERDUE = (ChargeStatus.SCHEDULED, ChargeStatus.RETRYING, ChargeStatus.FAILED, ChargeStatus.ACTION_REQUIRED)


async def by_cycle(change: Change, number: int) -> Charge:
    """Collects a cycle now. Raises Refused for one that does not exist, and Conflict."""
    charge = await cycles.find(change, number)
    if charge is None:
        last = schedule.last_cycle(change.plan)
        if not schedule.has_schedule(change.terms) or (last is not None and number > last):
            raise Refused("/cycle", "there is no such cycle")
        on_demand.check_running(change)
        raise Conflict(f"cycle {number} is not due yet")
    return await _collect(change, charge)


async def by_charge(change: Change, charge_id: str) -> Charge:
    """Collects a charge now. Raises Refused for one that is not the agreement's, and Conflict."""
    query = select(Charge).where(Charge.id == charge_id, Charge.agreement_id == change.agreement.id)
    charge = (await change.session.exec(query)).first()
    if charge is None:
        raise Refused("/charge", "the agreement has no such charge")
    return await _collect(change, charge)


async def _collect(change: Change, charge: Charge) -> Charge:
    on_demand.check_running(change)
    tries = await attempts.of(change.session, charge.id)
    if any(attempt.status in UNFINISHED for attempt in tries):
        raise Conflict("an attempt is in flight: what became of it is being found out")
    _check_overdue(change, charge)
    made = await cycles.made_on_demand(change, apart_from=charge)
    on_demand.check_terms(change, charge.money, made + 1 if charge.cycle is None else charge.cycle)
    await _check_schemes(change, tries)
    await _check_notice(change, charge)
    on_demand.check_credential(change)
    await _check_gap(change, charge)
    for attempt in tries:
        if attempt.number > charge.attempts_made and attempt.sent_at is None:
            # Never sent, and canceled when the charge was given up: the number is free for the attempt asked for now.
            attempt.status, attempt.finished_at = AttemptStatus.PREPARED, None
    _try_now(change, charge)
    return charge


def _check_overdue(change: Change, charge: Charge) -> None:
    if charge.status not in _OVERDUE:
        raise Conflict(f"a charge that is {charge.status} cannot be collected")
    if charge.due_at > change.now:
        raise Conflict(f"the charge is not due before {charge.due_at.isoformat()}")
    if charge.amount is None:
        raise Conflict("its amount has not been set yet")


async def _check_schemes(change: Change, tries: Sequence[Attempt]) -> None:
    """Raises Conflict with the rule that forbids another attempt, or wants it later."""
    declined = [attempt for attempt in tries if attempt.decline is not None and attempt.finished_at is not None]
    if not declined or declined[-1].credential_id != change.agreement.credential_id:
        return
    last = declined[-1]
    credential = await change.session.get_one(Credential, last.credential_id)
    declined_at = last.finished_at or change.now
    case = Case(
        plan=change.plan,
        gateway=change.agreement.gateway,
        decline=Decline.model_validate(last.decline),
        attempt=last.number,
        earlier=[Decline.model_validate(attempt.decline) for attempt in declined[:-1]],
        window_start=declined_at,
        next_due_at=None,
        refreshable=credential.sealed_refresh_token is not None,
        network=credential.network,
        spent=(),
        region=None,
    )
    renewed = credential.issued_at > declined_at
    if found := retries.hurdle(case, rulebook.current(), declined_at, change.now, renewed=renewed):
        raise Conflict(_forbidden(found))


async def _check_notice(change: Change, charge: Charge) -> None:
    """Raises Conflict where a first attempt would come before the payer was told, as a rail or the merchant demands."""
    if charge.cycle is None or charge.attempts_made:
        return
    notice = await notices.of(change, charge)
    earliest = debit_from(notice, charge.notice_proven_at, charge.due_at)
    rules = ", ".join(notice.rules) if notice else ""
    if earliest is None:
        raise Conflict(f"the payer must be told first ({rules})")
    if earliest > change.now:
        raise Conflict(f"not before {earliest.isoformat()} ({rules})")


def _forbidden(hurdle: Hurdle) -> str:
    if hurdle.until is not None:
        return f"not before {hurdle.until.isoformat()} ({hurdle.rule})"
    return f"never with this credential ({hurdle.rule})"


async def _check_gap(change: Change, charge: Charge) -> None:
    """A cycle whose successor is due is caught up on, and a catch-up keeps the minimum gap; so does what is on demand.

    One that was never tried and is late is caught up on as well, or the catch-up limit would end it again.
    """
    if charge.cycle is None:
        await on_demand.check_gap(change, apart_from=charge)
        return
    last = schedule.last_cycle(change.plan)
    over = (last is None or charge.cycle < last) and schedule.due_at(change.plan, charge.cycle + 1) <= change.now
    late = charge.attempts_made == 0 and enforcement.too_late(change.terms, charge.due_at, change.now)
    charge.catch_up = charge.catch_up or over or late
    if charge.catch_up:
        await on_demand.check_gap(change, apart_from=charge)


def _try_now(change: Change, charge: Charge) -> None:
    at: datetime = schedule.allowed(change.plan, change.now)[0]
    decision = Decision(
        action=Action.RETRY,
        at=at,
        rule=RULE,
        rulebook_version=rulebook.current().version,
        budget_left=max(change.policy.max_attempts - charge.attempts_made, 0),
        inputs={"status": charge.status.value, "attempts_made": charge.attempts_made},
    )
    change.decide(decision, charge, None)
    charge.status = ChargeStatus.RETRYING if charge.attempts_made else ChargeStatus.SCHEDULED
    charge.next_attempt_at = at
    charge.act_by = None
    change.event("charge.retry_scheduled", charge, decision=decision.model_dump(mode="json"))
