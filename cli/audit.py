"""The audit: the engine's ledger against the provider's, as the sandbox shows it (design §8).

Both sides are read over HTTP, `GET /v1/charges` and `GET /_sandbox/ledger`, so that neither can vouch for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]

_TAKEN = ("succeeded", "reversed")
"""Attempts by which the engine says that money was taken."""
_AGREE = {
    "prepared": ("nothing",),
    "processing": ("processing",),
    "unknown": ("processing", "nothing"),
    "succeeded": ("succeeded",),
    "reversed": ("succeeded",),
    "failed": ("failed", "nothing"),
    "canceled": ("failed", "nothing"),
}
"""By an attempt's status, what the provider may say of the debit without contradicting it."""
_REFUNDS_AGREE = {
    "pending": ("processing", "nothing"),
    "unknown": ("processing", "nothing"),
    "succeeded": ("succeeded",),
    "failed": ("failed", "nothing"),
}
_PAID = ("succeeded", "partially_refunded", "refunded")


def differences(charges: list[Row], ledger: list[Row]) -> list[str]:
    """Every way in which the two do not agree, in words; empty when they agree to the last unit.

    `charges` must be all charges of the merchants whose movements `ledger` holds. Amounts are integer minor units.
    """
    return [*_unknown_to_us(charges, ledger), *(line for charge in charges for line in _of_charge(charge, ledger))]


def _unknown_to_us(charges: list[Row], ledger: list[Row]) -> Iterator[str]:
    ours = {attempt["gateway_request_id"] for charge in charges for attempt in charge["attempts"]}
    refunds = {refund["gateway_request_id"] for charge in charges for refund in charge["refunds"]}
    for row in ledger:
        if row["request_id"] not in (refunds if row["kind"] == "refund" else ours):
            yield f"{row['kind']} {row['request_id']}: the provider has it, the engine does not"


def _of_charge(charge: Row, ledger: list[Row]) -> Iterator[str]:
    ours = {attempt["gateway_request_id"] for attempt in charge["attempts"]}
    debits = _last_tries([row for row in ledger if row["kind"] == "debit" and row["request_id"] in ours])
    orders = {row["merchant_reference"] for row in debits}
    movements = [row for row in ledger if row["request_id"] in ours or row["merchant_reference"] in orders]
    for request_id, count in Counter(row["request_id"] for row in debits).items():
        if count > 1:
            yield f"debit {request_id}: the provider has it {count} times"
    for attempt in charge["attempts"]:
        yield from _of_attempt(attempt, debits, movements)
    for refund in charge["refunds"]:
        yield from _of_refund(refund, movements)
    if len(kept := _kept(movements)) > 1:
        yield f"charge {charge['id']}: {len(kept)} debits were kept, {', '.join(kept)}"
    if charge["status"] == "succeeded" and len(kept) != 1:
        yield f"charge {charge['id']}: succeeded here, but the provider kept no debit for it"
    said, found = _engines_balance(charge), _providers_balance(movements)
    if said != found:
        yield f"charge {charge['id']}: {said} collected by the engine's ledger, {found} by the provider's"
    if charge["status"] in _PAID and charge["status"] != (expected := _paid_status(charge, found)):
        yield f"charge {charge['id']}: {charge['status']} here, {expected} by the provider's ledger"


def _last_tries(debits: list[Row]) -> list[Row]:
    """Without what failed on a page that was then paid, or tried, again: the customer tries, it is one attempt."""
    return [
        row
        for number, row in enumerate(debits, start=1)
        if row["status"] != "failed" or all(later["request_id"] != row["request_id"] for later in debits[number:])
    ]


def _of_attempt(attempt: Row, debits: list[Row], movements: list[Row]) -> Iterator[str]:
    name, status = attempt["gateway_request_id"], attempt["status"]
    debit = next((row for row in debits if row["request_id"] == name), None)
    found = debit["status"] if debit else "nothing"
    if debit and (debit["amount"], debit["currency"]) != (attempt["amount"]["value"], attempt["amount"]["currency"]):
        yield f"attempt {name}: another amount at the provider, {debit['amount']} {debit['currency']}"
    given_back = status == "canceled" and _canceled(name, movements)
    if found not in _AGREE[status] and not given_back:
        yield f"attempt {name}: {status} here, {found} at the provider"


def _of_refund(refund: Row, movements: list[Row]) -> Iterator[str]:
    """A cancel leaves no record of its own at the provider but that of the debit: the balance tells."""
    if refund["kind"] == "cancel":
        return
    name, status, amount = refund["gateway_request_id"], refund["status"], refund["amount"]
    rows = [row for row in movements if (row["kind"], row["request_id"]) == ("refund", name)]
    found = rows[0]["status"] if rows else "nothing"
    if len(rows) > 1:
        yield f"refund {name}: the provider has it {len(rows)} times"
    if rows and (rows[0]["amount"], rows[0]["currency"]) != (amount["value"], amount["currency"]):
        yield f"refund {name}: another amount at the provider, {rows[0]['amount']} {rows[0]['currency']}"
    if found not in _REFUNDS_AGREE[status]:
        yield f"refund {name}: {status} here, {found} at the provider"


def _paid_status(charge: Row, balance: int) -> str:
    """The status of a paid charge of which the provider still holds `balance`."""
    paid = sum(attempt["amount"]["value"] for attempt in charge["attempts"] if attempt["status"] == "succeeded")
    return "refunded" if balance <= 0 else "succeeded" if balance >= paid else "partially_refunded"


def _kept(movements: list[Row]) -> list[str]:
    """Request ids of the debits that were neither canceled nor given back in full."""
    refunded = sum(_amounts(movements, "refund"))
    kept = []
    for row in movements:
        if row["kind"] != "debit" or row["status"] != "succeeded" or _canceled(row["request_id"], movements):
            continue
        if refunded >= row["amount"] > 0:
            refunded -= row["amount"]
        else:
            kept.append(row["request_id"])
    return kept


def _engines_balance(charge: Row) -> int:
    taken = sum(attempt["amount"]["value"] for attempt in charge["attempts"] if attempt["status"] in _TAKEN)
    back = sum(refund["amount"]["value"] for refund in charge["refunds"] if refund["status"] == "succeeded")
    return int(taken - back)


def _providers_balance(movements: list[Row]) -> int:
    debits = [row for row in movements if row["kind"] == "debit" and row["status"] == "succeeded"]
    standing = sum(int(row["amount"]) for row in debits if not _canceled(row["request_id"], movements))
    return standing - sum(_amounts(movements, "refund"))


def _canceled(request_id: str, movements: list[Row]) -> bool:
    return any(
        (row["kind"], row["request_id"], row["status"]) == ("cancel", request_id, "succeeded") for row in movements
    )


def _amounts(movements: list[Row], kind: str) -> list[int]:
    return [int(row["amount"]) for row in movements if row["kind"] == kind and row["status"] == "succeeded"]
