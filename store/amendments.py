"""An agreement's terms, retry policy and metadata changed, within what the payer agreed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, or_, select

from agreements import amendments, amounts, catalog, schedule
from agreements.amendments import Needed
from agreements.money import Money
from agreements.policies import OWN_POLICY
from agreements.problems import problems
from agreements.status import ChargePurpose, ChargeStatus
from agreements.terms import Terms
from store import coming, cycles, lifecycle
from store.changes import Change
from store.lifecycle import Conflict
from store.refusals import NeedsNewAuthorization, Refused
from store.tables import Agreement, Charge

MOST_METADATA = 50

_SET_LATER = (ChargeStatus.SCHEDULED, ChargeStatus.ACTION_REQUIRED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be changed. Of `terms` only the named fields; None under a name of `metadata` deletes it."""

    terms: Mapping[str, Any]
    retry_policy: str | dict[str, Any] | None
    metadata: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Changed:
    """One member that is different now; `pointer` is a JSON pointer (RFC 6901) into the agreement."""

    pointer: str
    before: Any
    after: Any


async def amend(change: Change, wanted: Wanted) -> None:
    """Changes what is different and tells it in one event; a repeat changes nothing.

    Raises NeedsNewAuthorization, Refused for what does not hold together, and Conflict where the agreement has ended or
    was used more than the new terms allow. Metadata may be changed at any time.
    """
    if change.agreement.ended and (wanted.terms or wanted.retry_policy is not None):
        raise Conflict(f"the agreement is {change.agreement.status}")
    found = [*await _terms(change, wanted.terms), *_policy(change, wanted), *_metadata(change.agreement, wanted)]
    if found:
        change.event(
            "agreement.amended",
            changes=[{"pointer": each.pointer, "before": each.before, "after": each.after} for each in found],
        )
        await lifecycle.complete_if_finished(change)


async def _terms(change: Change, fields: Mapping[str, Any]) -> list[Changed]:
    before, agreement = change.terms, change.agreement
    after = before.model_copy(update=dict(fields))
    names = amendments.changed(before, after)
    if not names:
        return []
    if needed := amendments.needed(before, after, agreement.currency):
        raise NeedsNewAuthorization([Needed(f"/terms{each.pointer}", each.reason) for each in needed])
    if agreement.credential_id is None:
        raise Conflict("the customer is being asked about these very terms: wait for the answer")
    _check_whole(change, before, after)
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    agreement.currency = amounts.currency_of(before, agreement.currency)
    change.amend(after)
    await _narrow(change)
    if "amount" in names:
        await _reprice(change, before.amount, after.amount)
    await _check_cap(change)
    return [Changed(f"/terms/{name}", old[name], new[name]) for name in names]


def _check_whole(change: Change, before: Terms, after: Terms) -> None:
    """Raises Refused for what the new terms have wrong and the old ones had not."""
    agreement, today = change.agreement, schedule.today(after.timezone, change.now)
    if after.expiry_date is not None and after.expiry_date != before.expiry_date and after.expiry_date < today:
        raise Refused("/terms/expiry_date", f"{after.expiry_date} is before today, {today} in {after.timezone}")
    method = catalog.method(agreement.gateway, agreement.payment_method)
    if after.amount is not None and after.amount != before.amount:
        currency = amounts.currency_of(before, agreement.currency)
        if wrong := amounts.problem(after, after.amount, currency, method):
            raise Refused(f"/terms/amount{wrong.pointer}", wrong.detail)
    start, windows = after.start_date or today, change.plan.windows
    known = {found.pointer for found in problems(before, start, windows)}
    for found in problems(after, start, windows):
        if found.pointer not in known:
            raise Refused(f"/terms{found.pointer}", found.detail)


async def _narrow(change: Change) -> None:
    """Coming cycles the terms no longer have are canceled. Raises Conflict where more were made than they allow."""
    await change.session.flush()
    if not schedule.has_schedule(change.terms):
        made, last = await cycles.made_on_demand(change), change.terms.total_cycles
        if last is not None and made > last:
            raise Conflict(f"{made} charges on demand were made already")
        return
    last = schedule.last_cycle(change.plan)
    if last is None:
        return
    query = select(Charge).where(
        Charge.agreement_id == change.agreement.id, Charge.purpose == ChargePurpose.CYCLE, col(Charge.cycle) > last
    )
    for charge in await change.session.exec(query.order_by(col(Charge.cycle))):
        if charge.due_at <= change.now or charge.attempts_made:
            raise Conflict(f"cycle {charge.cycle} is made already, so the terms must go as far as that")
        if charge.status is ChargeStatus.SCHEDULED:
            await cycles.drop_prepared(change, charge)
            cycles.cancel(change, charge)


async def _reprice(change: Change, before: Money | None, after: Money | None) -> None:
    """The new amount holds for coming cycles without one of their own; what was carried into them stays on top."""
    query = select(Charge).where(
        Charge.agreement_id == change.agreement.id,
        Charge.purpose == ChargePurpose.CYCLE,
        Charge.status == ChargeStatus.SCHEDULED,
        Charge.attempts_made == 0,
        col(Charge.amount_set).is_(False),
        or_(col(Charge.due_at) > change.now, col(Charge.amount).is_(None)),
    )
    for charge in list(await change.session.exec(query)):
        carried = (charge.amount or 0) - (before.value if before else 0)
        if after is None and carried:
            continue
        amount = Money(currency=after.currency, value=after.value + carried) if after else None
        await cycles.set_amount(change, charge, amount)
        if amount is not None:
            coming.collect_if_due(change, charge)


async def _check_cap(change: Change) -> None:
    """Raises Conflict where a coming cycle's amount would be refused at the gate."""
    cap = change.terms.max_amount_per_cycle
    if cap is None:
        return
    await change.session.flush()
    query = select(Charge.cycle, Charge.amount).where(
        Charge.agreement_id == change.agreement.id,
        col(Charge.status).in_(_SET_LATER),
        Charge.attempts_made == 0,
        col(Charge.amount) > cap,
    )
    if above := (await change.session.exec(query.order_by(col(Charge.cycle)).limit(1))).first():
        cycle, amount = above
        raise Conflict(f"cycle {cycle} is to collect {amount} minor units, above the cap of {cap}: set it lower first")


def _policy(change: Change, wanted: Wanted) -> list[Changed]:
    agreement, policy = change.agreement, wanted.retry_policy
    before = agreement.chosen_policy
    if policy is None or policy == before:
        return []
    agreement.retry_policy = policy if isinstance(policy, str) else OWN_POLICY
    agreement.own_policy = policy if isinstance(policy, dict) else None
    return [Changed("/retry_policy", before, policy)]


def _metadata(agreement: Agreement, wanted: Wanted) -> list[Changed]:
    before = dict(agreement.extra)
    after = {name: value for name, value in {**before, **wanted.metadata}.items() if value is not None}
    if len(after) > MOST_METADATA:
        raise Refused("/metadata", f"at most {MOST_METADATA} entries, and {len(before)} are there")
    agreement.extra = after
    return [
        Changed(f"/metadata/{_escaped(name)}", before.get(name), after.get(name))
        for name in wanted.metadata
        if before.get(name) != after.get(name)
    ]


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
