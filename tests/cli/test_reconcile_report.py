"""What finance people open in a spreadsheet or a browser holds text of others: none of it may do anything there."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

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
from cli.reconcile import app
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


def test_files_that_cannot_be_taken_in_are_told_without_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "ENVIRONMENT": "dev",
        "DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1:9/none",
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
        "VAULT_KEYS": Fernet.generate_key().decode(),
        "VAULT_HASH_KEY": "hash key of the tests",
    }.items():
        monkeypatch.setenv(f"AUTODEBIT_{name}", value)
    bad, half, none = (tmp_path / f"transactionItems_2025080{day}_000.csv" for day in (1, 2, 3))
    bad.write_text("transactionType,transactionId\n<END>\n")
    half.write_text("transactionType,transactionId,transactionAmountValue,transactionCurrency\n")
    ended = CliRunner().invoke(app, [str(bad), str(half), str(none)])
    assert ended.exit_code == 2
    assert ended.stderr.splitlines() == [
        f"{bad}: line 1, column transactionAmountValue: the column is missing in a file of transactions",
        f"{half}: it does not end with <END>: it is not complete",
        f"{none}: No such file or directory",
    ]
