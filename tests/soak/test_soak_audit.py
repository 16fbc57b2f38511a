"""The audit of a run is worth what it finds: books that agree, and each way in which they may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.soak.audit import LifeBooks, audit
from tests.soak.lives import Life, Subscriber, due_at

WHO = Subscriber(number=0, life=Life("success"), cycles=1, command_in=2, command_after=0)
ORDER = "agr_1-c1"
MONEY = {"currency": "PHP", "value": WHO.amount}
DEBIT = {
    "request_id": f"{ORDER}-a1",
    "kind": "debit",
    "status": "succeeded",
    "amount": WHO.amount,
    "currency": "PHP",
    "virtual_time": due_at(1).isoformat(),
    "merchant_reference": ORDER,
}
ATTEMPT = {"gateway_request_id": f"{ORDER}-a1", "status": "succeeded", "amount": MONEY}
CHARGE = {
    "id": "chg_1",
    "agreement": "agr_1",
    "purpose": "cycle",
    "cycle": 1,
    "amount": MONEY,
    "status": "succeeded",
    "paid_at": due_at(1).isoformat(),
    "attempts": [ATTEMPT],
    "refunds": [],
}

# A verification, and what the provider has of it.
PROOF = {
    **CHARGE,
    "id": "chg_2",
    "purpose": "verification",
    "cycle": None,
    "status": "reversed",
    "paid_at": None,
    "attempts": [{**ATTEMPT, "gateway_request_id": "chg_2-a1", "status": "reversed"}],
    "refunds": [{"gateway_request_id": "rfd_2", "kind": "refund", "status": "succeeded", "amount": MONEY}],
}
PROVED = {**DEBIT, "request_id": "chg_2-a1", "merchant_reference": "chg_2"}
PROVED_BACK = {**PROVED, "request_id": "rfd_2", "kind": "refund"}


def event(number: int, type_: str) -> dict[str, Any]:
    data = {"agreement": {"id": "agr_1"}, "charge": {"id": "chg_1"}}
    return {
        "id": f"evt_{number}",
        "sequence": number,
        "type": type_,
        "created_at": due_at(1).isoformat(),
        "data": data,
    }


EVENTS = [event(1, "agreement.activated"), event(2, "charge.succeeded")]
AGREEMENT = {"id": "agr_1", "status": "completed", "totals": {"amount_paid": MONEY}}
GOOD = LifeBooks(
    subscribers={"agr_1": WHO},
    agreements=[AGREEMENT],
    charges=[CHARGE],
    events=EVENTS,
    ledger=[DEBIT],
    followed=EVENTS,
    received={event["id"]: event for event in EVENTS},
    broken=[],
)


def found(books: LifeBooks) -> set[str]:
    return {finding.what.split(",")[0] for finding in audit(books) if finding.differences}


def test_books_that_agree() -> None:
    assert found(GOOD) == set()


def test_a_verification_that_went_back() -> None:
    assert found(replace(GOOD, charges=[CHARGE, PROOF], ledger=[DEBIT, PROVED, PROVED_BACK])) == set()


@pytest.mark.parametrize(
    ("spoiled", "what"),
    [
        (replace(GOOD, ledger=[DEBIT, {**DEBIT, "request_id": f"{ORDER}-a2"}]), "debits at the provider"),
        (replace(GOOD, ledger=[{**DEBIT, "status": "failed"}]), "cycles"),
        (replace(GOOD, ledger=[]), "cycles"),
        (replace(GOOD, ledger=[DEBIT, {**DEBIT, "merchant_reference": "agr_9-c1"}]), "cycles"),
        (replace(GOOD, ledger=[{**DEBIT, "virtual_time": due_at(2).isoformat()}]), "debits kept"),
        (replace(GOOD, ledger=[{**DEBIT, "amount": WHO.amount + 1}]), "debits kept"),
        (replace(GOOD, charges=[]), "charges"),
        (replace(GOOD, ledger=[DEBIT, {**DEBIT, "kind": "refund", "request_id": "rfd_1", "amount": 1}]), "refunds"),
        (replace(GOOD, charges=[{**CHARGE, "attempts": [{**ATTEMPT, "status": "unknown"}]}]), "attempts"),
        (replace(GOOD, charges=[CHARGE, PROOF], ledger=[DEBIT, PROVED]), "cycles"),
        (replace(GOOD, charges=[CHARGE, PROOF], ledger=[DEBIT, PROVED, {**PROVED_BACK, "amount": 5}]), "refunds"),
        (replace(GOOD, agreements=[{**AGREEMENT, "status": "past_due"}]), "agreements"),
        (replace(GOOD, agreements=[{**AGREEMENT, "totals": {"amount_paid": None}}]), "agreements"),
        (replace(GOOD, events=[EVENTS[0], {**EVENTS[1], "sequence": 3}]), "events"),
        (replace(GOOD, events=EVENTS[:1]), "payments"),
        (replace(GOOD, followed=EVENTS[1:]), "events followed"),
        (replace(GOOD, followed=EVENTS[:1]), "events followed"),
        (replace(GOOD, received={"evt_1": EVENTS[0]}), "webhooks received"),
        (replace(GOOD, received={**GOOD.received, "evt_2": {**EVENTS[1], "sequence": 9}}), "webhooks received"),
        (replace(GOOD, broken=["GET / was answered 500"]), "answers nobody should get"),
    ],
)
def test_books_that_differ(spoiled: LifeBooks, what: str) -> None:
    assert what in found(spoiled)
