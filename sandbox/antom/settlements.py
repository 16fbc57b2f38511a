"""Antom's settlement files (gateways/antom.md §10), written from the sandbox's own books.

What Antom does not publish is invented, and says so: the fee, the day of the payout, how a cancel is numbered. Payouts
are made in the currency of the payment, net of fees, one batch per currency, on the day after the last they take in.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox.antom.answers import ANTOM_ZONE, iso
from sandbox.antom.state import Client, Payment, Refund
from sandbox.database import Database

Day = date
"""`date` is a field's name below."""

_WITHOUT_CENTS = frozenset({"CLP", "JPY", "KRW", "VND"})
"""Antom's currencies whose smallest unit is the major one (§6)."""
_FEE_PERCENT = 2
"""Invented."""
_PAID_OUT_AT = time(8, 0)
_MOST_DAYS = 92
END = "<END>"

_TRANSACTIONS = (
    "customerId",
    "acquirer",
    "transactionType",
    "transactionId",
    "originalTransactionId",
    "transactionRequestId",
    "originalTransactionRequestId",
    "referenceTransactionId",
    "orderDescription",
    "paymentMethodType",
    "pspName",
    "status",
    "paymentTime",
    "productCode",
    "transactionAmountValue",
    "transactionCurrency",
    "settlementAmountValue",
    "settlementCurrency",
    "feeAmountValue",
    "feeCurrency",
)
_DETAILS = (
    "settlementBatchId",
    "customerId",
    "acquirer",
    "transactionType",
    "transactionId",
    "originalTransactionId",
    "transactionRequestId",
    "originalTransactionRequestId",
    "referenceTransactionId",
    "paymentMethodType",
    "pspName",
    "paymentTime",
    "settlementTime",
    "productCode",
    "transactionAmountValue",
    "transactionCurrency",
    "settlementAmountValue",
    "settlementCurrency",
    "feeAmountValue",
    "feeCurrency",
)
_SUMMARY = (
    "settlementBatchId",
    "customerId",
    "acquirer",
    "summaryType",
    "count",
    "settlementTime",
    "settlementAmountValue",
    "settlementCurrency",
    "feeAmountValue",
    "feeCurrency",
)


class Wanted(BaseModel):
    """Which days (of GMT+8), of which merchant, and what is wrong with the files: how many payments are `missing`,
    `altered` (by one minor unit more), `unknown` to the merchant, and `reversed` (failed ones, booked and given back).
    """

    model_config = ConfigDict(extra="forbid")

    date: Day
    since: Day | None = None
    client_id: str | None = None
    missing: Annotated[int, Field(ge=0)] = 0
    altered: Annotated[int, Field(ge=0)] = 0
    unknown: Annotated[int, Field(ge=0)] = 0
    reversed: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class _Entry:
    """One booking. `value` in minor units, below zero where money goes back."""

    kind: str
    transaction_id: str
    request_id: str
    order_id: str
    wallet: str
    currency: str
    value: int
    at: datetime
    original_id: str = ""
    original_request_id: str = ""

    @property
    def fee(self) -> int:
        return (self.value * _FEE_PERCENT + 50) // 100 if self.kind == "PAYMENT" else 0


def settlements_router(database: Database) -> APIRouter:
    """`GET /_sandbox/settlements`: what Antom would have put on its SFTP server, `path` as there."""
    router = APIRouter(prefix="/_sandbox")

    @router.get("/settlements")
    async def settlements(wanted: Annotated[Wanted, Query()]) -> dict[str, list[dict[str, str]]]:
        since = wanted.since or wanted.date
        if not timedelta(0) <= wanted.date - since <= timedelta(days=_MOST_DAYS):
            raise HTTPException(422, f"since is at most {_MOST_DAYS} days before date")
        with database.begin() as session:
            customer = _customer(_client(session, wanted.client_id))
            booked = _booked(session, wanted, since)
        return {"data": [*_daily(customer, booked, since, wanted.date), *_payouts(customer, booked, wanted.date)]}

    return router


def _client(session: Session, client_id: str | None) -> str:
    found = [each.client_id for each in session.scalars(select(Client)) if client_id in (None, each.client_id)]
    if len(found) != 1:
        raise HTTPException(404 if not found else 422, "no such client" if not found else "which client_id?")
    return found[0]


def _customer(client_id: str) -> str:
    """The merchant's id at the acquirer, invented: 16 digits that stay the same."""
    return f"2188{zlib.crc32(client_id.encode()):012d}"


def _booked(session: Session, wanted: Wanted, since: date) -> list[_Entry]:
    client_id = _client(session, wanted.client_id)
    payments = list(session.scalars(select(Payment).where(Payment.client_id == client_id).order_by(Payment.number)))
    refunds = list(session.scalars(select(Refund).where(Refund.client_id == client_id).order_by(Refund.number)))
    reversible = [each for each in payments if each.status == "FAIL" and since <= _day(each.created) <= wanted.date]
    entries = [
        *(entry for payment in payments for entry in _of_payment(payment)),
        *(entry for payment in reversible[: wanted.reversed] for entry in _reversed(payment)),
        *_of_refunds(payments, refunds),
    ]
    in_time = [each for each in entries if since <= _day(each.at) <= wanted.date]
    return _with_faults(sorted(in_time, key=lambda each: (each.at, each.transaction_id)), wanted)


def _of_payment(payment: Payment) -> Iterator[_Entry]:
    if payment.paid is None:
        return
    paid = _payment_entry(payment, payment.paid)
    yield paid
    if payment.cancelled is not None:
        yield _back(paid, "CANCEL", f"{payment.payment_id}C", payment.request_id, payment.value, payment.cancelled)


def _reversed(payment: Payment) -> Iterator[_Entry]:
    """The order was closed without Antom knowing that the customer had paid."""
    paid = _payment_entry(payment, payment.created)
    yield paid
    later = payment.created + timedelta(minutes=14)
    yield _back(paid, "PAYMENT_REVERSAL", f"{payment.payment_id}R", payment.request_id, payment.value, later)


def _of_refunds(payments: Sequence[Payment], refunds: Sequence[Refund]) -> Iterator[_Entry]:
    by_id = {each.payment_id: each for each in payments}
    for refund in refunds:
        payment = by_id[refund.payment_id]
        paid = _payment_entry(payment, payment.paid or payment.created)
        bounced = refund.status == "FAIL" and refund.code == "PROCESS_FAIL"
        if refund.status == "SUCCESS" or bounced:
            at = refund.done or refund.created
            sent = _back(paid, "REFUND", refund.refund_id, refund.request_id, refund.value, at)
            yield sent
            if bounced:
                yield replace(sent, kind="REFUND_REVERSAL", value=refund.value)


def _payment_entry(payment: Payment, at: datetime) -> _Entry:
    return _Entry(
        kind="PAYMENT",
        transaction_id=payment.payment_id,
        request_id=payment.request_id,
        order_id=payment.order_id,
        wallet=payment.wallet,
        currency=payment.currency,
        value=payment.value,
        at=at,
    )


def _back(paid: _Entry, kind: str, transaction_id: str, request_id: str, value: int, at: datetime) -> _Entry:
    return replace(
        paid,
        kind=kind,
        transaction_id=transaction_id,
        request_id=request_id,
        order_id="",
        value=-value,
        at=at,
        original_id=paid.transaction_id,
        original_request_id=paid.request_id,
    )


def _with_faults(entries: list[_Entry], wanted: Wanted) -> list[_Entry]:
    """The first payments are missing, the next ones altered, and unknown ones come at the end."""
    payments = [each for each in entries if each.kind == "PAYMENT"]
    missing, altered = payments[: wanted.missing], payments[wanted.missing : wanted.missing + wanted.altered]
    if len(payments) < wanted.missing + wanted.altered or (wanted.unknown and not payments):
        raise HTTPException(409, "there are fewer payments than are to be wrong")
    made = [replace(each, value=each.value + 1) if each in altered else each for each in entries if each not in missing]
    for number in range(1, wanted.unknown + 1):
        strange = f"{payments[-1].transaction_id[:-9]}{999_999_999 - number:09d}"
        made.append(
            replace(payments[-1], transaction_id=strange, request_id=f"stranger-{number}", order_id=f"st-{number}")
        )
    return made


def _daily(customer: str, entries: Sequence[_Entry], first: date, last: date) -> Iterator[dict[str, str]]:
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        rows = [_row(customer, each) for each in entries if _day(each.at) == day]
        yield _file(customer, day, f"transactionItems_{day:%Y%m%d}_000.csv", _TRANSACTIONS, rows)


def _payouts(customer: str, entries: Sequence[_Entry], last: date) -> Iterator[dict[str, str]]:
    paid_out = datetime.combine(last + timedelta(days=1), _PAID_OUT_AT, ANTOM_ZONE)
    batch = {"settlementBatchId": f"{paid_out:%Y%m%d}00001", "settlementTime": iso(paid_out) or ""}
    by_currency: dict[str, list[_Entry]] = defaultdict(list)
    for each in entries:
        by_currency[each.currency].append(each)
    for currency, booked in sorted(by_currency.items()):
        details = [_row(customer, each) | batch for each in booked]
        sums = [
            _sum(customer, kind, currency, [each for each in booked if kind in ("TOTAL", each.kind)]) | batch
            for kind in [*sorted({each.kind for each in booked}), "TOTAL"]
        ]
        named = f"{currency}_{batch['settlementBatchId']}_000.csv"
        yield _file(customer, paid_out.date(), f"settlementItems_{named}", _DETAILS, details)
        yield _file(customer, paid_out.date(), f"settlementSummary_{named}", _SUMMARY, sums)


def _row(customer: str, entry: _Entry) -> dict[str, str]:
    return {
        "customerId": customer,
        "acquirer": "sandbox",
        "transactionType": entry.kind,
        "transactionId": entry.transaction_id,
        "originalTransactionId": entry.original_id,
        "transactionRequestId": entry.request_id,
        "originalTransactionRequestId": entry.original_request_id,
        "referenceTransactionId": entry.order_id,
        "orderDescription": "",
        "paymentMethodType": entry.wallet,
        "pspName": entry.wallet,
        "status": "SUCCESS",
        "paymentTime": iso(entry.at) or "",
        "productCode": "AGREEMENT_PAYMENT",
        "transactionAmountValue": _major(entry.value, entry.currency),
        "transactionCurrency": entry.currency,
        "settlementAmountValue": _major(entry.value - entry.fee, entry.currency),
        "settlementCurrency": entry.currency,
        "feeAmountValue": _major(entry.fee, entry.currency),
        "feeCurrency": entry.currency,
    }


def _sum(customer: str, kind: str, currency: str, entries: Sequence[_Entry]) -> dict[str, str]:
    fees = sum(each.fee for each in entries)
    return {
        "customerId": customer,
        "acquirer": "sandbox",
        "summaryType": kind,
        "count": str(len(entries)),
        "settlementAmountValue": _major(sum(each.value for each in entries) - fees, currency),
        "settlementCurrency": currency,
        "feeAmountValue": _major(fees, currency),
        "feeCurrency": currency,
    }


def _major(value: int, currency: str) -> str:
    if currency in _WITHOUT_CENTS:
        return str(value)
    return f"{'-' if value < 0 else ''}{abs(value) // 100}.{abs(value) % 100:02d}"


def _day(at: datetime) -> date:
    return at.astimezone(ANTOM_ZONE).date()


def _file(
    customer: str, day: date, name: str, columns: Sequence[str], rows: Sequence[dict[str, str]]
) -> dict[str, str]:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    text.write(f"{END}\r\n")
    return {"name": name, "path": f"v1/settlements/{customer}/{day:%Y%m%d}/{name}", "content": text.getvalue()}
