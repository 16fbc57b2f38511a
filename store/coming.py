"""One coming cycle, as its merchant wants it: with an amount of its own, or skipped."""

from __future__ import annotations

from datetime import datetime

from agreements import amounts, catalog, schedule
from agreements.amendments import TABLE, Needed
from agreements.money import Money
from agreements.status import ChargeStatus
from agreements.terms import AmountVariability
from store import cycles, lifecycle, notices
from store.changes import Change
from store.lifecycle import Conflict
from store.refusals import NeedsNewAuthorization, NoSuchCycle, Refused
from store.tables import Charge

AHEAD = 24
"""How many coming cycles can be set; rows are written up to the one that is."""

_UNTRIED = (ChargeStatus.SCHEDULED, ChargeStatus.ACTION_REQUIRED)


async def set_amount(change: Change, number: int, amount: Money) -> Charge:
    """Collects this much in a cycle, amounts carried into it included. A repeat changes nothing.

    A cycle that waits for its amount after its due instant is collected at once. Raises NoSuchCycle,
    NeedsNewAuthorization where the terms fix the amount, Refused, Conflict.
    """
    terms, agreement = change.terms, change.agreement
    charge = await _found(change, number)
    if terms.amount_variability is AmountVariability.FIXED:
        raise NeedsNewAuthorization([Needed("/amount", TABLE["amount"].otherwise)])
    currency = amounts.currency_of(terms, agreement.currency)
    method = catalog.method(agreement.gateway, agreement.payment_method)
    if wrong := amounts.problem(terms, amount, currency, method):
        raise Refused(f"/amount{wrong.pointer}", wrong.detail)
    if charge.status is ChargeStatus.SKIPPED:
        raise Conflict(f"cycle {number} is skipped")
    _check_open(change, charge)
    if charge.amount is None or charge.money != amount:
        await cycles.set_amount(change, charge, amount)
    charge.amount_set = True
    collect_if_due(change, charge)
    return charge


async def skip(change: Change, number: int) -> Charge:
    """Lets a cycle pass uncollected, with what was carried into it. A repeat changes nothing.

    Raises NoSuchCycle, Conflict.
    """
    charge = await _found(change, number)
    if charge.status is ChargeStatus.SKIPPED and charge.carried_to is None:
        return charge
    _check_open(change, charge)
    if number == await cycles.last_written(change):
        await cycles.write_next(change, number + 1)
    await cycles.skip(change, charge, "skipped by the merchant")
    await lifecycle.complete_if_finished(change)
    return charge


async def prove_notice(change: Change, number: int, told_at: datetime) -> Charge:
    """The payer was told of the debit at `told_at`. A repeat changes nothing. Raises NoSuchCycle, Refused, Conflict."""
    charge = await _found(change, number)
    if told_at > change.now:
        raise Refused("/notified_at", "lies ahead: a notice is proven once the payer was told")
    if charge.notice_proven_at == told_at:
        return charge
    if charge.status is not ChargeStatus.SCHEDULED or charge.attempts_made:
        raise Conflict(f"cycle {number} is {charge.status}")
    if charge.notice_at is None and charge.noticed_at is None:
        raise Conflict(f"cycle {number} calls for no notice")
    await notices.prove(change, charge, told_at)
    return charge


def collect_if_due(change: Change, charge: Charge) -> None:
    """A cycle that only waited for its amount waits no longer."""
    if charge.status is ChargeStatus.SCHEDULED and charge.due_at <= change.now:
        charge.next_attempt_at = change.now


async def _found(change: Change, number: int) -> Charge:
    agreement, last = change.agreement, schedule.last_cycle(change.plan)
    if not schedule.has_schedule(change.terms) or (last is not None and number > last):
        raise NoSuchCycle(number)
    if agreement.ended:
        raise Conflict(f"the agreement is {agreement.status}")
    if agreement.credential_id is None:
        raise Conflict("the customer has not agreed yet")
    if (known := await cycles.find(change, number)) is not None:
        return known
    coming = schedule.next_cycle_after(change.plan, change.now)
    if number >= coming + AHEAD:
        raise Conflict(f"cycles {coming} to {coming + AHEAD - 1} can be set now, cycle {number} later")
    charge = await cycles.write_up_to(change, number)
    if charge is None:
        raise NoSuchCycle(number)
    return charge


def _check_open(change: Change, charge: Charge) -> None:
    """Raises Conflict unless it is still to come, or due and waiting for its amount or for the merchant's word."""
    waits = charge.amount is None or charge.status is ChargeStatus.ACTION_REQUIRED
    if charge.status not in _UNTRIED or charge.attempts_made:
        tried = " and was tried" if charge.attempts_made else ""
        raise Conflict(f"cycle {charge.cycle} is {charge.status}{tried}")
    if charge.due_at <= change.now and not waits:
        raise Conflict(f"cycle {charge.cycle} was due at {charge.due_at.isoformat()}")
