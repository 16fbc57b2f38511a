"""Antom's settlement files: transaction details, settlement details, settlement summary (gateways/antom.md §10).

Columns are found by name, in any order, in the older and the newer spelling; what we do not know is ignored. Amounts
are in major units there (§6). Nothing is ever guessed: a row that cannot be read makes the file a bad one.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import BinaryIO

from agreements.reconciliation import ReportKind, ReportRow, RowKind, RowOutcome, SummaryRow
from agreements.reconciliation.reports import BadReport, IncompleteReport, Report
from gateways.antom import settlement_names
from gateways.antom.settlement_cells import Cells

ZONE = timezone(timedelta(hours=8))
"""Antom's days begin and end in GMT+8."""

END = "<END>"
_SPREADSHEET = b"PK\x03\x04"

_KINDS: Mapping[str, RowKind] = {
    "PAYMENT": RowKind.PAYMENT,
    "REFUND": RowKind.REFUND,
    "CANCEL": RowKind.CANCEL,
    "PAYMENT_REVERSAL": RowKind.PAYMENT_REVERSAL,
    "REFUND_REVERSAL": RowKind.REFUND_REVERSAL,
    "DISPUTE": RowKind.DISPUTE,
    "RAPID_DISPUTE_RESOLUTION": RowKind.DISPUTE,
}
_OUTCOMES: Mapping[str, RowOutcome] = {
    "SUCCESS": RowOutcome.SUCCEEDED,
    "FAIL": RowOutcome.FAILED,
    "FAILED": RowOutcome.FAILED,
    "PROCESSING": RowOutcome.PROCESSING,
    "PENDING": RowOutcome.PROCESSING,
}
"""The API's words: what else `status` may say is not documented."""
_REQUIRED: Mapping[ReportKind, tuple[str, ...]] = {
    ReportKind.TRANSACTIONS: ("transactionType", "transactionId", "transactionAmountValue", "transactionCurrency"),
    ReportKind.SETTLEMENT: (
        "settlementBatchId",
        "transactionType",
        "transactionId",
        "transactionAmountValue",
        "transactionCurrency",
    ),
    ReportKind.SUMMARY: ("settlementBatchId", "summaryType", "count", "settlementAmountValue", "settlementCurrency"),
}
_TIMES = ("paymentTime", "transactionCompletionTime", "transactionUpdateTime", "transactionCreationTime")

Row = ReportRow | SummaryRow


@dataclass(frozen=True)
class _Open:
    """A file whose header was read."""

    kind: ReportKind
    named: settlement_names.Named | None
    cells: Iterator[Cells]


def describe(name: str, stream: BinaryIO) -> Report:
    """What a file is, after reading all of it. `name` is its name without folders.

    Raises BadReport, or IncompleteReport while its end has not arrived.
    """
    opened = _open(name, stream)
    about = _About(opened)
    for cells in opened.cells:
        about.take(cells, _row(opened.kind, cells, name))
    return about.report(name)


def rows(name: str, stream: BinaryIO) -> Iterator[Row]:
    """Its rows, one after the other, however many. Raises BadReport where it comes to something it cannot read."""
    opened = _open(name, stream)
    for cells in opened.cells:
        yield _row(opened.kind, cells, name)


class _About:
    """Gathers what a whole file is about."""

    def __init__(self, opened: _Open) -> None:
        self._kind, self._named = opened.kind, opened.named
        self._count = 0
        self._customer: str | None = None
        self._days: set[date] = set()
        self._batch: tuple[str, str | None] | None = None
        if opened.named is not None and opened.named.batch is not None:
            self._batch = (opened.named.batch, opened.named.currency)

    def take(self, cells: Cells, row: Row) -> None:
        self._count += 1
        self._customer = self._customer or cells.text("customerId")
        if self._kind is ReportKind.TRANSACTIONS:
            if isinstance(row, ReportRow) and row.at is not None:
                self._days.add(row.at.astimezone(ZONE).date())
            return
        batch = (cells.needed("settlementBatchId"), row.settled_currency)
        self._batch = self._batch or batch
        if batch[0] != self._batch[0]:
            raise BadReport(f"batch {batch[0]} in the file of batch {self._batch[0]}", cells.line, "settlementBatchId")
        if None not in (batch[1], self._batch[1]) and batch[1] != self._batch[1]:
            raise BadReport(f"{batch[1]} in the file of a batch in {self._batch[1]}", cells.line, "settlementCurrency")

    def report(self, name: str) -> Report:
        if self._kind is not ReportKind.TRANSACTIONS:
            if self._batch is None:
                raise BadReport("it has no rows, and its name does not say which batch it is about")
            statement = f"settlement {self._batch[1] or ''} {self._batch[0]}".replace("  ", " ")
            return Report(self._kind, statement, name, self._count, self._customer)
        first, last = self._span()
        statement = f"transactions {first}" if first == last else f"transactions {first} to {last}"
        return Report(self._kind, statement, name, self._count, self._customer, first, last)

    def _span(self) -> tuple[date, date]:
        """By the name, which also tells of a day on which nothing happened."""
        if self._named is not None and self._named.day is not None:
            return self._named.day, self._named.day
        if not self._days:
            raise BadReport("neither its name nor its rows say which day it is about")
        return min(self._days), max(self._days)


def _open(name: str, stream: BinaryIO) -> _Open:
    named = settlement_names.named(name)
    if stream.read(len(_SPREADSHEET)) == _SPREADSHEET:
        raise BadReport("a spreadsheet; download the same report as CSV")
    stream.seek(0)
    lines = _lines(codecs.iterdecode(stream, "utf-8-sig"))
    line, header = next(lines, (1, []))
    if not header or header == [END]:
        raise IncompleteReport("the file is empty")
    names = [cell.strip() for cell in header]
    twice = next((each for each in names if each and names.count(each) > 1), None)
    if twice:
        raise BadReport("the column is there twice", line, twice)
    kind = _recognised(name, named, frozenset(names))
    return _Open(kind, named, _until_end(names, lines))


def _recognised(name: str, named: settlement_names.Named | None, columns: frozenset[str]) -> ReportKind:
    """By its name; where that is another one, such as the dashboard's, by what only one kind of file has."""
    kind = named.kind if named else None
    if kind is None and "summaryType" in columns:
        kind = ReportKind.SUMMARY
    elif kind is None and "transactionType" in columns:
        details = "settlementBatchId" in columns and not columns & {"status", "orderDescription"}
        kind = ReportKind.SETTLEMENT if details else ReportKind.TRANSACTIONS
    if kind is None:
        raise BadReport(f"{name}: neither its name nor its columns are those of a settlement file", 1)
    for column in _REQUIRED[kind]:
        if column not in columns:
            raise BadReport(f"the column is missing in a file of {kind}", 1, column)
    return kind


def _until_end(names: list[str], lines: Iterator[tuple[int, list[str]]]) -> Iterator[Cells]:
    for line, fields in lines:
        if fields[0].strip() == END and not any(fields[1:]):
            after = next(lines, None)
            if after is not None:
                raise BadReport(f"something follows {END}", after[0])
            return
        if len(fields) != len(names):
            raise BadReport(f"{len(fields)} fields where the header has {len(names)}", line)
        yield Cells(line, dict(zip(names, fields, strict=True)))
    raise IncompleteReport(f"it does not end with {END}: it is not complete")


def _lines(text: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines with something in them, by the number an editor shows."""
    reader = csv.reader(text, strict=True)
    try:
        for fields in reader:
            if fields and any(fields):
                yield reader.line_num, fields
    except UnicodeDecodeError as error:
        raise BadReport("not UTF-8", reader.line_num + 1) from error
    except csv.Error as error:
        raise BadReport(str(error), reader.line_num) from error


def _row(kind: ReportKind, cells: Cells, source: str) -> Row:
    return _summary(cells, source) if kind is ReportKind.SUMMARY else _transaction(kind, cells, source)


def _transaction(kind: ReportKind, cells: Cells, source: str) -> ReportRow:
    label = cells.needed("transactionType")
    what = _KINDS.get(label, RowKind.OTHER)
    amount, currency = cells.money("transactionAmountValue", "transactionCurrency")
    if what is RowKind.PAYMENT and amount < 0:
        raise BadReport("a payment below zero", cells.line, "transactionAmountValue")
    settled = cells.optional_money("settlementAmountValue", "settlementCurrency")
    fee = cells.fee()
    status = cells.text("status")
    return ReportRow(
        line=cells.line,
        kind=what,
        label=label,
        transaction_id=cells.needed("transactionId"),
        request_id=cells.text("transactionRequestId"),
        original_id=cells.text("originalTransactionId"),
        original_request_id=cells.text("originalTransactionRequestId"),
        payment_method=cells.text("paymentMethodType"),
        outcome=_OUTCOMES.get(status, RowOutcome.OTHER) if status else None,
        # Whether what goes back bears a minus is not known (§10.4): the kind says which way it went.
        amount=amount if what is RowKind.OTHER else abs(amount),
        currency=currency,
        settled=settled[0] if settled else None,
        settled_currency=settled[1] if settled else None,
        fee=fee[0] if fee else None,
        fee_currency=fee[1] if fee else None,
        at=_time(cells),
        batch=cells.text("settlementBatchId") if kind is ReportKind.SETTLEMENT else None,
        source=source,
    )


def _time(cells: Cells) -> datetime | None:
    return next((found for name in _TIMES if (found := cells.time(name)) is not None), None)


def _summary(cells: Cells, source: str) -> SummaryRow:
    settled, currency = cells.money("settlementAmountValue", "settlementCurrency")
    fee = cells.fee()
    return SummaryRow(
        line=cells.line,
        label=cells.needed("summaryType"),
        count=cells.whole("count"),
        settled=settled,
        settled_currency=currency,
        fee=fee[0] if fee else None,
        fee_currency=fee[1] if fee else None,
        batch=cells.needed("settlementBatchId"),
        source=source,
    )
