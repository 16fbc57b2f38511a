"""What follows a decline: another attempt and when, or who has to act.

The rules are data: policies in `agreements/policies.py`, schemes, rails and pay days in `agreements/rulebook/`. This is
the one place that weighs them against each other (payment-rules §2 and §3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from agreements import schedule
from agreements.budgets import Spent, used_up
from agreements.declines import Decline, DeclineCategory
from agreements.policies import PayDay, RetryPolicy
from agreements.rulebook import NetworkAction, NetworkRule, Rulebook
from agreements.schedule import Plan


class Action(StrEnum):
    RETRY = "retry"
    GIVE_UP = "give_up"
    NEEDS_CUSTOMER = "needs_customer"
    """Only the payer can help, by authenticating: the credential itself is sound."""
    NEEDS_NEW_CARD = "needs_new_card"
    """Nothing can be collected with this credential any more."""
    REVOKE = "revoke"
    """The payer withdrew the agreement."""
    OPERATOR = "operator"
    """No further attempt until a person has looked."""


class Decision(BaseModel):
    """What was decided, and everything it was decided from.

    `at` is the next attempt's instant (UTC) with `retry` only, `act_by` the customer's deadline where the customer must
    act. `rule` names the rule that had the last word. `budget_left` is how many attempts policy and schemes allow after
    this decline, the one decided on included; 0 where no attempt may follow by itself. `inputs` are what it rests on.
    """

    model_config = ConfigDict(frozen=True)

    action: Action
    at: datetime | None = None
    act_by: datetime | None = None
    rule: str
    rulebook_version: str
    budget_left: int
    inputs: dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Case:
    """A declined attempt with everything a decision about it looks at.

    `earlier` are the charge's earlier declines: each category climbs its own ladder. `window_start` is where the
    policy's window starts: the due instant, or the first attempt's where that one came later. `next_due_at` is the next
    cycle's due instant, None after the last. `refreshable`: the token can be refreshed now. `network` is the card's
    scheme, None for a wallet; `spent` its budgets with this decline counted.
    """

    plan: Plan
    gateway: str
    decline: Decline
    attempt: int
    earlier: Sequence[Decline]
    window_start: datetime
    next_due_at: datetime | None
    refreshable: bool
    network: str | None
    spent: Sequence[Spent]
    region: str | None


# Categories no waiting heals, whatever the policy.
_FINAL: dict[DeclineCategory, tuple[Action, str]] = {
    DeclineCategory.EXPIRED_CARD: (Action.NEEDS_NEW_CARD, "expired_card_needs_new_credential"),
    DeclineCategory.LOST_OR_STOLEN: (Action.NEEDS_NEW_CARD, "lost_or_stolen_never_retried"),
    DeclineCategory.CLOSED_ACCOUNT: (Action.NEEDS_NEW_CARD, "closed_account_never_retried"),
    DeclineCategory.INVALID_CREDENTIAL: (Action.NEEDS_NEW_CARD, "invalid_credential_needs_new_one"),
    DeclineCategory.AUTHENTICATION_REQUIRED: (Action.NEEDS_CUSTOMER, "payer_must_authenticate"),
    DeclineCategory.REVOKED_BY_PAYER: (Action.REVOKE, "revoked_by_payer"),
    DeclineCategory.RISK: (Action.OPERATOR, "risk_never_retried"),
    DeclineCategory.CONFIGURATION: (Action.OPERATOR, "configuration_must_be_repaired"),
    DeclineCategory.REVIEW: (Action.OPERATOR, "person_must_review"),
    DeclineCategory.TERMS: (Action.GIVE_UP, "terms_refused"),
}

_NETWORK_SAYS = {
    NetworkAction.REVOKE: Action.REVOKE,
    NetworkAction.NEVER: Action.NEEDS_NEW_CARD,
    NetworkAction.NEW_CARD: Action.NEEDS_NEW_CARD,
    NetworkAction.CUSTOMER: Action.NEEDS_CUSTOMER,
    NetworkAction.OPERATOR: Action.OPERATOR,
}
_STRICTEST = tuple(_NETWORK_SAYS)
"""Of two rules that both forbid a retry, the earlier one here wins: it ends more."""

_ABOUT_A_DAY = timedelta(hours=20)
"""Waits of about a day and more end inside the agreement's debit window; shorter ones are about outages."""


@dataclass(frozen=True, slots=True)
class _Floor:
    wait: timedelta
    rule: str


@dataclass(frozen=True, slots=True)
class _Found:
    action: Action
    rule: str
    at: datetime | None = None
    left: int = 0


def decide(case: Case, policy: RetryPolicy, rulebook: Rulebook, now: datetime) -> Decision:
    """What follows a decline seen at `now`.

    A scheme's or the provider's "never" outranks the policy; its waits are floors under the policy's; its budgets move
    an attempt to where they have room. Retries run into neither the next cycle nor the end of the terms.
    """
    on = schedule.today(case.plan.terms.timezone, now)
    category, network, floors = _read(case, rulebook, on)
    found = _forbidden(case, network) or _climb(case, category, policy, rulebook, floors, now)
    waits = found.action in (Action.NEEDS_CUSTOMER, Action.NEEDS_NEW_CARD)
    return Decision(
        action=found.action,
        at=found.at,
        act_by=now + timedelta(days=policy.customer_days) if waits else None,
        rule=found.rule,
        rulebook_version=rulebook.version,
        budget_left=found.left,
        inputs=_inputs(case, policy, now),
    )


@dataclass(frozen=True, slots=True)
class Hurdle:
    """Why a declined charge may not be tried again, whoever asks for it: until when, or with this credential never."""

    rule: str
    until: datetime | None = None


def hurdle(case: Case, rulebook: Rulebook, declined_at: datetime, now: datetime, *, renewed: bool) -> Hurdle | None:
    """What schemes and the provider say against trying a charge again at `now`, outside its policy's waits.

    A person who asks for it has looked, so what waits for a person may be tried (`Action.OPERATOR`), except after a
    risk decline. `renewed`: the token was replaced after the decline, which is all an invalid one needs.
    """
    on = schedule.today(case.plan.terms.timezone, now)
    category, network, floors = _read(case, rulebook, on)
    found = _forbidden(case, network)
    if found is None and category in _FINAL and not (renewed and category is DeclineCategory.INVALID_CREDENTIAL):
        found = _Found(*_FINAL[category])
    if found and (found.action is not Action.OPERATOR or category is DeclineCategory.RISK):
        return Hurdle(found.rule)
    last = max(floors, key=lambda floor: floor.wait, default=None)
    if last is not None and now < declined_at + last.wait:
        return Hurdle(last.rule, declined_at + last.wait)
    return None


def _read(case: Case, rulebook: Rulebook, on: date) -> tuple[DeclineCategory, Sequence[NetworkRule], Sequence[_Floor]]:
    """The decline's category, which the provider's code may change once it has come too often; what the card's network
    says of it; and before when neither of the two wants another attempt.
    """
    decline = case.decline
    network = rulebook.network_rule(case.network, decline.network_code, decline.network_advice, on)
    floors = [_Floor(rule.floor, rule.id) for rule in network if rule.floor]
    if decline.raw_code is None:
        return decline.category, network, floors
    meaning = rulebook.meaning(case.gateway, decline.raw_code, on)
    if meaning.floor:
        floors = [_Floor(meaning.floor, meaning.rule), *floors]
    seen = sum(earlier.raw_code == decline.raw_code for earlier in case.earlier)
    if meaning.at_most is not None and meaning.then is not None and seen >= meaning.at_most:
        return meaning.then, network, floors
    return decline.category, network, floors


def _forbidden(case: Case, network: Sequence[NetworkRule]) -> _Found | None:
    """The rule by which nothing but the payer or a person helps, if there is one."""
    final = [rule for rule in network if rule.action in _NETWORK_SAYS]
    if final:
        strictest = min(final, key=lambda rule: _STRICTEST.index(rule.action))
        return _Found(_NETWORK_SAYS[strictest.action], strictest.id)
    for rule in network:
        seen = sum(_same_code(case.decline, earlier) for earlier in case.earlier)
        if rule.at_most is not None and seen >= rule.at_most:
            return _Found(Action.NEEDS_CUSTOMER, rule.id)
    return None


def _same_code(one: Decline, other: Decline) -> bool:
    return (one.network_code, one.network_advice) == (other.network_code, other.network_advice)


def _climb(
    case: Case,
    category: DeclineCategory,
    policy: RetryPolicy,
    rulebook: Rulebook,
    floors: Sequence[_Floor],
    now: datetime,
) -> _Found:
    """The next rung of the category's ladder, moved to where schemes, rails and the debit window allow it."""
    step = sum(earlier.category is category for earlier in case.earlier) + 1
    left = max(policy.max_attempts - case.attempt, 0)
    if category is DeclineCategory.INVALID_CREDENTIAL and case.refreshable and step == 1:
        return _bounded(case, policy, _Found(Action.RETRY, "refresh_then_retry", now, left))
    ladder = policy.ladders.get(category)
    if ladder is None:
        return _Found(*_FINAL[category])
    if step > len(ladder.steps):
        return _Found(Action.GIVE_UP, "ladder_used_up")
    at = ladder.at(step, now, case.plan.terms, _pay_days(case, policy, rulebook), _too_late(case, policy))
    rule = ladder.rule
    for floor in floors:
        if at < now + floor.wait:
            at, rule = now + floor.wait, floor.rule
    if (full := used_up(case.spent)) and at < full.frees_at:
        at, rule = full.frees_at, full.budget.id
    if at - now >= _ABOUT_A_DAY:
        at = schedule.in_debit_window(case.plan, at)
    at, moved_by = schedule.allowed(case.plan, at)
    budget = min([len(ladder.steps) - step + 1, left, *(each.left for each in case.spent)])
    return _bounded(case, policy, _Found(Action.RETRY, moved_by[-1] if moved_by else rule, at, budget))


def _pay_days(case: Case, policy: RetryPolicy, rulebook: Rulebook) -> tuple[PayDay, ...]:
    if isinstance(policy.pay_days, tuple):
        return policy.pay_days
    return rulebook.paydays(case.region) if policy.pay_days else ()


def _too_late(case: Case, policy: RetryPolicy) -> datetime:
    """Where the bounds begin to forbid an attempt: no pay-day from there on is waited for."""
    ends = (
        case.next_due_at,
        schedule.ends_at(case.plan.terms),
        case.window_start + policy.window + timedelta.resolution,
    )
    return min(end for end in ends if end is not None)


def _bounded(case: Case, policy: RetryPolicy, planned: _Found) -> _Found:
    """The planned retry, unless a bound over all ladders forbids it."""
    at, terms_end = planned.at, schedule.ends_at(case.plan.terms)
    if at is None or policy.max_attempts <= case.attempt:
        limit = "attempts_used_up"
    elif case.next_due_at is not None and at >= case.next_due_at:
        limit = "next_cycle_first"
    elif terms_end is not None and at >= terms_end:
        limit = "terms_end_first"
    elif at > case.window_start + policy.window:
        limit = "window_over"
    else:
        return planned
    return _Found(Action.GIVE_UP, limit)


def _inputs(case: Case, policy: RetryPolicy, now: datetime) -> dict[str, str | int | None]:
    decline = case.decline
    return {
        "policy": policy.name,
        "category": decline.category.value,
        "code": decline.code,
        "raw_code": decline.raw_code,
        "network": case.network,
        "network_code": decline.network_code,
        "network_advice": decline.network_advice,
        "attempt": case.attempt,
        "declined_before": ",".join(earlier.category for earlier in case.earlier),
        "now": now.isoformat(),
        "due_at": case.window_start.isoformat(),
        "next_due_at": case.next_due_at.isoformat() if case.next_due_at else None,
        "refreshable": "yes" if case.refreshable else "no",
        **{f"spent_{each.budget.id}": each.used for each in case.spent},
    }
