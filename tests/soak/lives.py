"""What happens to the agreements of a run, and what the provider must have kept of each of their cycles."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cli.demo.stories import ANA, MONTH_ENDS, NOOR, NOORS_NEW_CARD, SARI, START, Story
from tests.soak.merchant import Json

CYCLES_AT_MOST = len(MONTH_ENDS)
STORIES = (ANA, NOOR, SARI)
"""Whose agreement, and so which gateway."""
BEGIN = datetime.fromisoformat(START)
"""A few hours before the first cycle: where customers agree by paying, they pay it."""
A_WEEK_BEFORE = BEGIN - timedelta(days=7)
"""There is nothing to pay yet: where customers agree by paying, they pay a verification."""

_DUE = timedelta(hours=1)
"""09:00 in Manila, as UTC."""
_LEG_ENDS = timedelta(days=10)
"""Into the month after a due date: a first retry is over, the next cycle still to come."""
_OTTUS_CARDS = (NOOR.page["card"], NOORS_NEW_CARD["card"])
_IN_DOUBT = timedelta(days=2)
"""An attempt this close to a pause or a revocation may have been under way, or about to be tried again."""

Command = Literal["none", "revoke", "pause and drop", "pause and collect", "refund", "another card"]


@dataclass(frozen=True)
class Life:
    """`script` is what the provider does in each cycle; the command comes in the middle of the run.

    An expired card is good until the customer gives another one.
    """

    script: str
    command: Command = "none"


LIVES = (
    Life("success"),
    Life("insufficient_funds,success"),
    Life("lost_answer_success"),
    Life("success", "revoke"),
    Life("processing_then_success"),
    Life("success", "pause and drop"),
    Life("timeout,success"),
    Life("success", "refund"),
    Life("shuffled_notifications"),
    Life("success", "pause and collect"),
    Life("expired_card", "another card"),
    Life("success", "another card"),
    Life("insufficient_funds,success", "another card"),
)


@dataclass(frozen=True)
class Subscriber:
    """One customer of a run. No two owe the same amount, so that a mix-up shows."""

    number: int
    life: Life
    cycles: int
    command_in: int
    """The cycle (from 2) during whose month the command comes; a pause ends in the month after."""
    command_after: float
    """Real seconds after that month began to pass."""
    story: Story = ANA
    begins: datetime = BEGIN

    @property
    def gateway(self) -> str:
        return self.story.gateway

    @property
    def currency(self) -> str:
        return str(self.story.amount["currency"])

    @property
    def amount(self) -> int:
        return (2_000_000 if self.currency == "IDR" else 10_000) + 100 * self.number

    @property
    def pays_first(self) -> bool:
        """Whether the customer pays cycle 1 as they agree."""
        return self.gateway != "antom" and self.begins == BEGIN

    @property
    def refunded(self) -> dict[int, int]:
        """What goes back, in minor units, by cycle: half of the one before the command."""
        return {self.command_in - 1: self.amount // 200 * 100} if self.life.command == "refund" else {}

    @property
    def script(self) -> str:
        if self.life.script == "expired_card":
            good = self.command_in - 1 - self.pays_first
            return ",".join([*["success"] * good, "expired_card"])
        return ",".join([self.life.script] * self.cycles)

    def page(self, card: int) -> dict[str, str]:
        """What the customer fills in on the provider's page with their first card, second, ..."""
        if self.gateway == "ottu":
            return {"card": _OTTUS_CARDS[card % len(_OTTUS_CARDS)]}
        return {"card": _card_number(self.number, card)} if self.gateway == "pivot" else {}

    def body(self, clock: str, attempt: int) -> Json:
        """The create call; `attempt` counts the customers who got lost on the way before."""
        amount = {"currency": self.currency, "value": self.amount}
        who = {"id": f"cus-{self.number}", "email": f"cus-{self.number}@example.com"}
        return {
            **self.story.agreement,
            "reference": f"soak-{self.number}-{attempt}",
            "customer": self.story.agreement["customer"] | who,
            "terms": {**ANA.agreement["terms"], "amount": amount, "total_cycles": self.cycles},
            "test_clock": clock,
        }

    def gives_card(self, cycle: int) -> bool:
        """Whether the customer has given another card by the end of a cycle's month."""
        return self.life.command == "another card" and cycle >= self.command_in

    def command(self, cycle: int) -> tuple[str, Json] | None:
        """What the merchant does to the agreement in the month of a cycle: the end of the path, and the body."""
        name = self.life.command
        if name.startswith("pause") and cycle == self.command_in + 1:
            return "resume", {"missed_cycles": name.removeprefix("pause and ")}
        if cycle != self.command_in:
            return None
        if name == "revoke":
            return "revoke", {"initiator": "customer"}
        return ("pause", {}) if name.startswith("pause") else None


def subscribers(dice: random.Random, count: int, cycles: int, per_clock: int) -> list[Subscriber]:
    """The customers of a run, every kind of life and every gateway among them; every other clock begins early."""
    return [
        Subscriber(
            number,
            LIVES[number % len(LIVES)],
            cycles,
            command_in=dice.randint(2, cycles - 1),
            command_after=dice.uniform(0, 2),
            story=STORIES[number % len(STORIES)],
            begins=A_WEEK_BEFORE if number // per_clock % 2 else BEGIN,
        )
        for number in range(count)
    ]


def _card_number(customer: int, card: int) -> str:
    """A number nobody else pays with, and so a card that is nobody else's: with a correct check digit."""
    front = f"444{customer:08d}{card:04d}"
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in front[::2])
    plain = sum(int(digit) for digit in front[1::2])
    return f"{front}{-(doubled + plain) % 10}"


def due_at(cycle: int) -> datetime:
    """The instant of a cycle by the terms: 09:00 of the last day of the month, in Manila."""
    return datetime.fromisoformat(f"{MONTH_ENDS[cycle - 1]}T00:00:00Z") + _DUE


def legs(cycles: int) -> list[datetime]:
    """Where a clock is advanced to for each cycle, and at last so far that everything has come to its end."""
    ends = [due_at(cycle) + _LEG_ENDS for cycle in range(1, cycles + 1)]
    return [*ends, ends[-1] + timedelta(days=60)]


def kept_at_least_and_most(subscriber: Subscriber, cycle: int, events: Sequence[Json]) -> tuple[int, int]:
    """How many debits of a cycle the provider must have kept, from the rules and from when the commands took effect.

    Every cycle is collected once, however it went (design promise 1). After a revocation none is (promise 4); one that
    falls due during a pause is dropped if the merchant says so.
    """
    due, command = due_at(cycle), subscriber.life.command
    if command == "revoke":
        return _before(due, _when(events, "agreement.revoked"))
    if command == "pause and drop":
        paused, resumed = _when(events, "agreement.paused"), _when(events, "agreement.resumed")
        if min(abs(due - paused), abs(due - resumed)) <= _IN_DOUBT:
            return 0, 1
        return (0, 0) if paused < due < resumed else (1, 1)
    return 1, 1


def _before(due: datetime, end: datetime) -> tuple[int, int]:
    if due > end:
        return 0, 0
    return (0, 1) if end - due <= _IN_DOUBT else (1, 1)


def _when(events: Sequence[Json], type_: str) -> datetime:
    return next(datetime.fromisoformat(event["created_at"]) for event in events if event["type"] == type_)
