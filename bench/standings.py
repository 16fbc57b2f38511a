"""The standing of a simulated agreement: only what is still open, however many cycles lie behind it."""

from __future__ import annotations

from datetime import datetime

from agreements.standing import Deadline, DueCharge, Standing, UnfinishedAttempt, UnfinishedReversal
from agreements.status import AgreementStatus, ChargeStatus
from bench.records import Agreement, Charge


def read(agreement: Agreement, now: datetime) -> Standing:
    """What store/standings.py reads from the rows."""
    ended, contract = agreement.ended is not None, agreement.contract
    charges = sorted(agreement.open.values(), key=lambda charge: charge.due_at)
    return Standing(
        agreement=contract.identity,
        version=agreement.version,
        as_of=now,
        status=agreement.ended or AgreementStatus.ACTIVE,
        stop=agreement.stop,
        closed=ended and not agreement.open,
        refresh_at=None if ended else agreement.credential.refresh_at,
        charges=()
        if ended
        else tuple(_due(charge, contract.amount_text) for charge in charges if charge.next_attempt_at),
        unfinished=tuple(
            UnfinishedAttempt(
                attempt_id=attempt.request_id, cycle=charge.cycle, attempt=attempt.number, at=attempt.next_look_at
            )
            for charge in charges
            for attempt in charge.attempts.values()
            if attempt.next_look_at is not None
        ),
        deadlines=()
        if ended
        else tuple(
            Deadline(charge_id=charge.id, cycle=charge.cycle, at=charge.act_by)
            for charge in charges
            if charge.status is ChargeStatus.ACTION_REQUIRED and charge.act_by is not None
        ),
        reversals=tuple(
            UnfinishedReversal(refund_id=each.request_id, amount=contract.amount_text, at=each.next_try_at)
            for each in agreement.reversals
            if each.next_try_at is not None
        ),
    )


def _due(charge: Charge, amount: str) -> DueCharge:
    last = charge.attempts.get(charge.attempts_made)
    decision = last.decision if last else None
    return DueCharge(
        charge_id=charge.id,
        cycle=charge.cycle,
        attempt=charge.attempts_made + 1,
        amount=amount,
        at=charge.next_attempt_at or charge.due_at,
        rule=decision["rule"] if decision else "",
    )
