"""The notices of coming debits: when each is to be announced, that it was, and the proof that the payer knows."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import select

from agreements import notices, rulebook, schedule
from agreements.notices import Notice, Wish
from agreements.status import ChargeStatus
from store.changes import Change
from store.tables import Charge, Credential


async def of(change: Change, charge: Charge) -> Notice | None:
    """The notice a charge calls for, by the rulebook's word of the day and the merchant's wish."""
    agreement = change.agreement
    wish = Wish.model_validate(agreement.notice) if agreement.notice else None
    on = schedule.today(change.terms.timezone, change.now)
    book = rulebook.current()
    credential = await change.session.get(Credential, agreement.credential_id) if agreement.credential_id else None
    duties = book.notices(
        credential.network if credential else None,
        book.rail(agreement.gateway, agreement.payment_method, on),
        schedule.shortest_period(change.terms),
        on,
    )
    return notices.plan(
        charge.due_at,
        wish,
        duties,
        amount_changed=any(duty.when == "change" for duty in duties) and await _amount_changed(change, charge),
        amount_missing=charge.amount is None,
    )


async def arrange(change: Change, charge: Charge) -> None:
    """Plans the notice of a charge that was just written, or whose amount was just changed: then it starts anew.

    The first debit needs none where the customer agreed to it within the notice's time, a late one none where nobody
    asks for proof.
    """
    charge.noticed_at = None
    charge.notice_proven_at = None
    charge.notice_at = None
    notice = await of(change, charge)
    if notice is None or (charge.cycle == 1 and notice.at <= change.now):
        return
    if charge.due_at > change.now or notice.proof:
        charge.notice_at = max(notice.at, change.now)


async def debit_from(change: Change, charge: Charge) -> datetime | None:
    """From when on the first attempt may be made; None while proof is missing. A retry needs no notice of its own."""
    asked_for = charge.notice_at is not None or charge.noticed_at is not None
    if charge.attempts_made or not asked_for:
        return change.now
    return notices.debit_from(await of(change, charge), charge.notice_proven_at, charge.due_at)


async def announce(change: Change, charge: Charge) -> None:
    """Tells the merchant, who tells the payer. Once per charge and amount."""
    due = charge.notice_at is not None and charge.notice_at <= change.now
    charge.notice_at = None if due else charge.notice_at
    notice = await of(change, charge) if due and charge.status is ChargeStatus.SCHEDULED else None
    if notice is not None:
        charge.noticed_at = change.now
        change.event("cycle.upcoming", charge, rules=list(notice.rules), proof_needed=notice.proof)


async def prove(change: Change, charge: Charge, told_at: datetime) -> None:
    """The payer was told at `told_at`: the debit may follow when the rule's time is over."""
    charge.notice_proven_at = told_at
    earliest = notices.debit_from(await of(change, charge), told_at, charge.due_at)
    if earliest is not None and charge.attempts_made == 0:
        charge.next_attempt_at = max(earliest, change.now)


async def _amount_changed(change: Change, charge: Charge) -> bool:
    query = select(Charge.amount).where(
        Charge.agreement_id == charge.agreement_id, Charge.cycle == (charge.cycle or 0) - 1
    )
    before = (await change.session.exec(query)).first()
    return before is not None and charge.amount is not None and before != charge.amount
