"""Retry policies: how often, how long and how far apart a declined charge is tried again.

Named policies are data (`agreements/rulebook/data/policies.toml`); an agreement may also bring one of its own, which is
refused where it could break a card scheme's rule whatever the card (`resolve`).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError, model_validator

from agreements import schedule
from agreements.declines import DeclineCategory
from agreements.terms import Terms

if TYPE_CHECKING:
    from agreements.rulebook.lookups import Rulebook
    from agreements.rulebook.model import Bound, Budget

PayDay = Annotated[StrictInt, Field(ge=1, le=31)] | Literal["last"]
"""A day of the month on which people are paid; in a month without it, its last day."""

OWN_POLICY = "custom"
"""The name of whatever policy an agreement brings itself."""

WAITING_HELPS = frozenset(
    {
        DeclineCategory.INSUFFICIENT_FUNDS,
        DeclineCategory.LIMIT_EXCEEDED,
        DeclineCategory.DO_NOT_HONOR,
        DeclineCategory.ISSUER_UNAVAILABLE,
    }
)
"""The only categories with a ladder. For every other one the rulebook names the rule that forbids to wait and retry."""

_Hours = Annotated[float, Field(ge=0.25, le=30 * 24, strict=True)]
# A local day may be shorter than 24 hours where the clocks change.
_CLOCK_CHANGE = timedelta(hours=2)


class AtEnd(StrEnum):
    """What becomes of the agreement when a cycle's retries are used up."""

    PAST_DUE = "past_due"
    """The cycle stays unpaid, the next one is collected on its day."""
    PAUSE = "pause"
    REVOKE = "revoke"
    CARRY = "carry"
    """The unpaid amount may be added to the next cycle, if the terms allow it."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Frozen):
    """One wait, in one of three forms.

    `wait_hours` count from the decline. `local_days` name the agreement's debit time so many local days later: a daily
    limit is free again on the next day, not 24 hours later. `earliest_hours` to `latest_hours` is the range in which
    the first pay-day is chosen.
    """

    wait_hours: _Hours | None = None
    local_days: Annotated[StrictInt, Field(ge=1, le=30)] | None = None
    earliest_hours: _Hours | None = None
    latest_hours: _Hours | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.earliest_hours is None) != (self.latest_hours is None):
            raise ValueError("earliest_hours and latest_hours come together")
        if sum(form is not None for form in (self.wait_hours, self.local_days, self.earliest_hours)) != 1:
            raise ValueError("a step is one of wait_hours, local_days, or earliest_hours with latest_hours")
        if (self.earliest_hours or 0) > (self.latest_hours or 0):
            raise ValueError("earliest_hours is after latest_hours")
        return self

    @property
    def shortest(self) -> timedelta:
        """What lies between the decline and the next attempt at the very least, in any zone."""
        if self.local_days is not None:
            return max(timedelta(days=self.local_days - 1) - _CLOCK_CHANGE, timedelta(0))
        return timedelta(hours=self.wait_hours or self.earliest_hours or 0)


class Ladder(_Frozen):
    """The waits after the first, second, ... decline of one category. After the last one nothing follows."""

    rule: Annotated[str, Field(min_length=1, max_length=64)] = "own_ladder"
    """What decisions by this ladder are recorded under."""
    steps: Annotated[tuple[Step, ...], Field(max_length=20)]

    def at(
        self,
        step: int,
        now: datetime,
        terms: Terms,
        pay_days: Sequence[PayDay] = (),
        before: datetime | None = None,
    ) -> datetime:
        """The instant (UTC) of the attempt after the `step`-th decline (from 1), seen at `now`.

        A step with a range takes the debit time on the first of `pay_days` inside it and earlier than `before`, else
        the range's beginning.
        """
        form = self.steps[step - 1]
        if form.local_days is not None:
            day = schedule.today(terms.timezone, now) + timedelta(days=form.local_days)
            return schedule.local_instant(day, terms.debit_time, terms.timezone)
        earliest = now + timedelta(hours=form.wait_hours or form.earliest_hours or 0)
        if form.latest_hours is None:
            return earliest
        latest = now + timedelta(hours=form.latest_hours)
        pay_day = _first_pay_day(earliest, latest, terms, pay_days)
        return earliest if pay_day is None or (before is not None and pay_day >= before) else pay_day


class RetryPolicy(_Frozen):
    """Ladders per category under two ceilings: attempts per charge, and time since the charge was due."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    max_attempts: Annotated[StrictInt, Field(ge=1)]
    """Per charge, the first one included."""
    window_days: Annotated[StrictInt, Field(ge=1)]
    """No attempt later than this after the charge was due."""
    ladders: Mapping[DeclineCategory, Ladder]
    """One for each category waiting helps with; a ladder without steps gives up at once."""
    pay_days: StrictBool | tuple[PayDay, ...]
    """Whether steps with a range look for the pay-days of the customer's region, or for these days of the month."""
    at_end: AtEnd
    customer_days: Annotated[StrictInt, Field(ge=1, le=90)] = 14
    """How long the customer has where only they can help."""

    @model_validator(mode="after")
    def _a_ladder_each(self) -> Self:
        if wrong := sorted(WAITING_HELPS ^ self.ladders.keys()):
            raise ValueError(f"ladders are needed for {', '.join(sorted(WAITING_HELPS))} and nothing else: {wrong[0]}")
        return self

    @property
    def window(self) -> timedelta:
        return timedelta(days=self.window_days)

    def most_within(self, span: timedelta) -> int:
        """A ceiling of the attempts any mix of declines can bring within a span of time.

        The waits of all ladders are used up shortest first, and a refused token is refreshed and tried at once, one
        time per charge.
        """
        attempts, used = 2, timedelta(0)
        for wait in sorted(step.shortest for ladder in self.ladders.values() for step in ladder.steps):
            used += wait
            if used > span:
                break
            attempts += 1
        return min(attempts, self.max_attempts)


class PolicyRefused(Exception):
    """A retry policy nobody may have. `pointer` is the JSON pointer of the field at fault inside the policy ("" for
    the whole), `rule` the id of the rule it would break, None where it is malformed."""

    def __init__(self, pointer: str, detail: str, rule: str | None = None) -> None:
        super().__init__(f"{pointer or '/'}: {detail}")
        self.pointer = pointer
        self.detail = detail
        self.rule = rule


def resolve(policy: str | dict[str, Any], rulebook: Rulebook, on: date, *, accepted: bool = False) -> RetryPolicy:
    """The policy a merchant named, or the one they wrote: `base` (a name, else `standard`) and what differs from it.

    `on` is the day of the decision. Raises PolicyRefused for what is malformed or unknown, and for what would break a
    card scheme's rule whatever the card. Wallets are held to the same: an agreement may change to a card later.

    A policy `accepted` before is not measured again: rules become stricter under agreements that run, and each
    decision keeps to the budgets of its day anyway.
    """
    if isinstance(policy, str):
        return _named(policy, "", rulebook, on)
    own = dict(policy)
    base = own.pop("base", "standard")
    if not isinstance(base, str):
        raise PolicyRefused("/base", "the name of a policy")
    if "name" in own:
        raise PolicyRefused("/name", "an agreement's own policy has no name")
    known = _named(base, "/base", rulebook, on)
    ladders = own.pop("ladders", {})
    if not isinstance(ladders, Mapping):
        raise PolicyRefused("/ladders", "an object with one ladder per decline category")
    for category in ladders:
        _refuse_hopeless(str(category), rulebook, on)
    try:
        resolved = RetryPolicy.model_validate(
            {**known.model_dump(), "name": OWN_POLICY, **own, "ladders": {**known.ladders, **ladders}}
        )
    except ValidationError as error:
        found = max(error.errors(), key=lambda each: len(each["loc"]))
        detail = "unknown field" if found["type"] == "extra_forbidden" else found["msg"].removeprefix("Value error, ")
        raise PolicyRefused(_pointer(found["loc"], {**own, "ladders": ladders}), detail) from None
    found_breach = None if accepted else breach(resolved, rulebook.bounds(on), rulebook.every_budget(on))
    if found_breach:
        raise found_breach
    return resolved


def breach(policy: RetryPolicy, bounds: Iterable[Bound], budgets: Iterable[Budget]) -> PolicyRefused | None:
    """The first rule that a policy could break on some card, if there is one."""
    for bound in bounds:
        if policy.window_days > bound.max_window_days:
            detail = f"at most {bound.max_window_days} days: {bound.what}"
            return PolicyRefused("/window_days", detail, bound.id)
    for budget in budgets:
        most = policy.most_within(budget.window)
        if most > budget.limit:
            # Fewer attempts would do for any budget; where enough wait long, longer waits do too.
            pointer = "/max_attempts" if most == policy.max_attempts else "/ladders"
            limit = f"at most {budget.limit} attempts in {budget.window_hours} hours on one {_of(budget)}"
            return PolicyRefused(pointer, f"{limit}, and this policy allows {most}", budget.id)
    return None


def _of(budget: Budget) -> str:
    return "card" if budget.network == "*" else f"{budget.network} card"


def _named(name: str, pointer: str, rulebook: Rulebook, on: date) -> RetryPolicy:
    known = rulebook.policies(on)
    if not known:  # a test clock stands before the rulebook begins
        raise PolicyRefused(pointer, f"the rulebook has no policy for {on}")
    if name not in known:
        raise PolicyRefused(pointer, f"must be one of: {', '.join(sorted(known))}")
    return known[name]


def _refuse_hopeless(category: str, rulebook: Rulebook, on: date) -> None:
    pointer = f"/ladders/{_escaped(category)}"
    if category not in set(DeclineCategory):
        raise PolicyRefused(pointer, f"must be one of: {', '.join(sorted(WAITING_HELPS))}")
    if category not in WAITING_HELPS:
        hard = rulebook.hard(DeclineCategory(category), on)
        raise PolicyRefused(pointer, f"never tried again by waiting: {hard.what}", hard.because)


def _pointer(location: Sequence[int | str], written: Any) -> str:
    """The JSON pointer of what pydantic complains about. Its locations also name the forms it tried: left out here."""
    pointer = ""
    for part in location:
        if isinstance(written, Mapping):
            pointer, written = f"{pointer}/{_escaped(str(part))}", written.get(part)
        elif isinstance(written, Sequence) and isinstance(part, int):
            pointer, written = f"{pointer}/{part}", written[part]
    return pointer


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _first_pay_day(earliest: datetime, latest: datetime, terms: Terms, pay_days: Sequence[PayDay]) -> datetime | None:
    day, last_day = schedule.today(terms.timezone, earliest), schedule.today(terms.timezone, latest)
    while day <= last_day:
        instant = schedule.local_instant(day, terms.debit_time, terms.timezone)
        if earliest <= instant <= latest and any(_falls_on(pay_day, day) for pay_day in pay_days):
            return instant
        day += timedelta(days=1)
    return None


def _falls_on(pay_day: PayDay, day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    return day.day == (length if pay_day == "last" else min(pay_day, length))
