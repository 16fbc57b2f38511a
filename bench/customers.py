"""Customers: why a debit on an account is refused from some instant on, and when it would pass again.

A customer's fate is drawn whole, before anybody tries anything: whoever asks at one instant gets the same answer,
however often and by whatever plan they ask. That is what makes two plans comparable.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from agreements import schedule
from agreements.policies import PayDay
from bench.mix import GATEWAY_KINDS, Cause, Mix

_HORIZON_DAYS = 45
_DAY = timedelta(days=1)
_ADVICE = ((1, "24"), (24, "25"), (48, "26"), (96, "27"), (144, "28"), (192, "29"), (240, "30"))
"""Mastercard's advised waits in hours (payment-rules §2.2)."""
_LONGEST_ADVICE = 240.0

Window = tuple[datetime, datetime | None]


@dataclass(slots=True)
class Trouble:
    """Debits from `since` on are refused, except inside `windows` (open-ended where the second is None).

    `until` is where the customer's next fate begins: what refused one cycle does not refuse the one after it by itself.
    `advised`: the issuer says when to come back, as it sees the account at that moment.
    `healed_by_refresh` is about dead tokens: whether a refreshed one is good. `generation` is the token that was found
    dead first.
    """

    cause: Cause
    since: datetime
    windows: tuple[Window, ...]
    advised: bool = False
    healed_by_refresh: bool = False
    generation: int | None = None
    until: datetime | None = None

    def refuses(self, now: datetime, generation: int = 0) -> bool:
        """Whether a debit at `now` with this token is refused because of it."""
        if now < self.since or (self.until is not None and now >= self.until):
            return False
        if self.cause.heals == "refresh":
            if self.generation is None:
                self.generation = generation
            return not (self.healed_by_refresh and generation > self.generation)
        return not any(start <= now and (end is None or now < end) for start, end in self.windows)

    def advice(self, network: str | None, now: datetime) -> str | None:
        """Mastercard's advice code on a decline at `now`."""
        if network != "mastercard":
            return None
        if self.cause.network_code != "51":
            return self.cause.network_advice
        if not self.advised:
            return None
        coming = min((start for start, _ in self.windows if start > now), default=None)
        hours = _LONGEST_ADVICE if coming is None else (coming - now) / timedelta(hours=1)
        return next((code for floor, code in _ADVICE if floor >= hours), "30")


@dataclass(frozen=True, slots=True)
class Payer:
    """What of a customer decides about money: where they are, how they pay. `pay_days` are customary in the region."""

    gateway: str
    region: str
    timezone: str
    network: str | None
    pay_days: tuple[PayDay, ...]


def trouble(rng: Random, mix: Mix, payer: Payer, at: datetime) -> Trouble | None:
    """What refuses the first debit due at `at`; None for the many that pass."""
    declined = rng.random() < mix.first_attempts.of(GATEWAY_KINDS[payer.gateway])
    return refusal(rng, mix, payer, at) if declined else None


def refusal(rng: Random, mix: Mix, payer: Payer, at: datetime, among: Sequence[Cause] | None = None) -> Trouble:
    """What refuses a debit due at `at` that does not pass; `among` are the causes known to be possible."""
    kind = GATEWAY_KINDS[payer.gateway]
    causes = [cause for cause in mix.cause if payer.gateway in cause.codes] if among is None else among
    [cause] = rng.choices(causes, [cause.share.of(kind) for cause in causes])
    found = Trouble(cause, at - timedelta(hours=rng.uniform(0, 12)), tuple(_windows(rng, mix, cause, payer, at)))
    found.healed_by_refresh = cause.heals == "refresh" and rng.random() < mix.customers.refresh_heals
    found.advised = payer.network == "mastercard" and rng.random() < mix.advice.share
    return found


def _windows(rng: Random, mix: Mix, cause: Cause, payer: Payer, at: datetime) -> Iterator[Window]:
    if cause.heals == "funds":
        yield from _money(rng, mix, payer, at)
    elif cause.heals == "hold":
        if rng.random() < mix.hold.passes:
            yield at + _DAY * rng.expovariate(1 / mix.hold.days_mean), None
    elif cause.heals == "limit":
        day, which = schedule.today(payer.timezone, at), rng.random()
        if which < mix.limit.next_day:
            yield schedule.local_instant(day + _DAY, "00:00", payer.timezone), None
        elif which < mix.limit.next_day + mix.limit.next_month:
            first = day.replace(day=monthrange(day.year, day.month)[1]) + _DAY
            yield schedule.local_instant(first, "00:00", payer.timezone), None
    elif cause.heals == "outage":
        short = rng.random() < mix.outage.short
        minutes = mix.outage.short_minutes_mean if short else mix.outage.long_hours_mean * 60
        yield at + timedelta(minutes=rng.expovariate(1 / minutes)), None


def _money(rng: Random, mix: Mix, payer: Payer, at: datetime) -> Iterator[Window]:
    """When there is enough on the account, over the weeks after a debit found it empty."""
    funds = mix.funds
    if rng.random() < funds.gone_for_good:
        return
    for instant in _paid_at(rng, mix, payer, at):
        if rng.random() < funds.pay_day_suffices:
            yield instant, instant + _DAY * rng.expovariate(1 / funds.stays_days_mean)
    instant, end = at, at + _HORIZON_DAYS * _DAY
    while (instant := instant + _DAY * rng.expovariate(1 / funds.transfer_every_days_mean)) < end:
        yield instant, instant + _DAY * rng.expovariate(1 / funds.transfer_stays_days_mean)


def _paid_at(rng: Random, mix: Mix, payer: Payer, at: datetime) -> Iterator[datetime]:
    """The instants of a customer's pay-days after `at`."""
    pay = mix.pay_of(payer.region)
    [how] = rng.choices(
        ("customary", "weekly", "fortnightly", "monthly"), (pay.customary, pay.weekly, pay.fortnightly, pay.monthly)
    )
    phase, early = rng.randrange(10), rng.random() < mix.funds.booked_before_nine
    minutes = rng.randrange(0, 540) if early else rng.randrange(540, 1080)
    day_of_month: tuple[PayDay, ...] = (rng.randint(1, 28),)
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}"
    first = schedule.today(payer.timezone, at)
    for ahead in range(_HORIZON_DAYS):
        day = first + ahead * _DAY
        if how in ("weekly", "fortnightly"):
            paid = day.weekday() == phase % 5 and (how == "weekly" or (day.toordinal() // 7 + phase) % 2 == 0)
        else:
            days = payer.pay_days if how == "customary" else day_of_month
            # Whoever's pay-day falls on the weekend is paid on the Friday before.
            meant = [day, day + _DAY, day + 2 * _DAY] if day.weekday() == 4 else [day] if day.weekday() < 4 else []
            length = {each: monthrange(each.year, each.month)[1] for each in meant}
            paid = any(
                each.day == (length[each] if wanted == "last" else min(wanted, length[each]))
                for each in meant
                for wanted in days
            )
        if paid and (instant := schedule.local_instant(day, clock, payer.timezone)) > at:
            yield instant
