"""The pages that show the figures: docs/performance.md and docs/scale.md.

What stands there between `<!-- figures: NAME -->` and `<!-- end -->` is written from the figures kept beside them, and
the plots are drawn from the same, so that neither can say anything else.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import scale, svg
from bench.scale import table
from settings import Settings

Figures = Mapping[str, Any]

PAGES = ("performance.md", "scale.md")
KEPT = Path("performance") / "figures.json"
GOALS = {"engine": 0.8, "engine_with_webhooks": 0.5}
SIDES = {
    "bare_loop": "bare loop",
    "engine": "engine, webhook queued",
    "engine_with_webhooks": "engine, webhook delivered",
}
EVENTS = 12
"""At most, in a clean cycle."""

_IMAGE = re.compile(r"\n\n!\[[^\n]*")
_MARKED = re.compile(r"(<!-- figures: ([a-z_]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def keep(docs: Path, figures: Figures) -> list[Path]:
    """Writes figures, plots and pages under `docs`; what was written. Raises KeyError for a marker nobody fills."""
    folder = docs / KEPT.parent
    folder.mkdir(exist_ok=True)
    written = {docs / KEPT: json.dumps(figures, indent=1) + "\n"}
    written |= {folder / f"{name}.svg": plot(figures) for name, plot in PLOTS.items()}
    written |= {docs / page: filled((docs / page).read_text(), figures) for page in PAGES}
    for path, words in written.items():
        path.write_text(words)
    return list(written)


def filled(page: str, figures: Figures) -> str:
    """The page with these figures between its markers. Raises KeyError for a marker nobody fills."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{SECTIONS[found[2]](figures)}\n\n{found[3]}", page)


def in_words(figures: Figures) -> str:
    """Everything the pages show but the plots."""
    parts = (f"{name.replace('_', ' ').upper()}\n\n{section(figures)}" for name, section in SECTIONS.items())
    return _IMAGE.sub("", "\n\n".join(parts))


def _made(figures: Figures) -> str:
    made, plan = figures["made"], figures["made"]["plan"]
    return (
        f"Measured {made['at'][:10]} with version {made['version']} on {made['cores']} cores "
        f"(Python {made['python']}, temporalio {made['temporalio']}): {plan['standing']:,} agreements in the database, "
        f"{plan['rounds']} rounds of {plan['herd']} debits due at once on each side, in turns."
    )


def _collecting(figures: Figures) -> str:
    found = figures["collecting"]
    rows = []
    for side, name in SIDES.items():
        rates = [each["per_second"] for each in found["rounds"] if each["side"] == side]
        ratio = found["ratios"].get(side)
        said = "1" if ratio is None else f"**{ratio['median']}** ({ratio['least']} to {ratio['most']})"
        spread = f"{statistics.median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f})"
        rows.append((name, spread, said, _goal(side, ratio)))
    return table(("side", "cycles/s: median (least to most)", "÷ bare loop", "goal"), rows) + (
        "\n\n![cycles a second](performance/throughput.svg)\n\n![debits after the due instant](performance/curves.svg)"
    )


def _goal(side: str, ratio: Mapping[str, float] | None) -> str:
    if ratio is None:
        return ""
    return f"≥ {GOALS[side]}: {'reached' if ratio['median'] >= GOALS[side] else 'missed'}"


def _profile(figures: Figures) -> str:
    cpu = figures["collecting"]["cpu_ms_per_cycle"]
    parts = sorted({part for each in cpu.values() for part in each if sum(s.get(part, 0) for s in cpu.values()) >= 0.1})
    by_part = table(
        ("CPU ms per cycle", *SIDES.values()),
        [(part, *(f"{cpu[side].get(part, 0):.1f}" for side in SIDES)) for part in parts]
        + [("**sum**", *(f"**{sum(cpu[side].values()):.1f}**" for side in SIDES))],
    )
    worker = figures["worker_profile"]
    packages = table(("package", "share"), [(f"`{n}`", f"{share:.0%}") for n, share in worker["packages"].items()])
    ours = {name: share for name, share in worker["within"].items() if _is_ours(name)}
    functions = table(("function, with all it calls", "share"), [(f"`{n}`", f"{s:.0%}") for n, s in ours.items()])
    sent = worker["per_debit"]
    kinds = table(("statement", "per debit"), [(f"`{n}`", f"{t:.1f}") for n, t in sent.get("kinds", {}).items()])
    return (
        f"{by_part}\n\n![CPU per cycle](performance/cpu.svg)\n\nA worker's time by the package whose code "
        f"was running ({worker['samples']:,} samples):\n\n{packages}\n\n"
        f"Our own functions, each with everything below it:\n\n{functions}\n\n"
        f"For a debit and its webhook it sends {sent.get('statements', 0)} statements and commits "
        f"{sent.get('commits', 0)} times:\n\n{kinds}"
    )


def _is_ours(name: str) -> bool:
    return name.partition("/")[0] in ("activities", "store", "agreements", "workflows", "gateways")


def _history(figures: Figures) -> str:
    ours, bare = figures["history"]["engine"], figures["history"]["bare_loop"]
    events = len(ours["usual"])
    rows = [
        (
            "events",
            f"{events} (goal ≤ {EVENTS}: {'reached' if events <= EVENTS else 'missed'})",
            str(len(bare["usual"])),
        ),
        ("cycles that were clean", f"{ours['clean_share']:.0%}", f"{bare['clean_share']:.0%}"),
        ("most events of any cycle", str(ours["most_events"]), str(bare["most_events"])),
        ("bytes, payloads sealed", f"{ours['bytes']:,.0f}", ""),
        ("state transitions", f"{ours['transitions']:.0f}", ""),
    ]
    listed = "\n".join(f"{n}. {event.replace('_', ' ')}" for n, event in enumerate(ours["usual"], 1))
    return (
        table(("per clean cycle", "engine", "bare loop"), rows)
        + f"\n\nThe events of the engine's clean cycle:\n\n{listed}"
    )


def _front_door(figures: Figures) -> str:
    found = figures["front_door"]
    rows = [
        (
            f"`{row['request']}`",
            *(f"{row[side][p]:.1f}" for side in ("ours_ms", "bare_ms") for p in ("p50", "p99")),
            f"**{row['ratio_p50']}**",
            f"**{row['ratio_p99']}**",
        )
        for row in found["latency"]
    ]
    head = ("request", "p50 ms", "p99 ms", "bare p50", "bare p99", "p50 ÷ bare", "p99 ÷ bare")
    asked = f"{found['requests']:,} requests of each kind on each side, {found['at_once']} at a time"
    return f"{asked}, {found['agreements']:,} agreements in the database.\n\n{table(head, rows)}"


def _spike(figures: Figures) -> str:
    spike = figures["spikes"][0]
    due = spike["large"]["count"] + spike["small"]["count"]
    kept = "never exceeded" if spike["most"] <= spike["limit"] else "**exceeded**"
    rows = [
        ("due at one instant", f"{spike['large']['count']:,}"),
        (f"due {spike['behind']:.0f} s later", f"{spike['small']['count']:,} of the small merchant"),
        ("limit of the provider", f"{spike['limit']} calls in any one second"),
        ("so its queue hands out", f"{spike['handed_out']} tasks a second"),
        ("most debits in any one second", f"{spike['most']} ({kept})"),
        (
            "until the last debit",
            f"{spike['seconds']:.1f} s; at that rate alone it takes {due / spike['handed_out']:.1f} s",
        ),
    ]
    return table(("", ""), rows) + "\n\n![a due day](performance/spike.svg)"


def _fairness(figures: Figures) -> str:
    rows = [
        (
            "a key for each merchant" if each["keyed"] else "one key for both",
            *(f"{each[who][what]:.1f} s" for who in ("small", "large") for what in ("median", "longest")),
        )
        for each in figures["spikes"]
    ]
    sizes = figures["spikes"][0]
    head = ("fairness", "small: median", "small: longest", "large: median", "large: longest")
    return (
        f"{sizes['small']['count']} agreements of the small merchant beside {sizes['large']['count']} of the large one."
        f"\n\n{table(head, rows)}\n\n![delay of the small merchant](performance/fairness.svg)"
    )


def _actions(figures: Figures) -> str:
    return table(
        ("what", "reckoned", "result"),
        [
            (
                "actions of an agreement with one debit a month",
                scale.action_words(figures),
                f"**{scale.actions(figures):.2f}**",
            )
        ],
    )


def _reckoned(rows: list[scale.Row]) -> str:
    return table(("what", "reckoned", "result"), rows)


def _setting(name: str) -> int:
    return int(Settings.model_fields[name].default)


def _connections(figures: Figures) -> str:
    at_once, pool = _setting("charge_concurrency"), _setting("database_pool")
    return _reckoned(scale.connections(figures, scale.ONE_HOUR, at_once=at_once, pool=pool))


def _tables(figures: Figures) -> str:
    found = figures["footprint"]
    rest = table(
        ("at rest", "bytes per agreement"), [(f"`{t}`", f"{b:,.0f}") for t, b in found["at_rest_bytes"].items()]
    )
    cycle = found["per_cycle"]
    rows = [(f"`{name}`", f"{n:.2f}", f"{cycle['bytes'][name]:,.0f}") for name, n in cycle["rows"].items()]
    return f"{rest}\n\n{table(('added by a cycle', 'rows', 'bytes'), rows)}"


SECTIONS: dict[str, Callable[[Figures], str]] = {
    "made": _made,
    "collecting": _collecting,
    "profile": _profile,
    "history": _history,
    "front_door": _front_door,
    "spike": _spike,
    "fairness": _fairness,
    "actions": _actions,
    "rates": lambda figures: _reckoned(scale.rates(figures)),
    "machines": lambda figures: _reckoned(scale.machines(figures, scale.ONE_HOUR)),
    "connections": _connections,
    "tables": _tables,
    "database": lambda figures: _reckoned(scale.database(figures, scale.ONE_HOUR)),
    "temporal": lambda figures: _reckoned(scale.temporal(figures)),
    "cost": lambda figures: _reckoned(scale.cost(figures)),
}


def _throughput_plot(figures: Figures) -> str:
    rounds = figures["collecting"]["rounds"]
    rates = {name: [r["per_second"] for r in rounds if r["side"] == side] for side, name in SIDES.items()}
    rows = [(name, statistics.median(found)) for name, found in rates.items()]
    return svg.bars("Full cycles a second: median, and each round", rows, "/s", rates)


def _curves_plot(figures: Figures) -> str:
    series = {}
    for side, name in SIDES.items():
        rounds = sorted(
            (r for r in figures["collecting"]["rounds"] if r["side"] == side), key=lambda r: r["per_second"]
        )
        series[name] = _share(rounds[len(rounds) // 2]["curve"])
    return svg.curves("Debits at the provider after the due instant (median round)", series, "s", "% of the debits")


def _spike_plot(figures: Figures) -> str:
    spike = figures["spikes"][0]
    due = spike["large"]["count"] + spike["small"]["count"]
    series = {"debits": _share(spike["curve"]), "the queue's rate": [(0.0, 0.0), (due / spike["handed_out"], 100.0)]}
    return svg.curves(f"{due} debits of a due day", series, "s", "% of the debits")


def _share(curve: list[float]) -> list[tuple[float, float]]:
    return [(0.0, 0.0), *((at, 100 * n / len(curve)) for n, at in enumerate(curve, 1))]


def _cpu_plot(figures: Figures) -> str:
    cpu = figures["collecting"]["cpu_ms_per_cycle"]
    rows = {name: {p: ms for p, ms in cpu[side].items() if ms >= 0.1} for side, name in SIDES.items()}
    return svg.stacked("CPU milliseconds per cycle, by process", rows, "ms")


def _fairness_plot(figures: Figures) -> str:
    rows = [
        (f"{'own key' if each['keyed'] else 'shared key'}, {who} merchant", each[who]["median"])
        for each in figures["spikes"]
        for who in ("small", "large")
    ]
    return svg.bars("Median seconds from the due instant to the debit", rows, "s")


PLOTS: dict[str, Callable[[Figures], str]] = {
    "throughput": _throughput_plot,
    "curves": _curves_plot,
    "cpu": _cpu_plot,
    "spike": _spike_plot,
    "fairness": _fairness_plot,
}
