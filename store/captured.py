"""What a paid charge has captured, for those who take of it: money sent back, and amounts declared at customs."""

from __future__ import annotations

from sqlmodel import select

from agreements.money import Money
from agreements.status import AttemptStatus
from store.changes import Change
from store.refusals import Refused
from store.tables import Attempt, Charge


class AmountRefused(Refused):
    """Not this amount of what was captured."""


async def locked(change: Change, charge_id: str) -> Charge:
    """A charge of the changed agreement, its row locked and read anew: whoever takes of it at once waits."""
    query = select(Charge).where(Charge.id == charge_id, Charge.agreement_id == change.agreement.id).with_for_update()
    return (await change.session.exec(query.execution_options(populate_existing=True))).one()


async def paying(change: Change, charge: Charge) -> Attempt:
    """The debit that paid a charge."""
    query = select(Attempt).where(Attempt.charge_id == charge.id, Attempt.status == AttemptStatus.SUCCEEDED)
    return (await change.session.exec(query)).one()


def check(amount: Money, attempt: Attempt, left: int, to_do: str) -> None:
    """Raises AmountRefused for another currency, and for more than is `left`, in minor units, to refund or declare."""
    if amount.currency != attempt.currency:
        raise AmountRefused("/amount/currency", f"the charge was paid in {attempt.currency}")
    if amount.value > left:
        most = Money(currency=attempt.currency, value=left)
        raise AmountRefused("/amount/value", f"{most} is left to {to_do}, not {amount}")
