"""The audit of a due day finds each way in which an agreement may not have been debited once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.soak.due_day import debited, in_arrears

DUE = datetime(2027, 1, 31, 9, 0, tzinfo=UTC)
AMOUNTS = {"agr_1": 10_000, "agr_2": 10_100}


def debit(amount: int, at: datetime = DUE) -> dict[str, Any]:
    return {"amount": amount, "virtual_time": at.isoformat()}


GOOD = {"agr_1-c1": [debit(10_000)], "agr_2-c1": [debit(10_100, DUE + timedelta(minutes=5))]}


def agreement(status: str, paid: int) -> dict[str, Any]:
    return {"id": "agr_1", "status": status, "totals": {"cycles_paid": paid}}


def test_a_day_without_a_difference() -> None:
    assert list(debited(GOOD, AMOUNTS, DUE)) == []
    assert list(in_arrears([agreement("active", 1)])) == []


@pytest.mark.parametrize(
    "found",
    [
        [],
        [debit(10_000), debit(10_000)],
        [debit(10_100)],
        [debit(10_000, DUE - timedelta(seconds=1))],
    ],
    ids=["never", "twice", "another's amount", "too early"],
)
def test_a_debit_that_is_not_what_is_owed(found: list[dict[str, Any]]) -> None:
    [line] = debited({**GOOD, "agr_1-c1": found}, AMOUNTS, DUE)
    assert line.startswith("agr_1: debited")


@pytest.mark.parametrize(("status", "paid"), [("past_due", 0), ("active", 0), ("active", 2)])
def test_an_agreement_that_is_not_paid_up(status: str, paid: int) -> None:
    assert len(list(in_arrears([agreement(status, paid)]))) == 1
