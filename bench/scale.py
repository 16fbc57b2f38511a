"""From what one run measured to ten million agreements: the arithmetic, line by line.

Pure. Every function answers the lines of a table: what, how it is reckoned, and the result. What is assumed rather than
measured stands in the constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

AGREEMENTS = 10_000_000
"""Monthly, all with their debit on the first of the month: the worst case."""
ONE_HOUR, ONE_DAY, ONE_MONTH = 3_600, 86_400, 30 * 86_400
WINDOWS = {"within one hour": ONE_HOUR, "spread over the day": ONE_DAY, "spread over 30 days": ONE_MONTH}
BUSY = 0.6
"""Of a core's time that is planned with; the rest is for what nobody planned."""
PROVIDER_SECONDS = 1.0
"""A provider's answer, far slower than the sandbox's."""
FAIRNESS = 0.1
"""Actions Temporal Cloud adds to each while fairness is on."""
TIERS = ((5, 50.0), (5, 45.0), (10, 40.0), (30, 35.0), (50, 30.0), (100, 25.0))
"""Millions of actions a month, and dollars for each million, in order; above, the price is negotiated."""
ACTIVE_GBH, HOURS = 0.042, 744
"""Dollars for a gigabyte hour of open workflows' histories, and hours of a month as Temporal Cloud counts them."""
ROLL_AFTER = 400
"""Events after which a workflow continues as new (`AgreementStart.roll_after`)."""

SOONER = 4
"""How many times as often histories could be rolled over."""

Row = tuple[str, str, str]


def rates(figures: Mapping[str, Any]) -> list[Row]:
    """Debits a second, and the cores they take."""
    cpu = engine_cpu(figures)
    rows = []
    for name, seconds in WINDOWS.items():
        rate = AGREEMENTS / seconds
        cores = rate * sum(cpu.values()) / 1000 / BUSY
        rows.append(
            (
                name,
                f"{AGREEMENTS:,} ÷ {seconds:,} s; × {sum(cpu.values()):.1f} ms ÷ {BUSY:.0%}",
                f"{rate:,.1f} debits/s, {count(cores)} cores",
            )
        )
    return rows


def machines(figures: Mapping[str, Any], seconds: int) -> list[Row]:
    """Processes and cores of each part, when everything is to be collected within `seconds`."""
    rate = AGREEMENTS / seconds
    rows = []
    for part, ms in engine_cpu(figures).items():
        cores = rate * ms / 1000 / BUSY
        rows.append((part, f"{rate:,.0f}/s × {ms:.1f} ms ÷ {BUSY:.0%}", f"{count(cores)} cores"))
    return rows


def connections(figures: Mapping[str, Any], seconds: int, *, at_once: int, pool: int) -> list[Row]:
    """Workers, and what they hold open. A worker is one process on one core; `at_once` and `pool` are settings."""
    rate, cpu = AGREEMENTS / seconds, engine_cpu(figures)
    busy = math.ceil(rate * cpu.get("worker", 0) / 1000 / BUSY)
    waiting = math.ceil(rate * PROVIDER_SECONDS / at_once)
    workers, apis = max(busy, waiting), math.ceil(rate * cpu.get("api", 0) / 1000 / BUSY)
    return [
        ("workers, by CPU", f"{rate:,.0f}/s × {cpu.get('worker', 0):.1f} ms ÷ {BUSY:.0%}", count(busy)),
        ("workers, by waiting", f"{rate:,.0f}/s × {PROVIDER_SECONDS:.0f} s ÷ {at_once} calls at once", count(waiting)),
        (
            "API processes",
            f"one notification per debit: {rate:,.0f}/s × {cpu.get('api', 0):.1f} ms ÷ {BUSY:.0%}",
            count(apis),
        ),
        ("connections", f"({workers:,} + {apis:,}) × {pool}", count((workers + apis) * pool)),
    ]


def database(figures: Mapping[str, Any], seconds: int) -> list[Row]:
    """What PostgreSQL holds and writes."""
    found = figures["footprint"]
    rest, cycle = sum(found["at_rest_bytes"].values()), found["per_cycle"]
    grown, rows, log = sum(cycle["bytes"].values()), sum(cycle["rows"].values()), cycle["log_bytes"]
    return [
        ("agreements at rest", f"{AGREEMENTS:,} × {rest:,.0f} B", size(AGREEMENTS * rest)),
        ("rows a month", f"{AGREEMENTS:,} × {rows:.1f}", f"{AGREEMENTS * rows / 1e6:,.0f} million"),
        ("growth a month", f"{AGREEMENTS:,} × {grown:,.0f} B", size(AGREEMENTS * grown)),
        ("growth a year", f"12 × {size(AGREEMENTS * grown)}", size(12 * AGREEMENTS * grown)),
        ("log a month", f"{AGREEMENTS:,} × {log:,} B", size(AGREEMENTS * log)),
        (
            "log on the first",
            f"{AGREEMENTS / seconds:,.0f}/s × {log:,} B",
            f"{size(AGREEMENTS / seconds * log)} a second",
        ),
    ]


def temporal(figures: Mapping[str, Any]) -> list[Row]:
    """What Temporal holds: a history grows until it is rolled over, so that the average one is half as long."""
    history = figures["history"]["engine"]
    events, per_cycle = len(history["usual"]), history["bytes"]
    cycles = ROLL_AFTER / events
    average = per_cycle * cycles / 2
    return [
        ("cycles before a history is rolled over", f"{ROLL_AFTER} ÷ {events} events", f"{cycles:.0f}"),
        ("written a month", f"{AGREEMENTS:,} × {per_cycle:,.0f} B", size(AGREEMENTS * per_cycle)),
        ("history of an average agreement", f"{per_cycle:,.0f} B × {cycles:.0f} ÷ 2", size(average)),
        ("all open histories", f"{AGREEMENTS:,} × {size(average)}", size(AGREEMENTS * average)),
    ]


def cost(figures: Mapping[str, Any]) -> list[Row]:
    """What Temporal Cloud would charge by its list prices for one webhook endpoint per merchant."""
    per_month = actions(figures)
    monthly = AGREEMENTS * per_month / 1e6
    dollars, rest = tiered(monthly)
    rolls = f"{SOONER - 1} × {len(figures['history']['engine']['usual'])}/{ROLL_AFTER} more actions"
    stored = temporal_bytes(figures) / 1e9 * HOURS * ACTIVE_GBH
    above = f" and {rest:,.0f} million more at a negotiated price" if rest else ""
    return [
        ("actions of an agreement in a month", action_words(figures), f"{per_month:.2f}"),
        ("actions of all", f"{AGREEMENTS:,} × {per_month:.2f}", f"{monthly:,.1f} million"),
        ("price of the actions", "by the steps of the list, from $50 down to $25 a million", f"${dollars:,.0f}{above}"),
        ("storage", f"{size(temporal_bytes(figures))} × {HOURS} h × ${ACTIVE_GBH}", f"${stored:,.0f}"),
        (
            f"storage, rolled over after {ROLL_AFTER // SOONER} events",
            f"a {SOONER}th of it, for {rolls}",
            f"${stored / SOONER:,.0f}",
        ),
    ]


def actions(figures: Mapping[str, Any]) -> float:
    """Billable actions of an agreement with one debit a month and one webhook endpoint."""
    history = figures["history"]["engine"]
    cycle = sum(history["actions"].values()) + _webhooks(figures)
    return float((cycle + len(history["usual"]) / ROLL_AFTER) * (1 + FAIRNESS))


def action_words(figures: Mapping[str, Any]) -> str:
    """The same in words."""
    history = figures["history"]["engine"]
    listed = [f"{times} {kind}" for kind, times in history["actions"].items()]
    rolled = f"{len(history['usual'])}/{ROLL_AFTER} continued as new"
    webhooks = f"{_webhooks(figures):.0f} webhook (standalone activity started)"
    return f"({' + '.join([*listed, webhooks, rolled])}) × {1 + FAIRNESS} for fairness"


def tiered(millions: float) -> tuple[float, float]:
    """Dollars for so many millions of actions a month by the list, and the millions the list does not price."""
    dollars = 0.0
    for width, price in TIERS:
        part = min(millions, width)
        dollars += part * price
        millions -= part
    return dollars, millions


def temporal_bytes(figures: Mapping[str, Any]) -> float:
    """Of all open histories, rolled over as they are."""
    history = figures["history"]["engine"]
    return float(AGREEMENTS * history["bytes"] * ROLL_AFTER / len(history["usual"]) / 2)


def engine_cpu(figures: Mapping[str, Any]) -> dict[str, float]:
    """CPU milliseconds per cycle, webhook included, by what would run in production."""
    found = figures["collecting"]["cpu_ms_per_cycle"]["engine_with_webhooks"]
    return {part: found[part] for part in ("worker", "api", "postgres", "temporal") if part in found}


def _webhooks(figures: Mapping[str, Any]) -> float:
    return float(figures["footprint"]["per_cycle"]["rows"].get("deliveries", 0))


def size(number: float) -> str:
    """Bytes in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def count(number: float) -> str:
    """A number of whole things."""
    return f"{math.ceil(number):,}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """In markdown."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
