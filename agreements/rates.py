"""How often a provider may be called, and what follows for how fast a queue may hand out its tasks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

_SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86_400}
_FORM = re.compile(r"([1-9][0-9]{0,8})(?:/(s|min|h|day))?", re.ASCII)

_AT_ONCE = 1
"""Seconds of its rate that Temporal hands out at once after a pause (measured on server 1.32)."""
_SHARE = 10
"""Of a rate, a task that makes calls by the thousand takes one in so many."""
_BUNCHED = 1
"""Seconds by which calls may come closer together than their tasks did: a busy worker is slower with one than another.
"""


@dataclass(frozen=True)
class Rate:
    """At most so many calls in any stretch of so many seconds."""

    calls: int
    seconds: int = 1

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Reads `50/s`, `1800/min`, `9000/h`, `90000/day`; a bare number is per second. Raises ValueError."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no rate such as 50/s, 1800/min, 9000/h or 90000/day")
        return cls(int(found[1]), _SECONDS[found[2] or "s"])

    def tasks_per_second(self, calls_per_task: int = 1) -> float:
        """How fast a queue may hand out tasks of so many calls each, so that no stretch of time sees more than `calls`.

        A token bucket with a rate r lets up to r (seconds + 1) + 1 through in a stretch; the last one is kept by
        staying just below. A tenth less than the published number costs a tenth; a short stretch costs more: 50/s
        becomes 16 a second, 3000/min becomes 48, for a provider that counts by the second must not see a burst.
        """
        exact = self.calls / (calls_per_task * (self.seconds + _AT_ONCE + _BUNCHED))
        return math.floor(exact * 999) / 1000 if exact > 1 else exact * 0.999

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.calls}/{unit}"


def read(value: object) -> object:
    """`antom=50/s, ottu=1800/min` as pairs. Raises ValueError for what is no rate, and for a gateway named twice."""
    if not isinstance(value, str):
        return value
    pairs = tuple(_pair(each) for each in value.split(",") if each.strip())
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a gateway is named twice")
    return pairs


def _pair(text: str) -> tuple[str, Rate]:
    name, equals, rate = text.partition("=")
    if not equals:
        raise ValueError(f"{text.strip()!r} is not of the form gateway=rate")
    return name.strip(), Rate.parse(rate)


def of(pairs: Iterable[tuple[str, Rate]], gateway: str) -> Rate | None:
    """The rate of one gateway, where it has one."""
    return dict(pairs).get(gateway)


def apart(rate: Rate | None, least: float) -> float:
    """Seconds between the calls of one long task, `least` or more: its queue counts it once, whatever it calls."""
    return least if rate is None else max(least, _SHARE / rate.tasks_per_second())
