"""A provider that keeps its own books: what it executed, on whose account, and what it told whom.

It knows nothing of the engine's records, and breaks down as providers do: answers are lost after the debit was
executed, requests never arrive or arrive late, notifications come twice, late and out of order. The audit reads its
books (`debits`, `wire`) and compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Literal, NamedTuple

from agreements.attempts import ChargeAnswer, Verdict
from agreements.declines import Decline
from agreements.guarantees import QueryLimits, Traits
from agreements.money import Money
from agreements.rulebook import Rulebook
from bench.customers import Trouble

TRAITS = {
    # Antom repeats a final answer for the same id.
    "antom": Traits(
        repeat_is_safe=timedelta(days=1),
        settling_time=timedelta(minutes=1),
        cancel_unfinished_after=timedelta(minutes=6),
        authorization_life=timedelta(minutes=15),
    ),
    # Ottu charges again whenever it is asked again, and answers queries after 10 minutes, 30 apart, 3 a day.
    "ottu": Traits(
        repeat_is_safe=None,
        settling_time=timedelta(minutes=30),
        cancel_unfinished_after=None,
        authorization_life=timedelta(hours=1),
        queries=QueryLimits(timedelta(minutes=10), timedelta(minutes=30), 3),
        opens=True,
    ),
    # Pivot keeps an idempotency key for a day, and forgets it then.
    "pivot": Traits(
        repeat_is_safe=timedelta(days=1),
        settling_time=timedelta(minutes=5),
        cancel_unfinished_after=timedelta(hours=1),
        authorization_life=timedelta(hours=1),
    ),
}
"""What the engine is told about each provider (payment-rules §4, gateways/ottu.md)."""

_KEY_LIFE = {"antom": timedelta.max, "ottu": timedelta(0), "pivot": timedelta(days=1)}
"""How long each really recognises a repeated request id."""

TIMEOUT = timedelta(seconds=15)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities: `lost` of an answer or a notification, `duplicate` and `shuffle` of a notification."""

    lost: float
    duplicate: float
    shuffle: float


class Request(NamedTuple):
    """A debit as it goes over the wire. `order` is the cycle, `token` the credential, `account` the card behind it."""

    request_id: str
    order: str
    agreement: str
    token: str
    account: str
    money: Money
    network: str | None
    generation: int


class Sent(NamedTuple):
    """One request on the wire, whether or not it arrived."""

    at: datetime
    request: Request


@dataclass(slots=True)
class Debit:
    """One debit the provider executed. `final` is what it comes to at `final_at`."""

    request: Request
    at: datetime
    final_at: datetime
    final: Literal["succeeded", "failed", "canceled"]
    trouble: Trouble | None = None
    given_back_at: datetime | None = None

    def status(self, now: datetime) -> str:
        return self.final if now >= self.final_at else "processing"


class Notice(NamedTuple):
    """A notification on its way."""

    at: datetime
    agreement: str
    debit: Debit
    said_at: datetime


@dataclass(slots=True)
class Account:
    """A card or wallet with everything that will ever trouble it."""

    troubles: list[Trouble] = field(default_factory=list)


class ModelProvider:
    """One provider with the accounts of one household."""

    def __init__(self, gateway: str, faults: Faults, rng: Random, rulebook: Rulebook) -> None:
        self.gateway = gateway
        self.traits = TRAITS[gateway]
        self.accounts: dict[str, Account] = {}
        self.debits: dict[str, list[Debit]] = {}
        self.wire: list[Sent] = []
        self.outbox: list[Notice] = []
        self.queries_refused = 0
        self._faults = faults
        self._rng = rng
        self._rulebook = rulebook
        self._late: list[tuple[datetime, Request]] = []
        self._queries: dict[str, list[datetime]] = {}

    def charge(self, request: Request, now: datetime) -> tuple[ChargeAnswer, timedelta]:
        """Debits, and says what became of it and how long that took. The answer may be a time-out, truly or not."""
        self.wire.append(Sent(now, request))
        self._arrive(now)
        took = timedelta(seconds=self._rng.uniform(0.2, 3))
        chance = self._rng.random()
        if chance < self._faults.lost / 5:
            # It never arrives, or after we stopped waiting for it.
            if self._rng.random() < 0.5:
                self._late.append((now + self.traits.settling_time * self._rng.uniform(0.1, 0.9), request))
            return _silence(), TIMEOUT
        debit = self._execute(request, now)
        if chance < self._faults.lost * 6 / 5:
            return _silence(), TIMEOUT
        return self.answer(debit, now), took

    def inquire(self, request_id: str, now: datetime) -> tuple[ChargeAnswer, timedelta]:
        """What became of a debit. Queries beyond the provider's limits are refused."""
        self._arrive(now)
        if not self._may_ask(request_id, now):
            self.queries_refused += 1
            return ChargeAnswer(Verdict.UNKNOWN, evidence="http_429"), timedelta(seconds=1)
        if self._rng.random() < self._faults.lost:
            return _silence(), TIMEOUT
        known = self.debits.get(request_id)
        if not known or self._not_visible_yet(known[-1], now):
            return ChargeAnswer(Verdict.NOT_FOUND, evidence="not_found"), timedelta(seconds=0.5)
        return self.answer(known[-1], now), timedelta(seconds=0.5)

    def cancel(self, request_id: str, now: datetime) -> tuple[Verdict, timedelta]:
        """Ends a debit: what is not final becomes canceled, what was taken is given back."""
        self._arrive(now)
        known = self.debits.get(request_id)
        if not known:
            return Verdict.NOT_FOUND, timedelta(seconds=0.5)
        debit = known[-1]
        if debit.status(now) == "processing":
            debit.final, debit.final_at, debit.trouble = "canceled", now, None
        elif debit.final == "succeeded":
            debit.given_back_at = now
        lost = self._rng.random() < self._faults.lost
        ended = Verdict.SUCCEEDED if debit.final != "failed" else Verdict.DECLINED
        return (Verdict.UNKNOWN, TIMEOUT) if lost else (ended, timedelta(seconds=0.5))

    def replace(self, old: str, new: str, now: datetime) -> None:
        """A new card: what was wrong with the old one stays behind, the customer's money troubles do not."""
        left = [each for each in self.accounts[old].troubles if each.cause.heals in ("funds", "limit", "outage")]
        later = [each for each in self.accounts[old].troubles if each not in left and each.since > now]
        self.accounts[new] = Account([*left, *later])

    def _arrive(self, now: datetime) -> None:
        """Requests that were under way longer than anybody waited for them."""
        for at, request in [late for late in self._late if late[0] <= now]:
            self._late.remove((at, request))
            self._execute(request, at)

    def _execute(self, request: Request, now: datetime) -> Debit:
        known = self.debits.setdefault(request.request_id, [])
        if known and now - known[-1].at < _KEY_LIFE[self.gateway]:
            return known[-1]
        troubles = self.accounts[request.account].troubles
        trouble = next((each for each in troubles if each.refuses(now, request.generation)), None)
        debit = Debit(request, now, self._final_at(now), "failed" if trouble else "succeeded", trouble)
        known.append(debit)
        if debit.final_at > now:
            self._notify(debit, now, now)
        self._notify(debit, debit.final_at, debit.final_at)
        return debit

    def _final_at(self, now: datetime) -> datetime:
        chance = self._rng.random()
        if chance >= 0.03:
            return now
        if chance < 0.001:
            return now + timedelta(hours=self._rng.uniform(0.2, 60))
        return now + timedelta(seconds=self._rng.expovariate(1 / 60))

    def _notify(self, debit: Debit, said_at: datetime, now: datetime) -> None:
        if self._rng.random() < self._faults.lost:
            return
        for _ in range(2 if self._rng.random() < self._faults.duplicate else 1):
            late = self._rng.random() < self._faults.shuffle
            delay = timedelta(seconds=self._rng.uniform(1, 20_000 if late else 30))
            self.outbox.append(Notice(now + delay, debit.request.agreement, debit, said_at))

    def answer(self, debit: Debit, now: datetime) -> ChargeAnswer:
        """What it says of a debit at some instant."""
        status, request = debit.status(now), debit.request
        payment_id = f"pay-{request.request_id}"
        if status == "processing":
            return ChargeAnswer(Verdict.PROCESSING, payment_id=payment_id, evidence="processing")
        given_back = debit.given_back_at is not None and now >= debit.given_back_at
        if status == "succeeded" and not given_back:
            return ChargeAnswer(Verdict.SUCCEEDED, payment_id=payment_id, amount=request.money, evidence="paid")
        if status == "canceled" or debit.trouble is None:
            return ChargeAnswer(Verdict.CANCELED, payment_id=payment_id, evidence="canceled")
        decline = decline_of(self.gateway, request.network, debit.trouble, self._rulebook, debit.at)
        return ChargeAnswer(Verdict.DECLINED, payment_id=payment_id, decline=decline, evidence=decline.raw_code or "")

    def _not_visible_yet(self, debit: Debit, now: datetime) -> bool:
        """Before its settling time it may deny what it has."""
        return now - debit.at < self.traits.settling_time * 0.9 and self._rng.random() < self._faults.lost

    def _may_ask(self, request_id: str, now: datetime) -> bool:
        """Limits are about debits it was asked for; what it never heard of it says at any time."""
        limits = self.traits.queries
        asked = self._queries.setdefault(request_id, [])
        sent = next((sent.at for sent in self.wire if sent.request.request_id == request_id), None)
        if sent is None:
            return True
        early = now - sent < limits.first_after or bool(asked and now - asked[-1] < limits.apart)
        often = limits.per_day is not None and sum(now - at < _DAY for at in asked) >= limits.per_day
        asked.append(now)
        return not early and not often

    def executed(self) -> Iterator[Debit]:
        """Every debit it ever executed, in no particular order."""
        for debits in self.debits.values():
            yield from debits


def decline_of(gateway: str, network: str | None, trouble: Trouble, rulebook: Rulebook, now: datetime) -> Decline:
    """The decline as our connector would read it from the provider's words."""
    cause = trouble.cause
    raw = cause.codes[gateway]
    meaning = rulebook.meaning(gateway, raw, now.date())
    return Decline(
        category=meaning.category,
        code=meaning.code,
        raw_code=raw,
        network_code=cause.network_code if network else None,
        network_advice=trouble.advice(network, now),
        message=meaning.message,
    )


def _silence() -> ChargeAnswer:
    return ChargeAnswer(Verdict.UNKNOWN, evidence="timeout")
