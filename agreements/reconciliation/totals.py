"""How much of a statement agrees: per kind of transaction and currency, with what was settled and what it cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from agreements.reconciliation.records import Finding, Matching, Movement, ReportRow, RowKind, Total

_Key = tuple[RowKind, str, str]


class Totals:
    """Adds up while a statement is matched."""

    def __init__(self) -> None:
        self._sums: dict[_Key, Counter[str]] = defaultdict(Counter)
        self._settled: Counter[str] = Counter()
        self._fees: Counter[str] = Counter()

    def row(self, row: ReportRow, found: Finding | None) -> None:
        """A row that agrees, or does not."""
        self._add((row.kind, row.kind.value, row.currency), "different" if found else "matched", row.amount)
        self._money(row)

    def noted(self, row: ReportRow) -> None:
        """A row on the provider's own account."""
        self._add((row.kind, row.label, row.currency), "noted", row.amount)
        self._money(row)

    def missing(self, movement: Movement, *, pending: bool) -> None:
        """A movement that is not in the report, or not yet."""
        key = (movement.kind, movement.kind.value, movement.currency)
        self._add(key, "pending" if pending else "different", movement.amount)

    def matching(self, findings: Sequence[Finding]) -> Matching:
        """The result."""
        totals = [
            Total(kind=kind, label=label, currency=currency, **sums)
            for (kind, label, currency), sums in sorted(self._sums.items(), key=lambda each: _place(*each[0]))
        ]
        return Matching(
            findings=tuple(findings), totals=tuple(totals), settled=dict(self._settled), fees=dict(self._fees)
        )

    def _add(self, key: _Key, column: str, amount: int) -> None:
        self._sums[key][column] += 1
        self._sums[key][f"{column}_amount"] += amount

    def _money(self, row: ReportRow) -> None:
        if row.settled is not None and row.settled_currency:
            self._settled[row.settled_currency] += row.settled
        if row.fee is not None and row.fee_currency:
            self._fees[row.fee_currency] += row.fee


def _place(kind: RowKind, label: str, currency: str) -> tuple[str, int, str]:
    return currency, list(RowKind).index(kind), label
