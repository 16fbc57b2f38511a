"""What a run shows people."""

from __future__ import annotations

from rich.table import Table

from bench.running import Outcome

_WORDS = {
    "double_charges": "double charges",
    "missed_cycles": "missed cycles",
    "over_budget_attempts": "attempts over a card's budget",
    "hard_declines_retried": "hard declines tried again",
    "books_disagree": "cycles on which the books disagree",
    "queries_refused": "queries beyond a provider's limits",
    "over_budget_by_declines_not_known_yet": "attempts over a budget by declines not known yet",
    "tries_on_a_wallet_token_refused_before": "tries on a wallet token another cycle was refused with",
}
_MOST_RULES = 12


def audit(outcome: Outcome) -> Table:
    """The audit of a run."""
    result = outcome.result
    table = Table(title=f"{result['cycles']:,} cycles, seed {outcome.run.seed}, policy {outcome.run.policy}")
    table.add_column("must be zero")
    table.add_column(justify="right")
    for name, count in result["must_be_zero"].items():
        table.add_row(_WORDS[name], f"[red]{count}[/red]" if count else "0")
    table.add_section()
    for words, value in _figures(outcome):
        table.add_row(words, value)
    table.add_section()
    often = sorted(result["decisions"].items(), key=lambda item: (-item[1], item[0]))
    for rule, count in often[:_MOST_RULES]:
        table.add_row(f"decided by {rule}", f"{count:,}")
    if rest := sum(count for _, count in often[_MOST_RULES:]):
        table.add_row(f"decided by {len(often) - _MOST_RULES} other rules", f"{rest:,}")
    if result["examples"]:
        table.caption = "\n".join(result["examples"])
    return table


def _figures(outcome: Outcome) -> list[tuple[str, str]]:
    result = outcome.result
    recovery, attempts = result["recovery_rate"], result["attempts_per_cycle"]
    return [
        ("unknown in the end, a person's to find out", f"{result['unresolved_unknowns']:,}"),
        *((_WORDS[name], f"{count:,}") for name, count in result["noticed"].items()),
        ("paid", f"{result['paid']:,}"),
        ("declined at first", f"{result['declined_at_first']:,}"),
        ("of these collected later", "-" if recovery is None else f"{recovery:.1%}"),
        ("attempts per cycle", "-" if attempts is None else f"{attempts:.3f}"),
        ("dead workers", f"{result['crashes']:,}"),
        ("steps", f"{result['steps']:,}"),
        ("seconds", f"{outcome.seconds:,.1f}"),
        ("steps per second", f"{outcome.steps_per_second:,.0f}"),
    ]
