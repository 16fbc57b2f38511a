"""Writes the tables of docs/observability.md from the code: `python -m tests.docs.observability_page`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import Counter, Histogram

from agreements.invariants import Invariant
from telemetry import metrics
from telemetry.backlog import ALL

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
_HEADS = ("| metric | labels | meaning |", "| gauge | labels | meaning |", "| invariant | what would break it |")


def counted() -> Iterator[tuple[str, Sequence[str], str]]:
    """Name as Prometheus knows it, labels and meaning of every metric the process counts itself."""
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Histogram):
            [family] = metric.describe()
            name = f"{family.name}_total" if isinstance(metric, Counter) else family.name
            yield name, metric._labelnames, family.documentation


def tables() -> tuple[str, ...]:
    """In the order of the page."""
    own = [_row(f"`{name}`", _labels(labels), meaning) for name, labels, meaning in counted()]
    read = [_row(f"`autodebit_{each.name}`", _labels(each.labels), each.meaning) for each in ALL]
    rules = dict(re.findall(r'= "(\w+)"\n    """(.*?)"""', inspect.getsource(Invariant)))
    promised = [_row(f"`{each.value}`", rules[each.value]) for each in Invariant]
    return tuple(
        "\n".join([head, re.sub(r"[^|]+", "---", head), *rows]) + "\n"
        for head, rows in zip(_HEADS, (own, read, promised), strict=True)
    )


def with_tables(page: str) -> str:
    """The page with its tables as they should be."""
    for head, table in zip(_HEADS, tables(), strict=True):
        page = re.sub(re.escape(head) + r"\n(\|.*\n)+", table.replace("\\", r"\\"), page, count=1)
    return page


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _labels(labels: Sequence[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "none"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
