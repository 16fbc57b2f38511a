"""A debit on demand, within the terms; and what is checked of any charge a merchant asks for (`collect_now`)."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from agreements import amounts, catalog, enforcement, schedule
from agreements.money import Money
from agreements.status import ChargePurpose, ChargeStatus, Stop
from store import cycles, ids
from store.changes import Change
from store.lifecycle import Conflict
from store.refusals import Refused
from store.tables import Charge

_OPEN = (
    ChargeStatus.SCHEDULED,
    ChargeStatus.RETRYING,
    ChargeStatus.PROCESSING,
    ChargeStatus.UNKNOWN,
    ChargeStatus.ACTION_REQUIRED,
)
_IN_WORDS = {
    "before_start": "the agreement begins later",
    "after_expiry": "the agreement has ended",
    "currency_not_consented": "the payer agreed to another currency",
    "amount_not_consented": "the payer agreed to another amount",
    "above_cap": "the payer agreed to less",
    "too_many_cycles": "the payer agreed to no further debit",
}


async def ask(change: Change, amount: Money, description: str | None) -> Charge:
    """A debit over `amount`, due now. Raises Refused for the amount, and Conflict where the terms allow none now."""
    agreement, terms = change.agreement, change.terms
    check_running(change)
    check_credential(change)
    if schedule.has_schedule(terms):
        raise Conflict("this agreement is debited by its schedule: name a cycle to collect it now")
    currency = amounts.currency_of(terms, agreement.currency)
    method = catalog.method(agreement.gateway, agreement.payment_method)
    if wrong := amounts.problem(terms, amount, currency, method):
        raise Refused(f"/amount{wrong.pointer}", wrong.detail)
    check_terms(change, amount, await cycles.made_on_demand(change) + 1)
    await check_gap(change)
    charge = Charge(
        id=ids.new("chg"),
        agreement_id=agreement.id,
        merchant_id=agreement.merchant_id,
        livemode=agreement.livemode,
        purpose=ChargePurpose.ON_DEMAND,
        status=ChargeStatus.SCHEDULED,
        description=description,
        due_at=change.now,
        next_attempt_at=schedule.allowed(change.plan, change.now)[0],
        created_at=change.now,
    )
    change.session.add(charge)
    await cycles.set_amount(change, charge, amount)
    return charge


def check_running(change: Change) -> None:
    """Raises Conflict unless debits are possible at all."""
    agreement = change.agreement
    if agreement.ended or agreement.credential_id is None or agreement.stop is not Stop.NONE:
        raise Conflict(f"the agreement is {agreement.status}")
    if change.held:
        raise Conflict("the operator of the engine has stopped debits for now; the agreement's timeline says why")


def check_credential(change: Change) -> None:
    """Raises Conflict where nothing can be collected with the credential any more."""
    if change.agreement.action_required:
        raise Conflict(f"the customer must act first: {change.agreement.action_required}")


def check_terms(change: Change, amount: Money, number: int) -> None:
    """Raises Conflict where the gate would refuse the debit; `number` says which of the terms' total it is."""
    if reason := enforcement.refusal(change.terms, amount, number, change.now, change.agreement.currency):
        raise Conflict(f"{_IN_WORDS[reason]} (terms_{reason})")


async def check_gap(change: Change, apart_from: Charge | None = None) -> None:
    """The minimum gap is counted from the last success, and from one that is still possible: where there is a gap, no
    other charge on demand may be open. Raises Conflict with the instant from which a debit is possible.
    """
    if change.terms.cycle_interval_days is None:
        return
    earliest = enforcement.catch_up_at(change.terms, await cycles.last_success_at(change), change.now)
    if earliest > change.now:
        raise Conflict(f"the next debit is possible from {_instant(earliest)} on (minimum gap)")
    query = select(Charge.id).where(
        Charge.agreement_id == change.agreement.id,
        Charge.purpose == ChargePurpose.ON_DEMAND,
        col(Charge.status).in_(_OPEN),
        Charge.id != (apart_from.id if apart_from else ""),
    )
    if other := (await change.session.exec(query.limit(1))).first():
        raise Conflict(f"{other} is not settled: if it succeeds, the minimum gap begins anew")


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
