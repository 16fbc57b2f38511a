"""Antom's settlement files as the note has them: every column it names, and every way in which a file may be bad."""

from __future__ import annotations

import io
from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.reconciliation import ReportKind, ReportRow, RowKind, RowOutcome, SummaryRow
from agreements.reconciliation.reports import BadReport, IncompleteReport, Report
from gateways.antom.settlements import describe, rows

DETAILS = "settlementItems_USD_2025080400001_000.csv"
SUMMARY = "settlementSummary_USD_2025080400001_000.csv"
DAY = "transactionItems_20250801_000.csv"
# gateways/antom.md §10.4, word for word
OF_THE_NOTE = """\
settlementBatchId,customerId,transactionType,transactionId,originalTransactionId,transactionRequestId,\
referenceTransactionId,paymentMethodType,paymentTime,settlementTime,transactionAmountValue,transactionCurrency,\
settlementAmountValue,settlementCurrency,feeAmountValue,feeCurrency
2025080400001,2188000000000001,PAYMENT,20250801194010800100188000000001,,pr_20250801_000001_a1,inv_20250801_000001,\
GCASH,2025-08-01T08:00:03+08:00,2025-08-04T08:00:00+08:00,499.00,PHP,8.55,USD,0.17,USD
2025080400001,2188000000000001,REFUND,20250803194010801000188000000009,20250801194010800100188000000001,\
rf_20250803_000001,,GCASH,2025-08-03T10:00:02+08:00,2025-08-04T08:00:00+08:00,-100.00,PHP,-1.75,USD,0.00,USD
<END>
"""
SUMS = """\
settlementBatchId,customerId,summaryType,count,settlementTime,settlementAmountValue,settlementCurrency,feeAmountValue,\
feeCurrency
2025080400001,2188000000000001,PAYMENT,1,2025-08-04T08:00:00+08:00,8.55,USD,0.17,USD
2025080400001,2188000000000001,REFUND,1,2025-08-04T08:00:00+08:00,-1.75,USD,0.00,USD
2025080400001,2188000000000001,TOTAL,2,2025-08-04T08:00:00+08:00,6.80,USD,0.17,USD
<END>
"""
MINIMAL = "transactionType,transactionId,transactionAmountValue,transactionCurrency"


def read(name: str, text: str | bytes) -> tuple[Report, list[ReportRow | SummaryRow]]:
    raw = text if isinstance(text, bytes) else text.encode()
    return describe(name, io.BytesIO(raw)), list(rows(name, io.BytesIO(raw)))


def one(text: str, name: str = DAY) -> ReportRow:
    [row] = read(name, text)[1]
    assert isinstance(row, ReportRow)
    return row


def refused(name: str, text: str | bytes) -> BadReport:
    with pytest.raises(BadReport) as caught:
        read(name, text)
    return caught.value


def test_the_details_of_the_note() -> None:
    report, found = read(DETAILS, OF_THE_NOTE)
    assert report == Report(
        ReportKind.SETTLEMENT, "settlement USD 2025080400001", DETAILS, rows=2, customer="2188000000000001"
    )
    payment, refund = found
    assert payment == ReportRow(
        line=2,
        kind=RowKind.PAYMENT,
        label="PAYMENT",
        transaction_id="20250801194010800100188000000001",
        request_id="pr_20250801_000001_a1",
        payment_method="GCASH",
        amount=49900,
        currency="PHP",
        settled=855,
        settled_currency="USD",
        fee=17,
        fee_currency="USD",
        at=datetime(2025, 8, 1, 0, 0, 3, tzinfo=UTC),
        batch="2025080400001",
        source=DETAILS,
    )
    assert isinstance(refund, ReportRow)
    assert (refund.kind, refund.amount, refund.settled, refund.fee) == (RowKind.REFUND, 10000, -175, 0)
    assert refund.original_id == payment.transaction_id
    # "Whether refunds carry a minus sign is unverified; parse both."
    without_minus = read(DETAILS, OF_THE_NOTE.replace("-100.00,PHP", "100.00,PHP"))[1][1]
    assert without_minus == refund


def test_a_summary() -> None:
    report, found = read(SUMMARY, SUMS)
    assert (report.kind, report.statement) == (ReportKind.SUMMARY, "settlement USD 2025080400001")
    assert [(row.label, row.count, row.settled, row.fee) for row in found if isinstance(row, SummaryRow)] == [
        ("PAYMENT", 1, 855, 17),
        ("REFUND", 1, -175, 0),
        ("TOTAL", 2, 680, 17),
    ]


def test_a_days_transactions_columns_in_another_order_and_unknown_ones_among_them() -> None:
    text = (
        "transactionCurrency,newColumn,status,transactionAmountValue,transactionId,transactionType,paymentTime,"
        'orderDescription\nKRW,?,SUCCESS,1200.00,T1,PAYMENT,2025-08-01T23:59:59+09:00,"Box, large\n""L"""\n<END>\n'
    )
    report, _ = read(DAY, text)
    assert (report.statement, report.first_day) == ("transactions 2025-08-01", date(2025, 8, 1))
    row = one(text)
    assert (row.amount, row.currency, row.outcome, row.fee) == (1200, "KRW", RowOutcome.SUCCEEDED, None)
    assert row.at == datetime(2025, 8, 1, 14, 59, 59, tzinfo=UTC)


def test_the_newer_spelling_and_fees_without_a_total() -> None:
    row = one(
        MINIMAL + ",PSP,wallet,transactionCompletionTime,paymentMethodFeeAmountValue,paymentMethodFeeCurrency,"
        "fxFeeAmountValue,fxFeeAmountCurrency\nPAYMENT,T1,499.00,PHP,a,GCASH,2025-08-01T08:00:03+08:00,0.17,USD,0.03,"
        "USD\n<END>\n"
    )
    assert (row.fee, row.fee_currency, row.at) == (20, "USD", datetime(2025, 8, 1, 0, 0, 3, tzinfo=UTC))


def test_a_byte_order_mark_padding_of_the_end_and_windows_line_ends_do_no_harm() -> None:
    text = f"{MINIMAL}\r\nPAYMENT,T1,499.00,PHP\r\n<END>,,,\r\n\r\n"
    assert one("\ufeff" + text).amount == 49900


def test_a_day_on_which_nothing_happened() -> None:
    report, found = read(DAY, f"{MINIMAL}\n<END>\n")
    assert (report.first_day, report.last_day, found) == (date(2025, 8, 1), date(2025, 8, 1), [])


@pytest.mark.parametrize(
    ("text", "kind", "statement"),
    [
        (OF_THE_NOTE, ReportKind.SETTLEMENT, "settlement USD 2025080400001"),
        (SUMS, ReportKind.SUMMARY, "settlement USD 2025080400001"),
        (
            f"{MINIMAL},status,paymentTime\nPAYMENT,T1,1.00,PHP,SUCCESS,2025-08-01T01:00:00+08:00\n"
            "PAYMENT,T2,1.00,PHP,FAIL,2025-08-03T01:00:00+08:00\n<END>\n",
            ReportKind.TRANSACTIONS,
            "transactions 2025-08-01 to 2025-08-03",
        ),
    ],
)
def test_a_download_with_a_name_of_its_own_is_known_by_its_columns(text: str, kind: ReportKind, statement: str) -> None:
    report, _ = read("report (3).csv", text)
    assert (report.kind, report.statement) == (kind, statement)


@pytest.mark.parametrize(
    ("name", "text", "line", "column", "said"),
    [
        (DETAILS, OF_THE_NOTE.replace("499.00", "499.001"), 2, "transactionAmountValue", "more decimals"),
        (DETAILS, OF_THE_NOTE.replace("-100.00", "1e2"), 3, "transactionAmountValue", "is not an amount"),
        (DETAILS, OF_THE_NOTE.replace("499.00", "499,00"), 2, None, "17 fields where the header has 16"),
        (DETAILS, OF_THE_NOTE.replace(",499.00", ",-499.00"), 2, "transactionAmountValue", "below zero"),
        (DETAILS, OF_THE_NOTE.replace("PHP,-1.75", "PHX,-1.75"), 3, "transactionCurrency", "is not a currency"),
        (DETAILS, OF_THE_NOTE.replace("8.55,USD", "8.55,"), 2, "settlementCurrency", "is empty"),
        (DETAILS, OF_THE_NOTE.replace("08:00:03+08:00", "08:00:03"), 2, "paymentTime", "no offset"),
        (DETAILS, OF_THE_NOTE.replace("2025-08-03T", "2025-08-33T"), 3, "paymentTime", "is not a time"),
        (DETAILS, OF_THE_NOTE.replace("GCASH", "GC\x07SH", 1), 2, "paymentMethodType", "unreadable"),
        (
            DETAILS,
            OF_THE_NOTE.replace("\n2025080400001,", "\n2025080400002,", 1),
            2,
            "settlementBatchId",
            "in the file",
        ),
        (DETAILS, OF_THE_NOTE.replace("8.55,USD", "8.55,EUR"), 2, "settlementCurrency", "in the file of a batch"),
        (DETAILS, OF_THE_NOTE.replace("transactionType", "kind"), 1, "transactionType", "is missing"),
        (DETAILS, OF_THE_NOTE.replace("customerId", "transactionType"), 1, "transactionType", "twice"),
        (DETAILS, OF_THE_NOTE + "more,\n", 5, None, "follows <END>"),
        (DETAILS, OF_THE_NOTE.replace("GCASH", '"GC"ASH', 1), 2, None, "expected after"),
        (DETAILS, OF_THE_NOTE.encode().replace(b"GCASH", b"GC\xffSH", 1), None, None, "not UTF-8"),
        (SUMMARY, SUMS.replace("TOTAL,2", "TOTAL,two"), 4, "count", "is not a number"),
        (DAY, "name,price\nhat,3\n<END>\n", 1, "transactionType", "is missing"),
        ("hats.csv", "name,price\nhat,3\n<END>\n", 1, None, "neither its name nor its columns"),
        ("transactionItems_20250231_000.csv", f"{MINIMAL}\n<END>\n", None, None, "there is no day 20250231"),
        ("report.csv", f"{MINIMAL}\n<END>\n", None, None, "which day"),
        ("report.csv", "settlementBatchId," + MINIMAL + "\n<END>\n", None, None, "which batch"),
        ("SETTLEMENT_DETAIL_1_20250804.xlsx", b"PK\x03\x04....", None, None, "as CSV"),
        ("settlement_fptrade_1.csv", OF_THE_NOTE, None, None, "older product"),
    ],
)
def test_a_bad_file_is_refused_naming_line_and_column(
    name: str, text: str | bytes, line: int | None, column: str | None, said: str
) -> None:
    problem = refused(name, text)
    assert said in str(problem)
    assert not isinstance(problem, IncompleteReport)
    assert problem.column == column
    if line is not None:
        assert problem.line == line
        assert f"line {line}" in str(problem)


@pytest.mark.parametrize("cut", [0, 40, 600, len(OF_THE_NOTE) - len("<END>\n")])
def test_a_file_without_its_end_is_not_complete_yet(cut: int) -> None:
    whole_lines = OF_THE_NOTE[:cut].rpartition("\n")[0]
    assert isinstance(refused(DETAILS, whole_lines and whole_lines + "\n"), IncompleteReport)


@given(st.integers(0, 10**12), st.sampled_from([("PHP", 2), ("KRW", 0), ("VND", 0), ("IDR", 2), ("KWD", 3)]))
def test_every_amount_in_major_units_is_its_minor_units(minor: int, currency: tuple[str, int]) -> None:
    code, digits = currency
    whole, fraction = divmod(minor, 10**digits)
    written = f"{whole}.{fraction:0{digits}d}" if digits else str(whole)
    assert one(f"{MINIMAL}\nPAYMENT,T1,{written},{code}\n<END>\n").amount == minor


@given(st.binary(max_size=200))
def test_whatever_the_bytes_a_file_is_read_or_refused(raw: bytes) -> None:
    for text in (raw, OF_THE_NOTE.encode().replace(b"GCASH", raw)):
        with suppress(BadReport):
            describe(DETAILS, io.BytesIO(text))
