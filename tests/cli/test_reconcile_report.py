"""What finance people open in a spreadsheet or a browser holds text of others: none of it may do anything there."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from activities.reconciliation import Reconciled
from agreements.reconciliation import (
    DifferenceStatus,
    Finding,
    Matching,
    Reason,
    ReportKind,
    RowKind,
    Side,
    Total,
)
from cli.reconcile_report import page, table
from store.tables import SettlementDifference, SettlementFile

NOW = datetime(2025, 8, 5, 9, tzinfo=UTC)


def result(
    request_id: str, reason: Reason = Reason.UNKNOWN, amount: int = 49900, note: str | None = None
) -> Reconciled:
    finding = Finding(
        reason=reason,
        kind=RowKind.PAYMENT,
        subject=f"payment:{request_id}",
        source=f"{request_id}.csv",
        line=2,
        request_id=request_id,
        transaction_id="T1",
        theirs=Side(amount=amount, currency="PHP", id="T1"),
    )
    row = SettlementDifference(
        id="dif_1",
        account_id="gwa_1",
        statement="settlement USD 1",
        reason=reason,
        subject=finding.subject,
        status=DifferenceStatus.RESOLVED if note else DifferenceStatus.OPEN,
        finding=finding.model_dump(mode="json"),
        found_at=NOW,
        resolved_by="ana" if note else None,
        note=note,
    )
    file = SettlementFile(
        id="stf_1",
        account_id="gwa_1",
        statement=row.statement,
        kind=ReportKind.SETTLEMENT,
        name="items.csv",
        sha256="0",
        rows=1,
    )
    total = Total(kind=RowKind.PAYMENT, label="payment", currency="PHP", different=1, different_amount=amount)
    matching = Matching(findings=(finding,), totals=(total,), settled={"USD": 855}, fees={"USD": 17})
    return Reconciled("gwa_1", row.statement, [file], matching, [row], [row], [])


@pytest.mark.parametrize("text", ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_of_the_table_is_a_formula(text: str) -> None:
    [cells] = csv.DictReader(io.StringIO(table([result(text, note=text)]), newline=""))
    assert cells["request id"] == f"'{text}"
    assert cells["note"] == f"'{text}"
    assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for value in cells.values())


def test_amounts_of_the_table_can_be_added_up() -> None:
    [cells] = csv.DictReader(io.StringIO(table([result("r1", Reason.SUMMARY, amount=-175)])))
    assert (cells["amount at the provider"], cells["currency at the provider"]) == ("-1.75", "PHP")


def test_the_page_runs_nothing_and_loads_nothing() -> None:
    text = "<script>alert(1)</script>\"'><img src=x onerror=1>"
    made = page([result(text, note=text)], NOW)
    assert "<script" not in made
    assert "<img" not in made
    assert "&lt;script&gt;" in made
    assert "default-src 'none'" in made
    assert not any(word in made for word in ("http://", "https://", "<link", "@import", "url("))


def test_the_page_tells_sums_and_what_to_do() -> None:
    made = page([result("r1")], NOW)
    assert "1 difference needs" in made
    assert "The provider reports a payment of PHP 499.00; nothing in the ledger is like it." in made
    assert "Find out who made it." in made
    assert "settle USD 8.55" in made
    assert "No differences." in page([result("r1", note="ours")], NOW)
