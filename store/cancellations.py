"""Canceling a charge: one not collected yet is owed by nobody any more; a paid one is given back in full."""

from __future__ import annotations

from agreements.refunds import REFUNDABLE
from agreements.status import ChargeStatus
from store import captured, cycles, lifecycle, refunds
from store.changes import Change
from store.lifecycle import Conflict
from store.tables import Refund

_NOT_COLLECTED = (
    ChargeStatus.SCHEDULED,
    ChargeStatus.RETRYING,
    ChargeStatus.ACTION_REQUIRED,
    ChargeStatus.FAILED,
)


async def cancel(change: Change, charge_id: str) -> Refund | None:
    """Cancels a charge; the refund by which a paid one goes back. A failed one is written off.

    Raises Conflict where nothing is left to cancel, and while an attempt is in flight: its end decides what there is to
    cancel.
    """
    charge = await captured.locked(change, charge_id)
    if charge.status in REFUNDABLE:
        return await refunds.give_back(change, charge)
    if await cycles.in_flight(change, charge):
        raise Conflict("an attempt is in flight: cancel the charge once it is known whether it was paid")
    if charge.status not in _NOT_COLLECTED:
        raise Conflict(f"a charge that is {charge.status} cannot be canceled")
    if charge.carried_to is not None:
        raise Conflict(f"its amount is owed with cycle {charge.carried_to}: cancel that one")
    if charge.cycle is not None and charge.cycle == await cycles.last_written(change) and not change.agreement.ended:
        await cycles.write_next(change, charge.cycle + 1)
    await cycles.drop_prepared(change, charge)
    charge.canceled_at = change.now
    cycles.cancel(change, charge)
    await lifecycle.complete_if_finished(change)
    return None
