"""An audit is worth what it finds: two ledgers that agree, and every way in which they may not."""

from __future__ import annotations

from typing import Any

import pytest

from cli.audit import differences

ORDER = "agr_1-c1"


def attempt(number: int, status: str, value: int = 100) -> dict[str, Any]:
    return {
        "gateway_request_id": f"{ORDER}-a{number}",
        "status": status,
        "amount": {"currency": "PHP", "value": value},
    }


def back(number: int, status: str = "succeeded", value: int = 100, kind: str = "refund") -> dict[str, Any]:
    return {
        "gateway_request_id": f"{ORDER}-a{number}-r1",
        "kind": kind,
        "status": status,
        "amount": {"currency": "PHP", "value": value},
    }


def charge(status: str, *parts: dict[str, Any]) -> dict[str, Any]:
    """A charge of attempts and refunds."""
    refunds = [part for part in parts if "kind" in part]
    attempts = [part for part in parts if "kind" not in part]
    return {"id": "chg_1", "status": status, "attempts": attempts, "refunds": refunds}


def moved(kind: str, number: int, status: str = "succeeded", amount: int = 100, suffix: str = "") -> dict[str, Any]:
    return {
        "request_id": f"{ORDER}-a{number}{suffix}",
        "kind": kind,
        "status": status,
        "amount": amount,
        "currency": "PHP",
        "merchant_reference": ORDER,
    }


PAID = charge("succeeded", attempt(1, "succeeded"))


@pytest.mark.parametrize(
    ("one", "ledger"),
    [
        (charge("scheduled"), []),
        (PAID, [moved("debit", 1)]),
        (charge("scheduled", attempt(1, "prepared")), []),
        (charge("unknown", attempt(1, "unknown")), []),
        (
            charge("succeeded", attempt(1, "failed"), attempt(2, "succeeded")),
            [moved("debit", 1, "failed"), moved("debit", 2)],
        ),
        (charge("canceled", attempt(1, "canceled")), [moved("debit", 1, "failed"), moved("cancel", 1)]),
        (charge("reversed", attempt(1, "reversed"), back(1, kind="cancel")), [moved("debit", 1), moved("cancel", 1)]),
        (charge("refunded", attempt(1, "succeeded"), back(1, kind="cancel")), [moved("debit", 1), moved("cancel", 1)]),
        (
            charge("reversed", attempt(1, "reversed"), back(1)),
            [moved("debit", 1), moved("cancel", 1, "failed"), moved("refund", 1, suffix="-r1")],
        ),
        (
            charge("succeeded", attempt(1, "succeeded"), attempt(2, "reversed"), back(2, kind="cancel")),
            [moved("debit", 1), moved("debit", 2), moved("cancel", 2)],
        ),
        (
            charge("partially_refunded", attempt(1, "succeeded"), back(1, value=30)),
            [moved("debit", 1), moved("refund", 1, amount=30, suffix="-r1")],
        ),
        (
            charge("succeeded", attempt(1, "succeeded"), back(1, "failed")),
            [moved("debit", 1), moved("refund", 1, "failed", suffix="-r1")],
        ),
        (charge("succeeded", attempt(1, "succeeded"), back(1, "unknown")), [moved("debit", 1)]),
        # The customer tried twice on one page.
        (PAID, [moved("debit", 1, "failed"), moved("debit", 1)]),
    ],
)
def test_ledgers_that_agree(one: dict[str, Any], ledger: list[dict[str, Any]]) -> None:
    assert differences([one], ledger) == []


@pytest.mark.parametrize(
    ("one", "ledger", "found"),
    [
        (PAID, [], "attempt agr_1-c1-a1: succeeded here, nothing at the provider"),
        (charge("failed", attempt(1, "failed")), [moved("debit", 1)], "failed here, succeeded at the provider"),
        (charge("unknown", attempt(1, "unknown")), [moved("debit", 1)], "unknown here, succeeded at the provider"),
        (charge("failed", attempt(1, "failed")), [moved("debit", 1, "processing")], "processing at the provider"),
        (charge("scheduled", attempt(1, "prepared")), [moved("debit", 1, "failed")], "prepared here"),
        (PAID, [moved("debit", 1), moved("debit", 1)], "the provider has it 2 times"),
        (PAID, [moved("debit", 1), moved("debit", 2)], "the provider has it, the engine does not"),
        (PAID, [moved("debit", 1, amount=101)], "another amount at the provider"),
        (PAID, [moved("debit", 1), moved("cancel", 1)], "100 collected by the engine's ledger, 0 by the provider's"),
        (PAID, [moved("debit", 1), moved("refund", 1, amount=1)], "99 by the provider's"),
        (
            PAID,
            [moved("debit", 1), moved("refund", 1, "failed")],
            "refund agr_1-c1-a1: the provider has it, the engine",
        ),
        (charge("reversed", attempt(1, "reversed"), back(1)), [moved("debit", 1)], "0 collected by the engine's"),
        (
            charge("refunded", attempt(1, "succeeded"), back(1)),
            [moved("debit", 1)],
            "refund agr_1-c1-a1-r1: succeeded here, nothing at the provider",
        ),
        (
            charge("succeeded", attempt(1, "succeeded"), back(1, "failed")),
            [moved("debit", 1), moved("refund", 1, suffix="-r1")],
            "refund agr_1-c1-a1-r1: failed here, succeeded at the provider",
        ),
        (
            charge("succeeded", attempt(1, "succeeded"), back(1, "unknown")),
            [moved("debit", 1), moved("refund", 1, suffix="-r1")],
            "refund agr_1-c1-a1-r1: unknown here, succeeded at the provider",
        ),
        (
            charge("partially_refunded", attempt(1, "succeeded"), back(1, value=30)),
            [moved("debit", 1), moved("refund", 1, amount=31, suffix="-r1")],
            "another amount at the provider, 31 PHP",
        ),
        (
            charge("refunded", attempt(1, "succeeded"), back(1)),
            [moved("debit", 1), moved("refund", 1, suffix="-r1"), moved("refund", 1, suffix="-r1")],
            "refund agr_1-c1-a1-r1: the provider has it 2 times",
        ),
        (
            charge("succeeded", attempt(1, "succeeded"), back(1)),
            [moved("debit", 1), moved("refund", 1, suffix="-r1")],
            "charge chg_1: succeeded here, refunded by the provider's ledger",
        ),
        (
            charge("succeeded", attempt(1, "succeeded"), attempt(2, "succeeded")),
            [moved("debit", 1), moved("debit", 2)],
            "2 debits were kept",
        ),
    ],
)
def test_every_difference_is_told(one: dict[str, Any], ledger: list[dict[str, Any]], found: str) -> None:
    told = differences([one], ledger)
    assert any(found in line for line in told), told
