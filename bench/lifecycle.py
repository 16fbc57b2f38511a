"""A change of a simulated agreement, how it halts and ends: store/changes.py and store/lifecycle.py on plain rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from agreements import schedule
from agreements.retries import Decision
from agreements.status import AgreementStatus, AttemptStatus, ChargeStatus, Stop
from bench.records import Agreement, Attempt


class Change:
    """One transaction on one agreement: `records.Book`."""

    __slots__ = ("agreement", "dead", "decisions", "declined", "now", "sent", "settled")

    def __init__(self, agreement: Agreement, now: datetime) -> None:
        self.agreement = agreement
        self.now = now
        self.decisions: list[str] = []
        self.sent: list[Attempt] = []
        self.settled: list[Attempt] = []
        self.declined: list[Attempt] = []
        self.dead: list[tuple[Attempt, str]] = []

    def event(self, type_: str, charge: Any = None, **details: Any) -> None:
        """Merchants are not simulated; why a charge ended is kept for the audit."""
        if charge is not None and type_ in ("charge.failed", "cycle.skipped", "charge.canceled"):
            said = details.get("decision") or details.get("decline") or {}
            charge.why = said.get("rule") or said.get("code") or details.get("reason", type_)

    def decide(self, decision: Decision, charge: Any, attempt: Any) -> None:
        """Counted when it commits."""
        self.decisions.append(decision.rule)


def write_next(agreement: Agreement) -> None:
    """Writes the cycle after the last one written, if the terms allow one."""
    cycle = agreement.last_written + 1
    if cycle <= agreement.contract.last_cycle:
        agreement.write(cycle, schedule.due_at(agreement.contract.plan, cycle))


def revoke(change: Change) -> None:
    """Ends the agreement at once, as store/lifecycle.py does: what is in flight is looked at now, the rest canceled."""
    agreement = change.agreement
    if agreement.ended:
        return
    agreement.stop, agreement.ended, agreement.ended_at = Stop.REVOKED, AgreementStatus.REVOKED, change.now
    agreement.action_required = None
    for charge in agreement.open.values():
        in_flight = False
        for attempt in charge.attempts.values():
            if attempt.status is AttemptStatus.PREPARED:
                attempt.status, attempt.finished_at = AttemptStatus.CANCELED, change.now
            elif attempt.status.open:
                attempt.next_look_at, in_flight = change.now, True
        if not in_flight and not charge.over:
            charge.status, charge.next_attempt_at, charge.why = ChargeStatus.CANCELED, None, "revoked"


def change_card(change: Change, account: str) -> None:
    """The customer gave another card: what waits for it is collected, the oldest first (design promise 5)."""
    agreement = change.agreement
    if agreement.ended:
        return
    agreement.credential.account, agreement.credential.generation = account, 1
    agreement.action_required = None
    for charge in agreement.open.values():
        if charge.status is ChargeStatus.ACTION_REQUIRED:
            charge.status, charge.act_by = ChargeStatus.RETRYING, None
            charge.catch_up, charge.next_attempt_at = True, change.now


def pause(change: Change) -> None:
    """The merchant halts it for a while, as store/lifecycle.py does."""
    if not change.agreement.ended:
        change.agreement.stop = Stop.PAUSED


def resume(change: Change) -> None:
    """The pause is over, and what was missed is collected, as store/lifecycle.py does."""
    agreement, now = change.agreement, change.now
    if agreement.stop is not Stop.PAUSED or agreement.ended:
        return
    agreement.stop = Stop.NONE
    plan = agreement.contract.plan
    while agreement.last_written < agreement.contract.last_cycle:
        if schedule.due_at(plan, agreement.last_written) > now:
            break
        write_next(agreement)
    for charge in agreement.open.values():
        due = charge.next_attempt_at is not None and charge.next_attempt_at <= now
        overtaken = schedule.due_at(plan, (charge.cycle or 0) + 1) <= now
        if due and (charge.status is ChargeStatus.SCHEDULED or (charge.status is ChargeStatus.RETRYING and overtaken)):
            charge.catch_up, charge.next_attempt_at = True, now
