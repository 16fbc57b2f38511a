"""The rows of an agreement's cycles: the coming one always stands in the ledger as `scheduled`.

Rows have no gaps. Some more are written ahead where a merchant sets the amount of a later cycle or skips it; the last
one written is never skipped, so that whoever comes to it writes the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, func
from sqlmodel import col, select

from agreements import enforcement, gate, schedule
from agreements.attempts import UNFINISHED
from agreements.money import Money
from agreements.status import AttemptStatus, ChargePurpose, ChargeStatus
from agreements.terms import CatchUpThen
from store import ids, notices, statements
from store.changes import Change
from store.tables import Attempt, Charge

_WAITING = (
    ChargeStatus.SCHEDULED,
    ChargeStatus.RETRYING,
    ChargeStatus.PROCESSING,
    ChargeStatus.UNKNOWN,
    ChargeStatus.ACTION_REQUIRED,
)

_LAST_WRITTEN = select(func.max(Charge.cycle)).where(Charge.agreement_id == bindparam("agreement"))


async def last_written(change: Change) -> int:
    """The highest cycle that has a row, 0 before the first."""
    return (await change.session.exec(_LAST_WRITTEN, params={"agreement": change.agreement.id})).one() or 0


async def write_next(change: Change, cycle: int) -> Charge | None:
    """Writes cycle `cycle` as scheduled, or answers None when the terms allow no further one."""
    terms = change.terms
    last = schedule.last_cycle(change.plan)
    if not schedule.has_schedule(terms) or (last is not None and cycle > last):
        return None
    due_at = schedule.due_at(change.plan, cycle)
    charge = Charge(
        id=ids.new("chg"),
        agreement_id=change.agreement.id,
        merchant_id=change.agreement.merchant_id,
        livemode=change.agreement.livemode,
        cycle=cycle,
        purpose=ChargePurpose.CYCLE,
        status=ChargeStatus.SCHEDULED,
        currency=terms.amount.currency if terms.amount else None,
        amount=terms.amount.value if terms.amount else None,
        due_at=due_at,
        next_attempt_at=due_at,
        created_at=change.now,
    )
    change.session.add(charge)
    await notices.arrange(change, charge)
    return charge


async def find(change: Change, cycle: int) -> Charge | None:
    """A cycle's row."""
    query = select(Charge).where(Charge.agreement_id == change.agreement.id, Charge.cycle == cycle)
    return (await change.session.exec(query)).first()


async def write_up_to(change: Change, cycle: int) -> Charge | None:
    """The row of a cycle, written with all before it where it is not there yet; None when the terms allow none."""
    for missing in range(await last_written(change) + 1, cycle + 1):
        if await write_next(change, missing) is None:
            return None
    await change.session.flush()
    return await find(change, cycle)


async def write_missed(change: Change) -> list[Charge]:
    """Writes every cycle up to the first one still to come; answers the overdue scheduled ones, oldest first."""
    cycle = await last_written(change)
    last = await find(change, cycle)
    # One that was tried already was paid by the customer as they agreed.
    while last is None or last.due_at <= change.now or last.attempts_made:
        cycle += 1
        last = await write_next(change, cycle)
        if last is None:
            break
    await change.session.flush()
    query = select(Charge).where(
        Charge.agreement_id == change.agreement.id,
        Charge.status == ChargeStatus.SCHEDULED,
        Charge.due_at <= change.now,
    )
    return list(await change.session.exec(query.order_by(col(Charge.cycle))))


async def missed_retries(change: Change) -> list[Charge]:
    """Declined cycles whose next attempt fell due in vain, and whose successor is due as well: retries never run into
    the next cycle (agreements/retries.py), so these are missed like cycles that were never tried. Oldest first.
    """
    query = select(Charge).where(
        Charge.agreement_id == change.agreement.id,
        Charge.status == ChargeStatus.RETRYING,
        col(Charge.cycle).is_not(None),
        col(Charge.next_attempt_at) <= change.now,
    )
    late = await change.session.exec(query.order_by(col(Charge.cycle)))
    return [charge for charge in late if schedule.due_at(change.plan, (charge.cycle or 0) + 1) <= change.now]


async def drop_prepared(change: Change, charge: Charge) -> None:
    """Cancels an attempt that was never sent and never will be."""
    prepared = select(Attempt).where(Attempt.charge_id == charge.id, Attempt.status == AttemptStatus.PREPARED)
    for attempt in await change.session.exec(prepared):
        attempt.status = AttemptStatus.CANCELED
        attempt.finished_at = change.now


async def set_amount(change: Change, charge: Charge, amount: Money | None) -> None:
    """What is to be collected for a charge that was never sent. The first amount fixes the agreement's currency.

    An attempt already prepared, by a worker whose clock is ahead of ours, debits the new amount: the gate reads it
    under the lock held here.
    """
    charge.currency, charge.amount = (amount.currency, amount.value) if amount else (None, None)
    if charge.cycle is not None:
        await notices.arrange(change, charge)
    if amount is None:
        return
    change.agreement.currency = change.agreement.currency or amount.currency
    prepared = select(Attempt).where(Attempt.charge_id == charge.id, Attempt.status == AttemptStatus.PREPARED)
    for attempt in await change.session.exec(prepared):
        attempt.currency, attempt.amount = amount.currency, amount.value
        attempt.payment_id = None  # what the provider opened was over another amount


def cancel(change: Change, charge: Charge) -> None:
    """Nothing will be collected for it, and nobody owes it any more."""
    charge.status = ChargeStatus.CANCELED
    charge.next_attempt_at = None
    change.event("charge.canceled", charge)


async def skip(change: Change, charge: Charge, reason: str) -> None:
    """Lets a cycle pass uncollected, and says why; a charge on demand is canceled."""
    await drop_prepared(change, charge)
    charge.status = ChargeStatus.CANCELED if charge.cycle is None else ChargeStatus.SKIPPED
    charge.next_attempt_at = None
    charge.act_by = None
    change.event("charge.canceled" if charge.cycle is None else "cycle.skipped", charge, reason=reason)


async def missed(change: Change, charge: Charge) -> None:
    """What the terms say of a cycle that was never tried and is too late to be collected by itself."""
    then = change.terms.catch_up.then
    if then is CatchUpThen.ASK:
        await drop_prepared(change, charge)
        gate.wait_for_customer(change, charge, "past_catch_up_limit", change.policy)
    elif then is CatchUpThen.SKIP or not await carry(change, charge):
        await skip(change, charge, "past the catch-up limit")


async def overdue(change: Change) -> Sequence[Charge]:
    """What is owed and not in flight, oldest first. Who failed with a card is tried with its successor; what was
    written off was canceled, carried or skipped.
    """
    return await statements.owed(change.session, change.agreement, change.now)


async def carry(change: Change, charge: Charge) -> bool:
    """Adds an uncollected amount to the next cycle, where the terms allow that much in one cycle; whether they did."""
    query = select(Charge).where(
        Charge.agreement_id == change.agreement.id,
        Charge.cycle == (charge.cycle or 0) + 1,
        Charge.status == ChargeStatus.SCHEDULED,
        Charge.attempts_made == 0,
    )
    following = (await change.session.exec(query)).first()
    if charge.cycle is None or charge.amount is None:
        return False
    if following is None or not enforcement.may_carry(change.terms, charge.money, following.amount):
        return False
    following.amount = charge.money.value + following.money.value
    charge.carried_to = following.cycle
    await skip(change, charge, f"carried to cycle {following.cycle}")
    return True


async def all_finished(change: Change) -> bool:
    """Whether every cycle the terms allow was written, or every debit on demand made, and none is open any more."""
    scheduled = schedule.has_schedule(change.terms)
    last = schedule.last_cycle(change.plan) if scheduled else change.terms.total_cycles
    if last is None or (await last_written(change) if scheduled else await made_on_demand(change)) < last:
        return False
    query = select(Charge.id).where(Charge.agreement_id == change.agreement.id, col(Charge.status).in_(_WAITING))
    return (await change.session.exec(query.limit(1))).first() is None


async def open_charges(change: Change) -> list[Charge]:
    """Charges that may still be collected."""
    query = select(Charge).where(Charge.agreement_id == change.agreement.id, col(Charge.status).in_(_WAITING))
    return list(await change.session.exec(query.order_by(Charge.id)))


def in_words(charge: Charge) -> str:
    """What a charge is for, as customers and operators read it."""
    if charge.purpose is ChargePurpose.VERIFICATION:
        return "verification, given back at once"
    return charge.description or "on demand" if charge.cycle is None else f"cycle {charge.cycle}"


async def in_flight(change: Change, charge: Charge) -> bool:
    """Whether money may be moving for a charge."""
    query = select(Attempt.id).where(Attempt.charge_id == charge.id, col(Attempt.status).in_(UNFINISHED))
    return (await change.session.exec(query.limit(1))).first() is not None


def described(change: Change, charge: Charge) -> str:
    """The same with the seller's name, as the provider shows it to the customer."""
    seller = change.terms.seller
    return f"{seller.name if seller else change.agreement.reference}, {in_words(charge)}"


async def made_on_demand(change: Change, apart_from: Charge | None = None) -> int:
    """How many charges on demand `total_cycles` counts: all but those that failed, were canceled or sent back.

    Without what is asked for a cycle or a verification: 0 apart from a charge that is not on demand itself.
    """
    if apart_from is not None and apart_from.purpose is not ChargePurpose.ON_DEMAND:
        return 0
    query = select(func.count(col(Charge.id))).where(
        Charge.agreement_id == change.agreement.id,
        Charge.purpose == ChargePurpose.ON_DEMAND,
        col(Charge.status).not_in((ChargeStatus.FAILED, ChargeStatus.CANCELED, ChargeStatus.REVERSED)),
    )
    if apart_from is not None:
        query = query.where(Charge.id != apart_from.id)
    return (await change.session.exec(query)).one()


async def last_success_at(change: Change) -> datetime | None:
    """When money was last collected, for the minimum gap of catch-up debits."""
    query = select(func.max(Charge.paid_at)).where(Charge.agreement_id == change.agreement.id)
    return (await change.session.exec(query)).one()
