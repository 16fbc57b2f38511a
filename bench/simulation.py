"""Simulated time: one household after the other, each with its provider, from its first cycle until nothing is open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from random import Random

from agreements.agenda import Step, next_step
from agreements.policies import RetryPolicy
from agreements.rulebook import Rulebook
from bench import customers, households, lifecycle, standings
from bench.audit import Findings, examine
from bench.engine import Crash, Engine, Tally
from bench.households import Promise
from bench.mix import Mix
from bench.model_provider import Account, Faults, ModelProvider, Notice
from bench.records import Agreement

_DAY = timedelta(days=1)
_MOST_STEPS = 50_000
"""Far more than any household needs: whoever takes more runs in circles."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run is made of. `crash` is the probability at each commit, and between any two."""

    policy: RetryPolicy
    faults: Faults
    crash: float
    mix: Mix
    rulebook: Rulebook


@dataclass(frozen=True, slots=True)
class _Wake:
    at: datetime
    step: Step | None


class Household:
    """The world of one household, and the clock in it."""

    def __init__(self, rng: Random, name: str, conditions: Conditions, most_cycles: int, tally: Tally) -> None:
        self._rng = rng
        self._conditions = conditions
        self._tally = tally
        gateway, agreements, self.promises = households.draw(
            rng, name, conditions.policy, conditions.rulebook, most_cycles
        )
        self.provider = ModelProvider(gateway, conditions.faults, rng, conditions.rulebook)
        self.engine = Engine(
            self.provider, conditions.rulebook, rng, conditions.crash, tally, pass_time=self._pass_time
        )
        self.down: dict[str, list[tuple[datetime, datetime]]] = {each.contract.id: [] for each in agreements}
        """When nobody worked on an agreement, as its worker was dead or the merchant had paused it."""
        self._news: dict[str, list[tuple[datetime, int, Notice | str]]] = {each.contract.id: [] for each in agreements}
        self._repeats: dict[str, tuple[Step, datetime]] = {}
        self._asked: set[tuple[str, str]] = set()
        self._count = 0
        self._now = min(promise.due[1] for promise in self.promises) - _DAY
        for agreement, promise in zip(agreements, self.promises, strict=True):
            self._begin(agreement, promise)

    @property
    def cycles(self) -> int:
        return sum(len(promise.due) for promise in self.promises)

    def run(self) -> None:
        """Until nothing is left to do. Raises RuntimeError when that never comes."""
        wakes = {agreement_id: self._wake(agreement_id) for agreement_id in self.engine.rows}
        for _ in range(_MOST_STEPS):
            coming = [(wake.at, agreement_id) for agreement_id, wake in wakes.items() if wake is not None]
            if not coming:
                return
            at, agreement_id = min(coming)
            self._now = max(self._now, at)
            wake = wakes[agreement_id]
            if wake is not None and wake.step is not None:
                self._perform(agreement_id, wake.step)
            else:
                self._deliver(agreement_id)
            for each in wakes:
                if each == agreement_id or self._news[each]:
                    wakes[each] = self._wake(each)
        raise RuntimeError(f"household of {self.promises[0].contract.id} does not come to rest")

    def _begin(self, agreement: Agreement, promise: Promise) -> None:
        agreement_id, rng = agreement.contract.id, self._rng
        self.engine.rows[agreement_id] = agreement
        lifecycle.write_next(agreement)
        account = self.provider.accounts.setdefault(agreement.credential.account, Account())
        for cycle, at in promise.due.items():
            if found := customers.trouble(rng, self._conditions.mix, agreement.contract.payer, at):
                if found.cause.never != "credential" and cycle + 1 in promise.due:
                    found.until = promise.due[cycle + 1] - _DAY / 2
                account.troubles.append(found)
        first, last = promise.due[1], promise.due[agreement.contract.last_cycle]
        if rng.random() < 0.02:
            self._push(agreement_id, first + (last - first) * rng.random(), "revoke")
        if rng.random() < 0.03:
            start = first + (last - first) * rng.random()
            end = start + timedelta(days=rng.uniform(1, 20))
            self._push(agreement_id, start, "pause")
            self._push(agreement_id, end, "resume")
            self.down[agreement_id].append((start, end))

    def _wake(self, agreement_id: str) -> _Wake | None:
        """What happens to an agreement next, and when."""
        news = self._news[agreement_id][0][0] if self._news[agreement_id] else None
        if agreement_id in self._repeats:
            step, at = self._repeats[agreement_id]
        else:
            coming = next_step(standings.read(self.engine.rows[agreement_id], self._now), self._now)
            if coming is None:
                return None if news is None else _Wake(news, None)
            step, at = coming, coming.due_at
        return _Wake(news, None) if news is not None and news <= at else _Wake(at, step)

    def _perform(self, agreement_id: str, step: Step) -> None:
        try:
            self.engine.perform(agreement_id, step, self._now)
            self._repeats.pop(agreement_id, None)
        except Crash:
            self._tally.crashes += 1
            back = self._now + self._outage()
            self.down[agreement_id].append((self._now, back))
            self._repeats[agreement_id] = (step, back)
        self._collect_notices()
        self._call_customer(agreement_id)

    def _deliver(self, agreement_id: str) -> None:
        _, _, item = heappop(self._news[agreement_id])
        try:
            if isinstance(item, Notice):
                answer = self.provider.answer(item.debit, item.said_at)
                self.engine.settle(agreement_id, item.debit.request.request_id, answer, self._now)
            else:
                self._act(agreement_id, item)
        except Crash:
            self._tally.crashes += 1
            self._push(agreement_id, self._now + timedelta(seconds=self._rng.uniform(1, 60)), item)
        self._call_customer(agreement_id)

    def _act(self, agreement_id: str, what: str) -> None:
        with self.engine.change(agreement_id, self._now) as change:
            if what == "card":
                old = change.agreement.credential.account
                if old + "+" not in self.provider.accounts:
                    self.provider.replace(old, old + "+", self._now)
                lifecycle.change_card(change, old + "+")
            else:
                {"revoke": lifecycle.revoke, "pause": lifecycle.pause, "resume": lifecycle.resume}[what](change)

    def _pass_time(self, agreement_id: str, duration: timedelta) -> datetime:
        """Time goes on while a step waits: messages and people do not wait for it."""
        self._now += duration
        self._collect_notices()
        while self._news[agreement_id] and self._news[agreement_id][0][0] <= self._now and self._rng.random() < 0.7:
            self._deliver(agreement_id)
        return self._now

    def _collect_notices(self) -> None:
        for notice in self.provider.outbox:
            self._push(notice.agreement, notice.at, notice)
        self.provider.outbox.clear()

    def _call_customer(self, agreement_id: str) -> None:
        """Who is asked for a new card gives one after some days, or leaves for good."""
        agreement = self.engine.rows[agreement_id]
        key = (agreement_id, agreement.credential.account)
        if agreement.action_required is None or key in self._asked:
            return
        self._asked.add(key)
        customers_ = self._conditions.mix.customers
        if self._rng.random() < customers_.new_card:
            self._push(agreement_id, self._now + _DAY * self._rng.expovariate(1 / customers_.days_mean), "card")
        else:
            self._push(agreement_id, self._now + 40 * _DAY, "revoke")

    def _push(self, agreement_id: str, at: datetime, item: Notice | str) -> None:
        self._count += 1
        heappush(self._news[agreement_id], (at, self._count, item))

    def _outage(self) -> timedelta:
        """How long until the step is repeated: most workers are back at once, some are not."""
        chance = self._rng.random()
        if chance < 0.9:
            return timedelta(seconds=self._rng.uniform(1, 120))
        hours = self._rng.uniform(0.1, 6) if chance < 0.98 else self._rng.uniform(6, 120)
        return timedelta(hours=hours)


def shard(seed: str, cycles: int, conditions: Conditions) -> Findings:
    """Simulates so many cycles, a household after the other, and audits each."""
    # Chance, not secrets.
    rng, findings, done, number = Random(seed), Findings(), 0, 0  # noqa: S311
    while done < cycles:
        tally = Tally()
        household = Household(rng, f"h{number}", conditions, cycles - done, tally)
        household.run()
        findings.add(
            examine(household.promises, household.engine.rows, household.provider, household.down, conditions.rulebook)
        )
        findings.count(tally)
        done += household.cycles
        number += 1
    return findings
