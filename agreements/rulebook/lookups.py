"""The rulebook and what can be asked of it. Every answer depends on the day of the decision (`on`) and on data only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Literal, NamedTuple, TypeVar

from agreements.declines import DeclineCategory
from agreements.policies import PayDay, RetryPolicy
from agreements.rulebook.model import (
    ANY,
    Bound,
    Budget,
    DeclineRule,
    HardDecline,
    NetworkRule,
    NoticeDuty,
    PayDays,
    PolicyRule,
    Rail,
    Rule,
)

_Some = TypeVar("_Some", bound=Rule)


class Meaning(NamedTuple):
    """Our reading of a provider's code: for the retry rules, for programs, for people.

    After `at_most` further attempts of a charge with this raw code it means `then`. No attempt earlier than `floor`
    after the decline.
    """

    category: DeclineCategory
    code: str
    message: str
    rule: str
    at_most: int | None = None
    then: DeclineCategory | None = None
    floor: timedelta | None = None


_UNLISTED = Meaning(
    DeclineCategory.REVIEW, "unlisted_refusal", "The provider refused for a reason we do not know.", "unlisted"
)


@dataclass(frozen=True)
class Rulebook:
    """Everything in force at some time, in the order of the files. `version` names exactly these bytes."""

    version: str
    declines: Mapping[str, tuple[DeclineRule, ...]]
    networks: tuple[NetworkRule, ...]
    budget_rules: tuple[Budget, ...]
    rails: tuple[Rail, ...]
    notice_duties: tuple[NoticeDuty, ...]
    pay_days: tuple[PayDays, ...]
    policy_rules: tuple[PolicyRule, ...]
    bound_rules: tuple[Bound, ...]
    hard_declines: tuple[HardDecline, ...]

    def sections(self) -> Mapping[str, tuple[Rule, ...]]:
        """Every rule by section, as `autodebit rulebook show` lists them."""
        declines = {f"declines.{gateway}": rules for gateway, rules in self.declines.items()}
        rest = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        return {**declines, **rest}

    def meaning(
        self, gateway: str, raw_code: str | None, on: date, *, call: Literal["pay", "grant"] = "pay"
    ) -> Meaning:
        """What a provider's code means. A code may carry a detail after a colon (`DECLINED:51`): the whole is looked
        up first, then what stands before the colon. A code nobody listed means the gateway's default.
        """
        raw = raw_code or ""
        rules = list(_in_force(self.declines.get(gateway, ()), on))
        for code in (raw, raw.partition(":")[0], ANY):
            for kind in dict.fromkeys((call, "pay")):
                for rule in rules:
                    if rule.call == kind and code in rule.codes:
                        return _meaning(rule)
        return _UNLISTED

    def network_rule(
        self, network: str | None, response_code: str | None, advice: str | None, on: date
    ) -> tuple[NetworkRule, ...]:
        """Every rule about a decline of a card: on its response code, then on its advice code.

        A response code is read by the network's own rules, its rule for all other codes included, else by the rules for
        every network.
        """
        if network is None:
            return ()
        rules = list(_in_force(self.networks, on))
        own = [rule for rule in rules if rule.network == network.lower()]
        everywhere = [rule for rule in rules if rule.network == ANY]
        by_response: list[NetworkRule] = []
        for code, among in ((response_code, own), (ANY, own), (response_code, everywhere)):
            if response_code and not by_response:
                by_response = [rule for rule in among if code in (rule.responses or ())]
        return (*by_response, *(rule for rule in own if advice and advice in (rule.advices or ())))

    def budgets(self, network: str | None, on: date) -> tuple[Budget, ...]:
        """The ceilings of a card's network; none for wallets (`network` None)."""
        if network is None:
            return ()
        rules = list(_in_force(self.budget_rules, on))
        own = tuple(budget for budget in rules if budget.network == network.lower())
        return own or tuple(budget for budget in rules if budget.network == ANY)

    def every_budget(self, on: date) -> tuple[Budget, ...]:
        """The ceilings of all networks, strictest first."""
        return tuple(sorted(_in_force(self.budget_rules, on), key=lambda budget: (budget.limit, budget.window)))

    def rail(self, gateway: str, payment_method: str, on: date) -> Rail | None:
        """The rail a payment method runs on, where it has rules of its own."""
        method = f"{gateway}:{payment_method}"
        return next((rail for rail in _in_force(self.rails, on) if method in rail.methods), None)

    def notices(
        self, network: str | None, rail: Rail | None, interval_days: int | None, on: date
    ) -> tuple[NoticeDuty, ...]:
        """Every duty to tell the payer ahead; `when` tells of what. `interval_days` lie between two debits, None where
        they follow no calendar."""
        own = network.lower() if network else None
        return tuple(
            duty
            for duty in _in_force(self.notice_duties, on)
            if (duty.network is not None and duty.network == own) or (rail is not None and duty.rail == rail.rail)
            if duty.min_interval_days is None or (interval_days or 0) >= duty.min_interval_days
        )

    def paydays(self, region: str | None, on: date | None = None) -> tuple[PayDay, ...]:
        """Days of the month on which people are commonly paid in a country (ISO 3166), an assumption of low
        confidence. Without `on`, as the rulebook knows it last."""
        rules = [rule for rule in self.pay_days if on is None or rule.in_force(on)]
        for wanted in (region, None):
            if found := [rule for rule in rules if rule.region == wanted]:
                return max(found, key=lambda rule: rule.from_).days
        return ()

    def policies(self, on: date) -> Mapping[str, RetryPolicy]:
        """The named retry policies."""
        return {rule.plan.name: rule.plan for rule in _in_force(self.policy_rules, on)}

    def bounds(self, on: date) -> tuple[Bound, ...]:
        """What no retry policy may exceed."""
        return tuple(_in_force(self.bound_rules, on))

    def hard(self, category: DeclineCategory, on: date) -> HardDecline:
        """Why waiting never heals a category, on any day. Raises LookupError for a category with a ladder."""
        rules = [rule for rule in self.hard_declines if rule.category is category]
        if not rules:
            raise LookupError(category)
        return next(_in_force(rules, on), rules[-1])


def _in_force(rules: Iterable[_Some], on: date) -> Iterator[_Some]:
    return (rule for rule in rules if rule.in_force(on))


def _meaning(rule: DeclineRule) -> Meaning:
    floor = None if rule.floor_hours is None else timedelta(hours=rule.floor_hours)
    return Meaning(rule.category, rule.code, rule.what, rule.id, rule.at_most, rule.then, floor)
