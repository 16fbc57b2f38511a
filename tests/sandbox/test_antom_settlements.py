"""What Antom's sandbox writes about its books is what the note says a file looks like."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from sandbox.antom.app import create_app
from sandbox.antom.state import Client, Payment, Refund
from sandbox.database import Database

NOON = datetime(2027, 1, 31, 4, tzinfo=UTC)


def payment(number: int, value: int = 49900, currency: str = "PHP", **changes: Any) -> Payment:
    given: dict[str, Any] = {
        "payment_id": f"20270131194010800100188{number:09d}",
        "client_id": "SANDBOX_5Y1",
        "request_id": f"agr_{number}-c1-a1",
        "order_id": f"agr_{number}-c1",
        "wallet": "GCASH",
        "access_token": "secret",
        "credential_id": None,
        "currency": currency,
        "value": value,
        "notify_url": None,
        "clock": None,
        "created": NOON,
        "status": "SUCCESS",
        "code": "SUCCESS",
        "paid": NOON + timedelta(minutes=number),
    }
    return Payment(**given | changes)


def refund(number: int, of: int, **changes: Any) -> Refund:
    given: dict[str, Any] = {
        "refund_id": f"20270131194010801000188{number:09d}",
        "client_id": "SANDBOX_5Y1",
        "request_id": f"rfd_{number}",
        "payment_id": f"20270131194010800100188{of:09d}",
        "currency": "PHP",
        "value": 10000,
        "notify_url": None,
        "clock": None,
        "created": NOON + timedelta(hours=1),
        "status": "SUCCESS",
        "code": "SUCCESS",
        "done": NOON + timedelta(hours=1),
    }
    return Refund(**given | changes)


async def files(path: Path, query: str) -> dict[str, list[list[str]]]:
    """Rows by file; no cell here has a comma in it."""
    app = create_app(path)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        answer = await client.get(f"/_sandbox/settlements?{query}")
    assert answer.status_code == 200, answer.text
    return {
        each["name"]: [line.split(",") for line in each["content"].split("\r\n") if line]
        for each in answer.json()["data"]
    }


def column(rows: list[list[str]], name: str) -> list[str]:
    index = rows[0].index(name)
    return [row[index] for row in rows[1:-1]]


async def test_the_three_files_of_a_day(tmp_path: Path) -> None:
    books = Database(tmp_path / "antom.sqlite3")
    with books.begin() as session:
        session.add_all(
            [
                Client("SANDBOX_5Y1", "key", None, "Example Store"),
                Client("SANDBOX_5Y2", "key", None, "Somebody else"),
                payment(1),
                payment(2, 1200, "KRW", wallet="KAKAOPAY"),
                payment(3, status="CANCELLED", cancelled=NOON + timedelta(hours=2)),
                payment(4, status="FAIL", code="PROCESS_FAIL", paid=None),
                payment(5, client_id="SANDBOX_5Y2"),
                payment(6, paid=NOON + timedelta(hours=12)),  # midnight in GMT+8
                refund(1, of=1),
                refund(2, of=1, status="FAIL", code="PROCESS_FAIL", done=None),
                refund(3, of=1, status="FAIL", code="REFUND_AMOUNT_EXCEED", done=None),
            ]
        )
    books.close()
    found = await files(tmp_path / "antom.sqlite3", f"date={date(2027, 1, 31)}&client_id=SANDBOX_5Y1&reversed=1")
    assert list(found) == [
        "transactionItems_20270131_000.csv",
        "settlementItems_KRW_2027020100001_000.csv",
        "settlementSummary_KRW_2027020100001_000.csv",
        "settlementItems_PHP_2027020100001_000.csv",
        "settlementSummary_PHP_2027020100001_000.csv",
    ]
    assert all(rows[-1] == ["<END>"] for rows in found.values())
    day = found["transactionItems_20270131_000.csv"]
    kinds = ["PAYMENT", "PAYMENT", "PAYMENT", "PAYMENT", "PAYMENT_REVERSAL", "REFUND", "REFUND", "REFUND_REVERSAL"]
    assert sorted(column(day, "transactionType")) == ["CANCEL", *kinds]
    assert column(day, "paymentTime")[:2] == ["2027-01-31T12:00:00+08:00", "2027-01-31T12:01:00+08:00"]
    details = found["settlementItems_PHP_2027020100001_000.csv"]
    by_id = dict(zip(column(details, "transactionRequestId"), column(details, "settlementAmountValue"), strict=True))
    assert by_id["agr_1-c1-a1"] == "489.02"  # 499.00 less two per cent
    assert by_id["rfd_1"] == "-100.00"
    assert column(found["settlementItems_KRW_2027020100001_000.csv"], "transactionAmountValue") == ["1200"]
    summary = found["settlementSummary_PHP_2027020100001_000.csv"]
    sums = dict(zip(column(summary, "summaryType"), column(summary, "settlementAmountValue"), strict=True))
    parts = sum(round(float(value) * 100) for kind, value in sums.items() if kind != "TOTAL")
    assert parts == round(float(sums["TOTAL"]) * 100)
    assert sums["CANCEL"] == "-499.00"
