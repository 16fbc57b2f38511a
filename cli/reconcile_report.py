"""What `autodebit reconcile` found, for people: on a terminal, as a table for a spreadsheet, as a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from activities.reconciliation import Reconciled
from agreements.money import major_units
from agreements.reconciliation import DifferenceStatus, Finding, Side, Total, words
from cli import tables
from store.tables import SettlementDifference

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)."""

_COLUMNS = (
    "difference",
    "status",
    "statement",
    "reason",
    "what differs",
    "what to do",
    "kind",
    "currency here",
    "amount here",
    "status here",
    "currency at the provider",
    "amount at the provider",
    "status at the provider",
    "notification",
    "agreement",
    "charge",
    "attempt or refund",
    "request id",
    "provider's id",
    "file",
    "line",
    "note",
)


def tell(found: Reconciled) -> None:
    """On the terminal."""
    console = tables.console()
    console.print(f"[bold]{tables.text(found.statement)}[/bold] [dim]of {found.account_id}[/dim]")
    for each in found.files:
        console.print(f"  {tables.text(each.name)}: {each.rows} rows")
    for total in found.matching.totals:
        console.print("  " + _in_short(total), markup=False)
    unsettled = [each for each in found.differences if each.status is not DifferenceStatus.RESOLVED]
    resolved = len(found.differences) - len(unsettled)
    if unsettled:
        differences(unsettled)
    waiting = sum(each.status is DifferenceStatus.PENDING for each in unsettled)
    console.print(f"{_differences(len(found.open))}, {waiting} pending, {resolved} resolved\n", markup=False)


def _differences(number: int) -> str:
    return "no differences" if number == 0 else "1 difference" if number == 1 else f"{number} differences"


def _in_short(total: Total) -> str:
    parts = [
        f"{name} {count} ({words.money(amount, total.currency)})"
        for name, count, amount in (
            ("matched", total.matched, total.matched_amount),
            ("pending", total.pending, total.pending_amount),
            ("different", total.different, total.different_amount),
            ("noted", total.noted, total.noted_amount),
        )
        if count
    ]
    label = total.label if total.noted else words.kind(total.kind)
    return f"{label}, {total.currency}: {', '.join(parts)}"


def differences(found: Sequence[SettlementDifference]) -> None:
    """A table of them."""
    tables.plain(
        ("difference", "status", "reason", "what differs", "agreement"),
        [(each.id, each.status, _name(each), _sentence(each), each.agreement_id or "") for each in found],
    )


def _finding(row: SettlementDifference) -> Finding:
    return Finding.model_validate(row.finding)


def _name(row: SettlementDifference) -> str:
    return words.NAMES[row.reason]


def _sentence(row: SettlementDifference) -> str:
    return words.tell(_finding(row))


def difference_as_json(row: SettlementDifference) -> dict[str, Any]:
    """One difference, with its sentence and what to do."""
    dumped = row.model_dump(mode="json")
    return {
        "id": row.id,
        "status": dumped["status"],
        "statement": row.statement,
        "account": row.account_id,
        "reason": dumped["reason"],
        "what_differs": _sentence(row),
        "what_to_do": words.what_to_do(row.reason),
        "agreement": row.agreement_id,
        "charge": row.charge_id,
        "request_id": row.finding["request_id"],
        "provider_id": row.finding["transaction_id"],
        "file": row.finding["source"] or None,
        "line": row.finding["line"],
        "found_at": dumped["found_at"],
        "resolved_at": dumped["resolved_at"],
        "resolved_by": row.resolved_by,
        "note": row.note,
        "finding": row.finding,
    }


def as_json(found: Reconciled) -> dict[str, Any]:
    """A whole result."""
    return {
        "account": found.account_id,
        "statement": found.statement,
        "files": [each.model_dump(mode="json") for each in found.files],
        "totals": [each.model_dump(mode="json") for each in found.matching.totals],
        "settled": found.matching.settled,
        "fees": found.matching.fees,
        "differences": [difference_as_json(each) for each in found.differences],
    }


def table(results: Iterable[Reconciled]) -> str:
    """All differences as CSV. Text that a spreadsheet would take for a formula is marked as text."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for result in results:
        for row in result.differences:
            writer.writerow(_cells(row))
    return text.getvalue()


def _cells(row: SettlementDifference) -> list[str]:
    finding = _finding(row)
    ours, theirs = finding.ours or Side(), finding.theirs or Side()
    heard = finding.heard
    said = f"{heard.status} {words.money(heard.amount, heard.currency)}".strip() if heard else ""
    here, there = (_money(side) for side in (ours, theirs))
    return [
        *(_text(each) for each in (row.id, row.status, row.statement, _name(row), _sentence(row))),
        *(_text(each) for each in (words.what_to_do(row.reason), words.kind(finding.kind))),
        *(_text(ours.currency), here, _text(ours.status), _text(theirs.currency), there, _text(theirs.status)),
        *(_text(each) for each in (said, row.agreement_id, row.charge_id, finding.record_id)),
        *(_text(each) for each in (finding.request_id, finding.transaction_id, finding.source)),
        str(finding.line or ""),
        _text(row.note),
    ]


def _money(side: Side) -> str:
    """A number a spreadsheet can add up; ours to write, so a minus is no danger."""
    return major_units(side.amount, side.currency) if side.amount is not None and side.currency else ""


def _text(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text


def page(results: Sequence[Reconciled], now: datetime) -> str:
    """One page with everything in it: no script, nothing loaded from elsewhere."""
    return _templates.get_template("reconciliation.html").render(
        results=[_shown(each) for each in results], now=f"{now:%Y-%m-%d %H:%M} UTC", kind=words.kind, money=words.money
    )


def _shown(found: Reconciled) -> dict[str, Any]:
    rows = sorted(found.differences, key=lambda each: (list(DifferenceStatus).index(each.status), each.id))
    return {
        "result": found,
        "open": [_told(each) for each in rows if each.status is DifferenceStatus.OPEN],
        "pending": [_told(each) for each in rows if each.status is DifferenceStatus.PENDING],
        "resolved": [_told(each) for each in rows if each.status is DifferenceStatus.RESOLVED],
        "settled": [words.money(value, currency) for currency, value in sorted(found.matching.settled.items())],
        "fees": [words.money(value, currency) for currency, value in sorted(found.matching.fees.items())],
    }


def _told(row: SettlementDifference) -> dict[str, Any]:
    finding = _finding(row)
    return {
        "row": row,
        "finding": finding,
        "name": _name(row),
        "sentence": _sentence(row),
        "to_do": words.what_to_do(row.reason),
    }
