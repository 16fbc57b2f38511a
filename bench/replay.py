"""Declined cycles followed by retry plans, over customers drawn from the mix.

The same customers meet every plan: their fate is drawn before anybody tries (`customers.py`), so that plans differ by
their timing and by nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from agreements import budgets, schedule
from agreements.budgets import Declined
from agreements.declines import Decline
from agreements.policies import RetryPolicy
from agreements.retries import Action, Case
from agreements.rulebook import Rulebook
from bench import customers, households
from bench.customers import Trouble
from bench.mix import GATEWAY_KINDS, Mix
from bench.model_provider import decline_of
from bench.plans import REFRESH, RetryPlan
from bench.records import Contract

_LATENCY = timedelta(seconds=2)
_LONGEST_CYCLES = 60


@dataclass(frozen=True, slots=True)
class DeclinedCycle:
    """A cycle whose first attempt is declined."""

    contract: Contract
    cycle: int
    due: datetime
    next_due: datetime | None
    trouble: Trouble


@dataclass(slots=True)
class Course:
    """How one declined cycle went with one plan. `tries` counts the first attempt in, `fees` are US dollars.

    `hard_retries` came after a decline that forbids them, `too_early` before the network's wait was over.
    """

    recovered: bool = False
    tries: int = 0
    hard_retries: int = 0
    too_early: int = 0
    fees: float = 0.0


@dataclass(slots=True)
class Score:
    """What a plan came to over all cycles."""

    plan: RetryPlan
    declined: int = 0
    recovered: int = 0
    tries: int = 0
    hard_retries: int = 0
    too_early: int = 0
    fees: float = 0.0
    recovered_by_cause: Counter[str] = field(default_factory=Counter)

    @property
    def recovery(self) -> float:
        return self.recovered / self.declined

    @property
    def attempts(self) -> float:
        """Attempts per declined cycle, the first one included."""
        return self.tries / self.declined

    def add(self, course: Course, cause: str) -> None:
        """Counts one cycle."""
        self.declined += 1
        self.recovered += course.recovered
        self.tries += course.tries
        self.hard_retries += course.hard_retries
        self.too_early += course.too_early
        self.fees += course.fees
        self.recovered_by_cause[cause] += course.recovered


def declined_cycles(
    mix: Mix, rulebook: Rulebook, policy: RetryPolicy, cases: int, seed: int
) -> Iterator[DeclinedCycle]:
    """Draws so many, each from its own seed. `policy` stands in contracts only."""
    for number in range(cases):
        rng = Random(f"{seed}/{number}")  # noqa: S311 - chance, not secrets
        _, _, promises = households.draw(rng, f"c{number}", policy, rulebook, _LONGEST_CYCLES)
        promise = promises[0]
        cycle = rng.randint(1, promise.contract.last_cycle)
        due = promise.due[cycle]
        trouble = customers.refusal(rng, mix, promise.contract.payer, due)
        yield DeclinedCycle(promise.contract, cycle, due, promise.due.get(cycle + 1), trouble)


def compare(plans: Sequence[RetryPlan], cycles: Iterator[DeclinedCycle], mix: Mix, rulebook: Rulebook) -> list[Score]:
    """Lets every plan follow every cycle."""
    scores = [Score(plan) for plan in plans]
    for declined in cycles:
        for score in scores:
            score.add(follow(score.plan, declined, mix, rulebook), declined.trouble.cause.name)
    return scores


def follow(plan: RetryPlan, cycle: DeclinedCycle, mix: Mix, rulebook: Rulebook, said: Decline | None = None) -> Course:
    """One cycle with one plan. `said` is what the provider is known to have said, else the mix's words are used."""
    contract, trouble, course = cycle.contract, cycle.trouble, Course()
    trouble.generation = None
    generation, refused, now, earlier, declines = 1, 0, cycle.due, list[Decline](), list[Declined]()
    while True:
        course.tries += 1
        if not trouble.refuses(now, generation):
            course.recovered = course.tries > 1
            return course
        decline = said or decline_of(contract.gateway, contract.payer.network, trouble, rulebook, now)
        _charge_fees(course, cycle, mix, again=refused == generation)
        refused = generation
        now += _LATENCY
        declines.append(Declined(now, contract.money))
        case = _case(cycle, decline, earlier, declines, rulebook, now)
        decision = plan.decide(case, cycle.due, now)
        if decision.action is not Action.RETRY or decision.at is None:
            return course
        course.too_early += decision.at < now + _floor(case, rulebook, now)
        generation += decision.rule == REFRESH
        earlier.append(decline)
        now = decision.at


def _case(
    cycle: DeclinedCycle,
    decline: Decline,
    earlier: list[Decline],
    declines: list[Declined],
    rulebook: Rulebook,
    now: datetime,
) -> Case:
    contract = cycle.contract
    network = contract.payer.network
    return Case(
        plan=contract.plan,
        gateway=contract.gateway,
        decline=decline,
        attempt=len(earlier) + 1,
        earlier=tuple(earlier),
        window_start=cycle.due,
        next_due_at=cycle.next_due,
        refreshable=GATEWAY_KINDS[contract.gateway] == "wallet",
        network=network,
        spent=budgets.spent(rulebook.budgets(network, now.date()), declines, contract.money, now),
        region=contract.payer.region,
    )


def _charge_fees(course: Course, cycle: DeclinedCycle, mix: Mix, *, again: bool) -> None:
    """What the scheme charges for this decline."""
    network, cause = cycle.contract.payer.network, cycle.trouble.cause
    if cause.never == "credential" and again:
        course.hard_retries += 1
        course.fees += {"visa": mix.fees.visa_offence, "mastercard": mix.fees.mastercard_offence}.get(network or "", 0)
    advised = cause.network_code == "51" and cycle.trouble.advised
    if advised and cycle.contract.payer.region in mix.fees.advised_regions:
        course.fees += mix.fees.mastercard_advised


def _floor(case: Case, rulebook: Rulebook, now: datetime) -> timedelta:
    """The least wait the card's network asks for after this decline."""
    on = schedule.today(case.plan.terms.timezone, now)
    rules = rulebook.network_rule(case.network, case.decline.network_code, case.decline.network_advice, on)
    return max((rule.floor for rule in rules if rule.floor), default=timedelta(0))
