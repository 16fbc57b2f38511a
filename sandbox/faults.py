"""Faults injected at random, from a seed, into a provider's API calls and notifications (design §8).

They hit what scripts do not: any call may be slow, refused with HTTP 500 before it did anything, or carried out and
then left without an answer; any notification may be sent twice, an hour late, or held back so that later ones overtake
it. Pivot's sandbox also sends forged ones: false news under a wrong key.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.orm import Session

from sandbox.database import Kept

Chance = Annotated[float, Field(ge=0, le=1)]


class FaultPlan(BaseModel):
    """Chances per call or notification; `latency_ms` is the range of an added wait. All off by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    lost_answer: Chance = 0
    duplicate: Chance = 0
    shuffle: Chance = 0
    late: Chance = 0
    forge: Chance = 0
    http_500: Chance = 0
    latency_ms: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = (0, 0)

    @model_validator(mode="after")
    def _ordered(self) -> FaultPlan:
        if self.latency_ms[0] > self.latency_ms[1]:
            raise ValueError("latency_ms is [least, most]")
        return self


class Faults:
    """The plan in force and its dice. The plan survives a restart; the dice start again from the seed."""

    def __init__(self, session: Session) -> None:
        kept = session.get(Kept, "faults")
        self._use(FaultPlan.model_validate_json(kept.value) if kept else FaultPlan())

    def set(self, session: Session, plan: FaultPlan) -> None:
        """Puts a plan in force."""
        session.merge(Kept("faults", plan.model_dump_json()))
        self._use(plan)

    def _use(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._dice = random.Random(plan.seed)  # noqa: S311 - reproducible, not secret

    def latency(self) -> float:
        """Seconds to wait before working on a call."""
        return self._dice.uniform(*self.plan.latency_ms) / 1000

    def http_500(self) -> bool:
        return self._dice.random() < self.plan.http_500

    def lost_answer(self) -> bool:
        return self._dice.random() < self.plan.lost_answer

    def duplicate(self) -> bool:
        return self._dice.random() < self.plan.duplicate

    def late(self) -> bool:
        return self._rare(self.plan.late)

    def forge(self) -> bool:
        return self._rare(self.plan.forge)

    def _rare(self, chance: float) -> bool:
        """Without a chance no dice are thrown: plans that do not use it keep their sequence."""
        return chance > 0 and self._dice.random() < chance

    def held_back(self) -> timedelta:
        """How long, in real time, a notification waits so that others overtake it; mostly zero."""
        if self._dice.random() >= self.plan.shuffle:
            return timedelta(0)
        return timedelta(seconds=self._dice.uniform(0.2, 1.0))
