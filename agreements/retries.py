"""What follows a decline: another attempt and when, or who has to act.

Sources: payment-rules §2.1 (card schemes), gateways/antom.md §8 (wallets). `docs/retries.md` is the policy as a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from agreements import schedule
from agreements.declines import Decline, DeclineCategory
from agreements.terms import Terms

RULEBOOK_VERSION = "2026-11.1"


class Action(StrEnum):
    RETRY = "retry"
    GIVE_UP = "give_up"
    NEEDS_CUSTOMER = "needs_customer"
    """Only the payer can help: another credential, or an authentication."""
    REVOKE = "revoke"
    """The payer withdrew the agreement."""
    OPERATOR = "operator"
    """No further attempt until a person has looked."""


class Decision(BaseModel):
    """What was decided, and everything it was decided from. `at` is the next attempt's instant (UTC) with `retry` only.

    `rule` names the rule that had the last word. `budget_left` is how many attempts the policy allows after this
    decline, the one decided on included; 0 where no attempt may follow by itself. `inputs` are the facts it rests on.
    """

    model_config = ConfigDict(frozen=True)

    action: Action
    at: datetime | None = None
    rule: str
    rulebook_version: str
    budget_left: int
    inputs: dict[str, str | int | None]


class Ladder(BaseModel):
    """How long to wait after the first, second, ... decline of one category. After the last wait nothing follows.

    `waits` count from the decline. `local_days` instead name the agreement's debit time so many local days later:
    a daily limit is free again on the next day, not 24 hours later.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    waits: tuple[timedelta, ...] = ()
    local_days: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        return len(self.waits) + len(self.local_days)

    def at(self, step: int, now: datetime, terms: Terms) -> datetime:
        """The instant of the attempt after the `step`-th decline (from 1)."""
        if self.local_days:
            day = schedule.today(terms.timezone, now) + timedelta(days=self.local_days[step - 1])
            return schedule.local_instant(day, terms.debit_time, terms.timezone)
        return now + self.waits[step - 1]


class RetryPolicy(BaseModel):
    """Ladders per category under two ceilings: attempts per charge, and time since the charge was due."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    max_attempts: int
    window: timedelta
    ladders: Mapping[DeclineCategory, Ladder]


def _hours(*counts: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(hours=count) for count in counts)


STANDARD = RetryPolicy(
    name="standard",
    max_attempts=7,
    window=timedelta(days=14),
    ladders={
        DeclineCategory.INSUFFICIENT_FUNDS: Ladder(rule="insufficient_funds_ladder", waits=_hours(24, 72, 120)),
        DeclineCategory.LIMIT_EXCEEDED: Ladder(rule="limit_next_local_day", local_days=(1, 2, 4)),
        DeclineCategory.DO_NOT_HONOR: Ladder(rule="do_not_honor_growing", waits=_hours(24, 48, 96)),
        DeclineCategory.ISSUER_UNAVAILABLE: Ladder(
            rule="issuer_unavailable_backoff", waits=_hours(0.25, 1, 6, 24, 48, 72)
        ),
    },
)

POLICIES: Mapping[str, RetryPolicy] = {STANDARD.name: STANDARD}

# Categories no waiting heals, whatever the policy.
_FINAL: Mapping[DeclineCategory, tuple[Action, str]] = {
    DeclineCategory.EXPIRED_CARD: (Action.NEEDS_CUSTOMER, "expired_card_needs_new_credential"),
    DeclineCategory.LOST_OR_STOLEN: (Action.NEEDS_CUSTOMER, "lost_or_stolen_never_retried"),
    DeclineCategory.CLOSED_ACCOUNT: (Action.NEEDS_CUSTOMER, "closed_account_never_retried"),
    DeclineCategory.INVALID_CREDENTIAL: (Action.NEEDS_CUSTOMER, "invalid_credential_needs_new_one"),
    DeclineCategory.AUTHENTICATION_REQUIRED: (Action.NEEDS_CUSTOMER, "payer_must_authenticate"),
    DeclineCategory.REVOKED_BY_PAYER: (Action.REVOKE, "revoked_by_payer"),
    DeclineCategory.RISK: (Action.OPERATOR, "risk_never_retried"),
    DeclineCategory.CONFIGURATION: (Action.OPERATOR, "configuration_must_be_repaired"),
    DeclineCategory.REVIEW: (Action.OPERATOR, "person_must_review"),
    DeclineCategory.TERMS: (Action.GIVE_UP, "terms_refused"),
}


def decide(
    policy: RetryPolicy,
    decline: Decline,
    *,
    attempt: int,
    declined_before: Sequence[DeclineCategory],
    now: datetime,
    due_at: datetime,
    next_due_at: datetime | None,
    refreshable: bool,
    terms: Terms,
) -> Decision:
    """What follows the decline of a charge's `attempt`-th attempt (from 1), seen at `now`.

    `declined_before` are the categories of the charge's earlier declines: each category climbs its own ladder. `due_at`
    is where the policy's window starts: the due instant, or the first attempt's where that one came later.
    `next_due_at` is the next cycle's due instant, None after the last. `refreshable` says that the token can be
    refreshed now. Retries run into neither the next cycle nor the end of the terms.
    """
    category = decline.category
    step = declined_before.count(category) + 1
    left = max(policy.max_attempts - attempt, 0)
    at: datetime | None = None
    budget = 0
    if category is DeclineCategory.INVALID_CREDENTIAL and refreshable and step == 1:
        action, rule, at, budget = Action.RETRY, "refresh_then_retry", now, left
    elif category not in policy.ladders:
        action, rule = _FINAL[category]
    elif step > (ladder := policy.ladders[category]).steps:
        action, rule = Action.GIVE_UP, "ladder_used_up"
    else:
        action, rule, at = Action.RETRY, ladder.rule, ladder.at(step, now, terms)
        budget = min(ladder.steps - step + 1, left)
    if at is not None and (limit := _limit(at, left, due_at + policy.window, next_due_at, schedule.ends_at(terms))):
        action, rule, at = Action.GIVE_UP, limit, None
    return Decision(
        action=action,
        at=at,
        rule=rule,
        rulebook_version=RULEBOOK_VERSION,
        budget_left=budget,
        inputs=_inputs(policy, decline, attempt, declined_before)
        | {"now": now.isoformat(), "due_at": due_at.isoformat(), "refreshable": "yes" if refreshable else "no"}
        | {"next_due_at": next_due_at.isoformat() if next_due_at else None},
    )


def _limit(
    at: datetime, left: int, window_end: datetime, next_due_at: datetime | None, ends_at: datetime | None
) -> str | None:
    """The rule that forbids an attempt at `at`, if one does."""
    if left == 0:
        return "attempts_used_up"
    if next_due_at is not None and at >= next_due_at:
        return "next_cycle_first"
    if ends_at is not None and at >= ends_at:
        return "terms_end_first"
    return "window_over" if at > window_end else None


def _inputs(
    policy: RetryPolicy, decline: Decline, attempt: int, declined_before: Sequence[DeclineCategory]
) -> dict[str, str | int | None]:
    return {
        "policy": policy.name,
        "category": decline.category.value,
        "code": decline.code,
        "raw_code": decline.raw_code,
        "network_advice": decline.network_advice,
        "attempt": attempt,
        "declined_before": ",".join(declined_before),
    }
