"""The rules of the rulebook, one class per kind: what a TOML table may say, and what a look-up answers with.

Every rule has a stable `id`, says where it comes from (`source`), how sure that is (`confidence`) and from which day
on, until which day inclusive, it is in force. Durations are written in hours or days.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from agreements.declines import DeclineCategory
from agreements.policies import WAITING_HELPS, PayDay, RetryPolicy
from agreements.schedule import ForbiddenWindow

ANY = "*"
"""In place of a code: every code no other rule names. In place of a network: every one without a rule of its own."""

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=64)]
Network = Annotated[str, Field(pattern=r"^(\*|[a-z0-9_]+)$")]
Text = Annotated[str, Field(min_length=1, max_length=300)]
Code = Annotated[str, Field(min_length=1, max_length=80)]
Codes = Annotated[tuple[Code, ...], Field(min_length=1)]
Day = Annotated[date, Field(strict=True)]
Count = Annotated[StrictInt, Field(ge=0)]
Days = Annotated[StrictInt, Field(ge=1, le=366)]
Hours = Annotated[float, Field(gt=0, le=366 * 24)]


class NetworkAction(StrEnum):
    """What a card network wants after a decline."""

    RETRY = "retry"
    NEVER = "never"
    NEW_CARD = "new_card"
    """Never again on this card; another one may do."""
    CUSTOMER = "customer"
    """Only after the customer has acted."""
    REVOKE = "revoke"
    """The payer withdrew: the agreement ends."""
    OPERATOR = "operator"
    """Only after our request or the merchant's set-up is repaired."""


class Rule(BaseModel):
    """What every rule says about itself. `what` is for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Identifier
    what: Text
    source: Text
    confidence: Literal["H", "M-H", "M", "L"]
    from_: Day = Field(alias="from")
    until: Day | None = None
    """The last day in force."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until is not None and self.until < self.from_:
            raise ValueError(f"until {self.until} is before from {self.from_}")
        return self

    def in_force(self, on: date) -> bool:
        return self.from_ <= on and (self.until is None or on <= self.until)

    def keys(self) -> tuple[Hashable, ...]:
        """What the rule decides on; two rules for one key may not be in force on the same day."""
        return (self.id,)


class DeclineRule(Rule):
    """What a provider's codes mean, in our words. `*` stands for every code no other rule names."""

    codes: Codes
    call: Literal["pay", "grant"] = "pay"
    """`grant`: what differs where a token is asked for instead of a debit."""
    category: DeclineCategory
    code: Identifier
    at_most: Count | None = None
    """How many further attempts of a charge may follow this raw code; after them it means `then`."""
    then: DeclineCategory | None = None
    floor_hours: Hours | None = None
    """Not earlier than this after the decline."""

    @model_validator(mode="after")
    def _then_something(self) -> Self:
        if (self.at_most is None) != (self.then is None):
            raise ValueError("at_most and then come together")
        return self

    def keys(self) -> tuple[Hashable, ...]:
        return tuple((self.call, code) for code in self.codes)


class Regional(Rule):
    """A rule of one region only. Look-ups do not know the card's region, so it is followed everywhere: the stricter
    reading."""

    region: Text | None = None


class NetworkRule(Regional):
    """What a network says about response codes (ISO 8583) or about advice codes."""

    network: Network
    responses: Codes | None = None
    advices: Codes | None = None
    category: Annotated[StrictInt, Field(ge=1, le=4)] | None = None
    """Visa's decline category."""
    action: NetworkAction
    floor_hours: Hours | None = None
    at_most: Count | None = None
    """How many further attempts of a charge may follow this code."""
    mark: Literal["prepaid", "single_use", "multi_use"] | None = None
    """What the code says about the card, also where it comes with an approval."""

    @model_validator(mode="after")
    def _some_code(self) -> Self:
        if (self.responses is None) == (self.advices is None):
            raise ValueError("a rule is about responses or about advices")
        return self

    @property
    def floor(self) -> timedelta | None:
        """No attempt earlier than this after the decline."""
        return None if self.floor_hours is None else timedelta(hours=self.floor_hours)

    def keys(self) -> tuple[Hashable, ...]:
        kind, codes = ("response", self.responses) if self.responses else ("advice", self.advices)
        return tuple((self.network, kind, code, self.region) for code in codes or ())


class Budget(Regional):
    """How many declined attempts one card may see at one merchant in a rolling window, the first one included.

    `limit` is what we keep to; `published` is the network's own figure where it is higher than what is safe while the
    acquirer has not confirmed it.
    """

    network: Network
    limit: Annotated[StrictInt, Field(ge=1)]
    published: Annotated[StrictInt, Field(ge=1)]
    window_hours: Annotated[StrictInt, Field(ge=1)]
    same_amount: StrictBool
    """Only attempts of the same amount count."""

    @model_validator(mode="after")
    def _stricter(self) -> Self:
        if self.limit > self.published:
            raise ValueError("limit is above the published figure")
        return self

    @property
    def window(self) -> timedelta:
        return timedelta(hours=self.window_hours)

    def keys(self) -> tuple[Hashable, ...]:
        return ((self.network, self.window_hours, self.same_amount, self.region),)


class Rail(Regional):
    """What a bank or wallet rail demands. `methods` are `gateway:payment method` pairs that run on it.

    For them the engine keeps to `windows` and to the rail's notices. Tries, status checks and `exact_amount` are there
    for people: no payment method of the three gateways runs on a rail that has them, and a policy says how often.
    """

    rail: Identifier
    """The rail's name; each of its versions has an id of its own."""
    methods: tuple[Annotated[str, Field(pattern=r"^[a-z]+:\S+$")], ...] = ()
    max_tries: Annotated[StrictInt, Field(ge=1)] | None = None
    """Attempts per charge, the first one included."""
    tries_within_days: Days | None = None
    status_checks_per_day: Annotated[StrictInt, Field(ge=1)] | None = None
    status_check_gap_seconds: Annotated[StrictInt, Field(ge=1)] | None = None
    exact_amount: StrictBool = False
    """The debit must equal the notified amount."""
    windows: tuple[ForbiddenWindow, ...] = ()

    def keys(self) -> tuple[Hashable, ...]:
        return (("rail", self.rail), *(("method", method) for method in self.methods))


class NoticeDuty(Regional):
    """Tell the payer ahead: not before `earliest`, at the latest `latest` before the debit."""

    network: Identifier | None = None
    rail: Identifier | None = None
    when: Literal["debit", "change", "trial_end"]
    """Before every debit, before a change of price, or before a trial ends."""
    min_interval_days: Days | None = None
    """Only for agreements with at least so many days between debits."""
    earliest_hours: Hours | None = None
    latest_hours: Hours
    proof: StrictBool
    """No debit without proof that the notice went out."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if (self.network is None) == (self.rail is None):
            raise ValueError("a notice is the duty of a network or of a rail")
        if self.earliest_hours is not None and self.earliest_hours < self.latest_hours:
            raise ValueError("earliest_hours is nearer to the debit than latest_hours")
        return self

    @property
    def earliest(self) -> timedelta | None:
        return None if self.earliest_hours is None else timedelta(hours=self.earliest_hours)

    @property
    def latest(self) -> timedelta:
        return timedelta(hours=self.latest_hours)

    def keys(self) -> tuple[Hashable, ...]:
        return ((self.network, self.rail, self.when, self.min_interval_days, self.region),)


class PayDays(Regional):
    """When people are commonly paid, by region (ISO 3166 country); without a region, everywhere else."""

    days: Annotated[tuple[PayDay, ...], Field(min_length=1)]

    def keys(self) -> tuple[Hashable, ...]:
        return (self.region,)


class PolicyRule(Rule):
    """A named retry policy."""

    plan: RetryPolicy

    def keys(self) -> tuple[Hashable, ...]:
        return (("policy", self.plan.name),)


class Bound(Rule):
    """What no retry policy may exceed."""

    max_window_days: Days


class HardDecline(Rule):
    """A category no waiting heals. `because` is the id of the rule that forbids it, its own where no other does."""

    category: DeclineCategory
    because: Identifier

    @model_validator(mode="after")
    def _hopeless(self) -> Self:
        if self.category in WAITING_HELPS:
            raise ValueError(f"{self.category} has a ladder in every policy")
        return self

    def keys(self) -> tuple[Hashable, ...]:
        return (("hard", self.category),)
