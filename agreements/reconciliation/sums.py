"""Whether a payout's details add up to its summary (gateways/antom.md §10.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agreements.reconciliation.records import Finding, Reason, ReportRow, RowKind, Side, SummaryRow

TOTAL = "TOTAL"


@dataclass(frozen=True)
class _Sum:
    count: int
    settled: int
    fee: int

    def plus(self, other: _Sum) -> _Sum:
        return _Sum(self.count + other.count, self.settled + other.settled, self.fee + other.fee)


_NOTHING = _Sum(0, 0, 0)


def check(rows: Iterable[ReportRow], summary: Sequence[SummaryRow], *, fees_apart: bool = False) -> list[Finding]:
    """Every kind of transaction whose details and summary differ; the total only where its own parts do not make it up.

    `fees_apart`: the details' amounts are gross, and the summary has taken their fees off. Contracts differ in that.
    """
    details = _details(rows, fees_apart=fees_apart)
    parts = {row.label: row for row in summary if row.label != TOTAL}
    found = [
        _finding(label, details.get(label, _NOTHING), parts.get(label), _currency(rows, summary))
        for label in sorted(details.keys() | parts.keys())
        if parts and _differs(details.get(label, _NOTHING), parts.get(label))
    ]
    whole = _NOTHING
    for each in [_of(row) for row in parts.values()] or details.values():
        whole = whole.plus(each)
    for row in summary:
        if row.label == TOTAL and _differs(whole, row):
            found.append(_finding(TOTAL, whole, row, row.settled_currency))
    return found


def _details(rows: Iterable[ReportRow], *, fees_apart: bool) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = {}
    for row in rows:
        fee = row.fee or 0
        settled = (row.settled or 0) - (fee if fees_apart else 0)
        sums[row.label] = sums.get(row.label, _NOTHING).plus(_Sum(1, settled, fee))
    return sums


def _of(row: SummaryRow) -> _Sum:
    return _Sum(row.count, row.settled, row.fee or 0)


def _differs(details: _Sum, said: SummaryRow | None) -> bool:
    if said is None:
        return True
    same_fee = said.fee is None or said.fee == details.fee
    return not (said.count == details.count and said.settled == details.settled and same_fee)


def _currency(rows: Iterable[ReportRow], summary: Sequence[SummaryRow]) -> str | None:
    return next(
        (row.settled_currency for row in summary), next((row.settled_currency for row in rows if row.settled), None)
    )


def _finding(label: str, details: _Sum, said: SummaryRow | None, currency: str | None) -> Finding:
    def side(count: int, settled: int, fee: int | None) -> Side:
        return Side(amount=settled, currency=currency, fee=fee, fee_currency=currency, count=count)

    return Finding(
        reason=Reason.SUMMARY,
        kind=RowKind.SUM,
        subject=f"{RowKind.SUM}:{label}",
        source=said.source if said else "",
        line=said.line if said else None,
        ours=side(details.count, details.settled, details.fee),
        theirs=side(said.count, said.settled, said.fee) if said else None,
    )
