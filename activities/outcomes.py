"""What an answer or a message about an attempt changes in the ledger, in one transaction with its events.

The rules are `agreements/collection.py`; here the rows they need are found, and what they say of the agreement is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from agreements import collection, credentials, retries, rulebook, schedule
from agreements.attempts import ChargeAnswer, Finding
from agreements.collection import Aftermath
from agreements.declines import Decline, DeclineCategory
from agreements.guarantees import Traits
from agreements.retries import Action, Case
from agreements.status import ChargePurpose, ChargeStatus, Stop
from store import attempts, budgets, card_changes, cycles, lifecycle, refunds
from store.card_changes import Links
from store.changes import Change
from store.tables import Attempt, Charge, Credential

_FAILURES = (Finding.FAIL, Finding.CANCEL)


async def record(change: Change, attempt: Attempt, answer: ChargeAnswer, traits: Traits, links: Links) -> None:
    """Writes down what is now known of an attempt, and what follows from it. Harmless when it was known already."""
    charge = await change.session.get_one(Charge, attempt.charge_id)
    made = await attempts.of(change.session, charge.id)
    finding = collection.record(
        change,
        charge,
        attempt,
        answer,
        others=[other for other in made if other.id != attempt.id],
        traits=traits,
        rulebook_version=rulebook.current().version,
    )
    if finding in (Finding.NOTHING, Finding.LOOK_AGAIN):
        return
    if finding is Finding.REVERSE:
        refunds.send_back(change, attempt, _why(charge))
    elif finding in _FAILURES and charge.paid_at is None:
        await _declined(change, charge, attempt, made, links)
    await lifecycle.complete_if_finished(change)


async def conclude(change: Change, charge: Charge, aftermath: Aftermath, reason: str) -> None:
    """What giving a charge up does to the agreement."""
    if aftermath is Aftermath.PAUSE and change.agreement.stop is Stop.NONE:
        await lifecycle.pause(change, reason=reason)
    elif aftermath is Aftermath.REVOKE:
        await lifecycle.revoke(change, initiator="merchant", reason=reason)
    elif aftermath is Aftermath.CARRY:
        await cycles.carry(change, charge)


def _why(charge: Charge) -> str:
    if charge.paid_at is not None:
        return "the cycle was paid already"
    if charge.purpose is ChargePurpose.VERIFICATION:
        return "a verification"
    return "the charge was canceled" if charge.canceled_at is not None else "the agreement had ended"


async def _declined(change: Change, charge: Charge, attempt: Attempt, made: Sequence[Attempt], links: Links) -> None:
    if change.agreement.ended or charge.purpose is ChargePurpose.VERIFICATION:
        cycles.cancel(change, charge)
        return
    if attempt.authorization_id is not None:
        # The customer's own try with another card: the charge's plan goes on as it was.
        return
    if change.agreement.credential_id != attempt.credential_id:
        # It was in flight when the card was changed: what the old one's issuer says decides nothing any more.
        current = await change.session.get_one(Credential, change.agreement.credential_id)
        await card_changes.renew(change, charge, current)
        return
    book, policy = rulebook.current(), change.policy
    credential = await change.session.get_one(Credential, attempt.credential_id)
    decline = Decline.model_validate(attempt.decline)
    tries = _tries(made, attempt)
    case = Case(
        plan=change.plan,
        gateway=change.agreement.gateway,
        decline=decline,
        attempt=len(tries),
        earlier=[Decline.model_validate(each.decline) for each in tries[:-1] if each.decline is not None],
        window_start=_window_start(charge, tries[0]),
        next_due_at=_next_due_at(change, charge),
        refreshable=credential.sealed_refresh_token is not None,
        network=credential.network,
        spent=await budgets.read(change, credential, attempt.money, book),
        region=change.agreement.customer.get("region"),
    )
    on = schedule.today(change.terms.timezone, change.now)
    told = book.network_rule(credential.network, decline.network_code, decline.network_advice, on)
    credential.marks = credentials.learned(credential.marks, (rule.mark for rule in told))
    decision = retries.decide(case, policy, book, change.now)
    refused_token = case.refreshable and decline.category is DeclineCategory.INVALID_CREDENTIAL
    if refused_token and decision.action in (Action.RETRY, Action.GIVE_UP):
        credential.refresh_at = change.now
    aftermath = collection.follow(change, charge, attempt, decline, decision, policy.at_end)
    if charge.status is ChargeStatus.ACTION_REQUIRED:
        await card_changes.ask(change, links, charge, decline.code)
    if decision.action is Action.REVOKE:
        await lifecycle.revoke(change, initiator="customer", reason=decline.code, by_provider=True)
    else:
        await conclude(change, charge, aftermath, f"cycle given up: {decision.rule}")


def _tries(made: Sequence[Attempt], attempt: Attempt) -> Sequence[Attempt]:
    """Up to this one. A new credential starts anew: what was tried with another one uses up nothing of the policy."""
    return [each for each in made if each.credential_id == attempt.credential_id and each.number <= attempt.number]


def _window_start(charge: Charge, first: Attempt) -> datetime:
    return max(charge.due_at, first.sent_at) if first.sent_at else charge.due_at


def _next_due_at(change: Change, charge: Charge) -> datetime | None:
    """Where retries of this charge must have ended: the next cycle, or the end of the agreement."""
    last = schedule.last_cycle(change.plan)
    following = (charge.cycle or 0) + 1
    if charge.catch_up:
        # The cycle after it is due already: it is the next one still to come that must not be run into.
        following = max(following, schedule.next_cycle_after(change.plan, change.now))
    if charge.cycle is not None and (last is None or following <= last):
        return schedule.due_at(change.plan, following)
    return schedule.ends_at(change.terms)
