"""The decline mix as data: why debits fail and what heals them (`decline_mix.toml`)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Mean = Annotated[float, Field(gt=0)]
Heals = Literal["funds", "hold", "limit", "outage", "refresh", "new_card", "never"]
Kind = Literal["wallet", "card"]

GATEWAY_KINDS: dict[str, Kind] = {"antom": "wallet", "ottu": "card", "pivot": "card"}


class _Sourced(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str


class Shares(BaseModel):
    """One share for wallets and one for cards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wallet: Share
    card: Share

    def of(self, kind: Kind) -> float:
        return self.wallet if kind == "wallet" else self.card


class FirstAttempts(_Sourced, Shares):
    """The share of first attempts that is declined."""


class Cause(_Sourced):
    """One reason for a decline. `never` says how far a refusal reaches that no waiting heals."""

    name: str
    share: Shares
    heals: Heals
    never: Literal["cycle", "credential"] | None = None
    network_code: str
    network_advice: str | None = None
    codes: dict[str, str]


class Funds(_Sourced):
    """When an empty account has money again."""

    gone_for_good: Share
    pay_day_suffices: Share
    stays_days_mean: Mean
    transfer_every_days_mean: Mean
    transfer_stays_days_mean: Mean
    booked_before_nine: Share


class Pay(_Sourced):
    """How the customers of a region are paid; `*` is every other region."""

    region: str
    customary: Share
    weekly: Share
    fortnightly: Share
    monthly: Share


class Hold(_Sourced):
    """How long an issuer's distrust lasts."""

    passes: Share
    days_mean: Mean


class Limit(_Sourced):
    """When a limit is free again; the rest never is."""

    next_day: Share
    next_month: Share


class Outage(_Sourced):
    """How long an issuer is down."""

    short: Share
    short_minutes_mean: Mean
    long_hours_mean: Mean


class Advice(_Sourced):
    """How often Mastercard's advice to wait comes with a decline for want of money."""

    share: Share


class Customers(_Sourced):
    """What customers do whose card died."""

    new_card: Share
    days_mean: Mean
    refresh_heals: Share


class Fees(_Sourced):
    """What schemes charge, in US dollars."""

    visa_offence: Share
    mastercard_offence: Share
    mastercard_advised: Share
    advised_regions: tuple[str, ...]


class Mix(BaseModel):
    """A whole mix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    first_attempts: FirstAttempts
    cause: tuple[Cause, ...]
    funds: Funds
    pay: tuple[Pay, ...]
    hold: Hold
    limit: Limit
    outage: Outage
    advice: Advice
    customers: Customers
    fees: Fees

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for kind in ("wallet", "card"):
            total = sum(cause.share.of(kind) for cause in self.cause)
            if abs(total - 1) > 1e-9:
                raise ValueError(f"the shares of {kind} sum to {total}, not 1")
        for pay in self.pay:
            if abs(pay.customary + pay.weekly + pay.fortnightly + pay.monthly - 1) > 1e-9:
                raise ValueError(f"the ways of being paid in {pay.region} do not sum to 1")
        return self

    def pay_of(self, region: str) -> Pay:
        """How customers of a region are paid."""
        return next((pay for pay in self.pay if pay.region == region), self.pay[0])


@cache
def load(path: Path | None = None) -> Mix:
    """A mix, the shipped one by default. Raises pydantic's ValidationError for one that does not add up."""
    raw = resources.files("bench").joinpath("decline_mix.toml").read_bytes() if path is None else path.read_bytes()
    return Mix.model_validate(tomllib.loads(raw.decode()))
