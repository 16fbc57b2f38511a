"""What the card schemes still allow: declines counted per card and merchant, across agreements (design promise 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from agreements.money import Money
from agreements.rulebook import Budget


@dataclass(frozen=True, slots=True)
class Declined:
    """One declined attempt on the card, by whichever agreement of the merchant."""

    at: datetime
    money: Money


@dataclass(frozen=True, slots=True)
class Spent:
    """How much of a budget is used, and when so much of it has aged out that one more attempt fits."""

    budget: Budget
    used: int
    frees_at: datetime

    @property
    def left(self) -> int:
        """Declines the scheme still allows in its window."""
        return max(self.budget.limit - self.used, 0)


def spent(budgets: Iterable[Budget], declines: Sequence[Declined], money: Money, now: datetime) -> tuple[Spent, ...]:
    """The state of each budget for an attempt over `money` at `now`."""
    return tuple(_spent(budget, declines, money, now) for budget in budgets)


def used_up(state: Iterable[Spent]) -> Spent | None:
    """The budget that keeps an attempt waiting longest; None when every one has room."""
    return max((each for each in state if each.left == 0), key=lambda each: each.frees_at, default=None)


def _spent(budget: Budget, declines: Sequence[Declined], money: Money, now: datetime) -> Spent:
    counted = sorted(
        declined.at
        for declined in declines
        if now - declined.at < budget.window and (not budget.same_amount or declined.money == money)
    )
    full = len(counted) >= budget.limit
    return Spent(budget, len(counted), counted[len(counted) - budget.limit] + budget.window if full else now)
