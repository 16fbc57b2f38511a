"""Retry plans to compare: the engine's own policies, and what others are said to do.

Every plan refrains from what the rulebook forbids for good, stops at the next cycle, and refreshes a wallet's token
once. So plans differ in their timing only, and nobody is compared with a plan that breaks rules for success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from agreements import retries
from agreements.policies import RetryPolicy
from agreements.retries import Action, Case, Decision
from agreements.rulebook import Rulebook

REFRESH = "refresh_then_retry"


class RetryPlan(Protocol):
    """Says when a declined debit is tried again."""

    @property
    def name(self) -> str: ...

    @property
    def what(self) -> str: ...

    def decide(self, case: Case, first_at: datetime, now: datetime) -> Decision:
        """What follows a decline seen at `now`; `first_at` is the charge's first attempt."""


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """One of the engine's own policies."""

    policy: RetryPolicy
    rulebook: Rulebook
    what: str

    @property
    def name(self) -> str:
        return self.policy.name

    def decide(self, case: Case, first_at: datetime, now: datetime) -> Decision:
        return retries.decide(case, self.policy, self.rulebook, now)


@dataclass(frozen=True, slots=True)
class FixedPlan:
    """Tries again after fixed waits counted from the first try, whatever the reason of the decline.

    `hard` is the policy by whose verdict a decline is final; its timing is not used.
    """

    name: str
    what: str
    offsets: tuple[timedelta, ...]
    hard: RetryPolicy
    rulebook: Rulebook

    def decide(self, case: Case, first_at: datetime, now: datetime) -> Decision:
        verdict = retries.decide(case, self.hard, self.rulebook, now)
        if verdict.action not in (Action.RETRY, Action.GIVE_UP) or verdict.rule == REFRESH:
            return verdict
        at = next((first_at + offset for offset in self.offsets if first_at + offset > now), None)
        open_until = case.next_due_at
        if at is None or (open_until is not None and at >= open_until):
            return verdict.model_copy(update={"action": Action.GIVE_UP, "at": None, "rule": f"{self.name}_over"})
        return verdict.model_copy(update={"action": Action.RETRY, "at": at, "rule": self.name})


_YUNO_HOURS = (5 / 60, 1, 5, 24, 48, 96)
_STRIPE_TRIES, _STRIPE_DAYS = 8, 14


def own(policies: Mapping[str, RetryPolicy], rulebook: Rulebook, on: date) -> list[RetryPlan]:
    """The engine's policies, with what the rulebook says of each."""
    said = {rule.plan.name: rule.what for rule in rulebook.policy_rules if rule.in_force(on)}
    return [PolicyPlan(policy, rulebook, said.get(name, "")) for name, policy in policies.items()]


def others(standard: RetryPolicy, rulebook: Rulebook) -> list[RetryPlan]:
    """What others do, as far as it is published. Sources: payment-rules §2.3; Stripe's recommended default of its
    Smart Retries (their instants are chosen by a model nobody else has: even spacing stands in for it).
    """
    spaced = timedelta(days=_STRIPE_DAYS) / _STRIPE_TRIES
    plans: list[tuple[str, str, tuple[timedelta, ...]]] = [
        (
            "stripe-like",
            "8 retries spread evenly over 2 weeks",
            tuple(spaced * n for n in range(1, _STRIPE_TRIES + 1)),
        ),
        ("yuno", "5 min, 60 min, 5, 24, 48, 96 h", tuple(timedelta(hours=hours) for hours in _YUNO_HOURS)),
        ("daily", "every 24 hours, 6 times", tuple(timedelta(days=n) for n in range(1, 7))),
        ("daily-14", "every 24 hours for 2 weeks", tuple(timedelta(days=n) for n in range(1, 15))),
    ]
    return [FixedPlan(name, what, offsets, standard, rulebook) for name, what, offsets in plans]
