"""Report, ledger, notifications: agreeing books have no difference, and whatever is changed in one makes just one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreements.reconciliation import (
    Books,
    Finding,
    Heard,
    Movement,
    Reason,
    ReportRow,
    RowKind,
    RowOutcome,
    State,
    SummaryRow,
    check,
    match,
    of_batch,
    of_day,
)
from agreements.reconciliation.words import tell, what_to_do

ZONE = timezone(timedelta(hours=8))
DAY = date(2025, 8, 1)
NOON = datetime(2025, 8, 1, 4, tzinfo=UTC)  # noon in GMT+8
EDGE = datetime(2025, 8, 1, 16, tzinfo=UTC)  # where the day ends there

PAY, BACK, UNDO = RowKind.PAYMENT, RowKind.REFUND, RowKind.CANCEL


def payment(
    number: int, value: int = 49900, state: State = State.MOVED, at: datetime = NOON, **changes: object
) -> Movement:
    made = Movement(
        PAY,
        f"att_{number}",
        f"agr_{number}-c1-a1",
        state.value,
        state,
        value,
        "PHP",
        began=at,
        ended=at + timedelta(seconds=2),
        provider_id=f"P{number}",
        agreement_id=f"agr_{number}",
        charge_id=f"chg_{number}",
        payment_method="GCASH",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def refund(number: int, value: int = 10000, state: State = State.MOVED) -> Movement:
    of = payment(number)
    return replace(
        of, kind=BACK, id=f"rfd_{number}", request_id=f"rfd_{number}", status=state.value, state=state, amount=value,
        provider_id=f"R{number}", payment_id=of.provider_id,
    )  # fmt: skip


def cancel(number: int) -> Movement:
    return replace(payment(number), kind=UNDO, id=f"rfd_c{number}", provider_id=None)


def row(of: Movement, line: int, **changes: object) -> ReportRow:
    """The row a provider that agrees would write."""
    number = of.agreement_id.removeprefix("agr_")
    original = None if of.kind is PAY else f"P{number}"
    made = ReportRow(
        line, of.kind, of.kind.value.upper(), of.provider_id or f"C{number}", of.amount, of.currency,
        request_id=of.request_id, original_id=original, payment_method="GCASH", outcome=RowOutcome.SUCCEEDED,
        settled=100, settled_currency="USD", fee=2, fee_currency="USD", at=of.began, source="day.csv",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def bounced(number: int) -> list[ReportRow]:
    """A refund that was booked, and came back."""
    return [row(refund(number), 3), row(refund(number), 4, kind=RowKind.REFUND_REVERSAL)]


def said(of: Movement, **changes: object) -> Heard:
    made = Heard(of.kind, f"ntf_{of.id}", of.request_id, moved=True, amount=of.amount, currency=of.currency)
    return replace(made, **changes)  # type: ignore[arg-type]


def found(
    rows: Sequence[ReportRow],
    ledger: Sequence[Movement],
    heard: Sequence[Heard] = (),
    elsewhere: Sequence[ReportRow] = (),
    counterpart: Sequence[ReportRow] = (),
    others: Sequence[date] = (),
) -> list[Finding]:
    days = of_day(ZONE, (DAY, DAY), [(day, day) for day in others])
    return list(match(Books(rows, ledger, days, heard, elsewhere, counterpart)).findings)


@st.composite
def ledgers(draw: st.DrawFn) -> list[Movement]:
    """Payments of a day, some of them refunded or canceled."""
    made: list[Movement] = []
    for number in range(draw(st.integers(1, 5))):
        value = draw(st.integers(100, 10**6))
        made.append(payment(number, value, at=NOON + timedelta(minutes=draw(st.integers(-600, 600)))))
        after = draw(st.sampled_from(["kept", "refunded", "canceled"]))
        if after == "refunded":
            made.append(refund(number, draw(st.integers(1, value))))
        if after == "canceled":
            made.append(replace(cancel(number), amount=value))
    return made


def written(ledger: Sequence[Movement]) -> list[ReportRow]:
    return [row(each, line) for line, each in enumerate(ledger, start=2)]


@settings(max_examples=40)
@given(ledgers())
def test_a_report_written_from_the_ledger_has_no_difference(ledger: list[Movement]) -> None:
    undecided = [payment(90, state=State.UNDECIDED), payment(91, state=State.NOT_MOVED)]
    assert found(written(ledger), ledger + undecided, [said(each) for each in ledger if each.kind is not UNDO]) == []


@settings(max_examples=40)
@given(ledgers(), st.data())
def test_one_row_taken_away_is_that_movement_missing(ledger: list[Movement], data: st.DataObject) -> None:
    # A cancel that is not reported leaves its payment as it was; both have their own row.
    gone = data.draw(st.sampled_from(ledger))
    rows = [each for each in written(ledger) if each.request_id != gone.request_id or each.kind is not gone.kind]
    [difference] = found(rows, ledger)
    assert (difference.reason, difference.record_id, difference.pending) == (Reason.MISSING, gone.id, False)


@settings(max_examples=40)
@given(ledgers(), st.data())
def test_one_row_altered_is_that_row_different(ledger: list[Movement], data: st.DataObject) -> None:
    rows = written(ledger)
    index = data.draw(st.integers(0, len(rows) - 1))
    reason, change = data.draw(
        st.sampled_from(
            [
                (Reason.AMOUNT, {"amount": rows[index].amount + 1}),
                (Reason.CURRENCY, {"currency": "USD"}),
                (Reason.STATUS, {"outcome": RowOutcome.FAILED}),
                (Reason.STATUS, {"outcome": RowOutcome.OTHER}),
            ]
        )
    )
    rows[index] = replace(rows[index], **change)  # type: ignore[arg-type]
    [difference] = found(rows, ledger)
    assert (difference.reason, difference.record_id, difference.line) == (reason, ledger[index].id, rows[index].line)


@settings(max_examples=40)
@given(ledgers(), st.data())
def test_one_row_added_is_unknown_or_there_twice(ledger: list[Movement], data: st.DataObject) -> None:
    rows = written(ledger)
    line = len(rows) + 2
    again = replace(data.draw(st.sampled_from(rows)), line=line)
    [difference] = found([*rows, again], ledger)
    assert (difference.reason, difference.line) == (Reason.DUPLICATE, line)
    [difference] = found([*rows, row(payment(99), line)], ledger)
    assert (difference.reason, difference.line, difference.agreement_id) == (Reason.UNKNOWN, line, None)


@settings(max_examples=40)
@given(ledgers(), st.data())
def test_the_order_of_everything_is_of_no_consequence(ledger: list[Movement], data: st.DataObject) -> None:
    rows = written(ledger)[1:]
    rows += [replace(rows[0], line=50)] if rows else []
    rows.append(row(payment(99), 51))
    heard = [said(each, moved=each.id > "att_3") for each in ledger]
    shuffled = [data.draw(st.permutations(each)) for each in (rows, ledger, heard)]
    assert found(*shuffled) == found(rows, ledger, heard)  # type: ignore[arg-type]


ONE = payment(1)
UNKNOWN, FAILED, ENDED = (payment(1, state=state) for state in (State.UNDECIDED, State.NOT_MOVED, State.CANCELED))
BOTH = [ONE, refund(1)]


@pytest.mark.parametrize(
    ("ledger", "rows", "reasons"),
    [
        ([UNKNOWN], [row(ONE, 2)], [Reason.STATUS]),
        ([UNKNOWN], [row(ONE, 2, outcome=RowOutcome.PROCESSING)], []),
        ([UNKNOWN], [row(ONE, 2, outcome=RowOutcome.FAILED)], [Reason.STATUS]),
        ([FAILED], [row(ONE, 2)], [Reason.STATUS]),
        ([FAILED], [row(ONE, 2, outcome=RowOutcome.FAILED)], []),
        # Taken and given back by the provider itself: nothing is left of it.
        ([FAILED], [row(ONE, 2), row(ONE, 3, kind=RowKind.PAYMENT_REVERSAL, transaction_id="X")], []),
        ([ENDED], [row(ONE, 2), row(cancel(1), 3)], []),
        ([ENDED], [row(ONE, 2)], [Reason.STATUS]),
        ([ONE], [row(ONE, 2), row(cancel(1), 3)], [Reason.REFUND_UNKNOWN]),
        (
            [ONE],
            [row(ONE, 2), row(ONE, 3, kind=RowKind.PAYMENT_REVERSAL, transaction_id="X")],
            [Reason.PAYMENT_REVERSED],
        ),
        ([ONE], [row(ONE, 2), row(ONE, 3, kind=RowKind.DISPUTE, transaction_id="X")], [Reason.DISPUTED]),
        ([ONE], [row(ONE, 2), row(refund(1), 3)], [Reason.REFUND_UNKNOWN]),
        ([], [row(refund(1), 3)], [Reason.REFUND_WITHOUT_PAYMENT]),
        (BOTH, [row(ONE, 2), *bounced(1)], [Reason.REFUND_BOUNCED]),
        (
            [ONE, refund(1, state=State.NOT_MOVED)],
            [row(ONE, 2), *bounced(1)],
            [],
        ),
        ([ONE], [row(ONE, 2, request_id="somebody-else")], [Reason.IDENTITY]),
        ([ONE], [row(ONE, 2, transaction_id="P9")], [Reason.IDENTITY]),
        ([ONE], [row(ONE, 2), row(ONE, 3, transaction_id="P9")], [Reason.DUPLICATE]),
        # The provider's own bookings are counted, not matched.
        ([ONE], [row(ONE, 2), row(ONE, 3, kind=RowKind.OTHER, label="SETTLEMENT_FEE")], []),
    ],
)  # fmt: skip
def test_what_is_a_difference(ledger: list[Movement], rows: list[ReportRow], reasons: list[Reason]) -> None:
    differences = found(rows, ledger)
    assert [each.reason for each in differences] == reasons
    for each in differences:
        assert tell(each).endswith(".")
        assert what_to_do(each.reason)


def test_another_outcome_is_told_once_of_either_side() -> None:
    [difference] = found([row(FAILED, 2, outcome=RowOutcome.OTHER)], [FAILED])
    ours = f"The payment of PHP 499.00, {FAILED.status} in the ledger,"
    assert tell(difference) == f"{ours} is in a state that is not documented at the provider."


def test_a_notification_is_the_third_witness() -> None:
    assert found([row(ONE, 2)], [ONE], [said(ONE)]) == []
    assert found([row(ONE, 2)], [ONE], [said(ONE, moved=None, amount=None, currency=None)]) == []
    for other in (said(ONE, moved=False), said(ONE, amount=1)):
        [difference] = found([row(ONE, 2)], [ONE], [other])
        assert (difference.reason, difference.heard and difference.heard.id) == (Reason.NOTIFICATION, "ntf_att_1")
    # A success that is told after a failure is what counts, as the engine has it.
    assert found([row(ONE, 2)], [ONE], [said(ONE, id="ntf_0", moved=False), said(ONE)]) == []
    [missing] = found([], [ONE], [said(ONE)])
    assert "The provider's notification said succeeded, PHP 499.00." in tell(missing)


def test_what_another_days_report_has_is_not_missing_and_not_there_twice_unless_it_is() -> None:
    other = row(ONE, 2, source="day-0.csv")
    assert found([], [ONE], elsewhere=[other]) == []
    assert [each.reason for each in found([row(ONE, 2)], [ONE], elsewhere=[other])] == [Reason.DUPLICATE]


@pytest.mark.parametrize(
    ("at", "others", "pending"),
    [
        (EDGE - timedelta(minutes=10), [], False),
        (EDGE - timedelta(minutes=2), [], True),  # the provider's clock may be past midnight
        (EDGE - timedelta(minutes=2), [DAY + timedelta(days=1)], False),
        (EDGE - timedelta(minutes=2), [DAY - timedelta(days=1)], True),
        (EDGE + timedelta(minutes=10), [], None),
        (EDGE - timedelta(days=1, minutes=2), [], True),
        (EDGE - timedelta(days=1, minutes=2), [DAY - timedelta(days=1)], None),  # the day before tells
    ],
)
def test_at_the_edge_of_the_day_it_may_come_tomorrow(at: datetime, others: list[date], pending: bool | None) -> None:
    differences = found([], [payment(1, at=at)], others=others)
    assert [each.pending for each in differences] == ([] if pending is None else [pending])


def test_what_was_found_out_late_may_be_in_the_report_of_any_day_until_then() -> None:
    late = payment(1, ended=NOON + timedelta(days=2))
    tomorrow, after = DAY + timedelta(days=1), DAY + timedelta(days=2)
    assert [each.pending for each in found([], [late], others=[tomorrow])] == [True]
    assert [each.pending for each in found([], [late], others=[tomorrow, after])] == [False]


def test_a_payout_accounts_for_whole_days_since_the_payout_before() -> None:
    def differences(at: datetime, method: str = "GCASH", before: date | None = None) -> list[bool]:
        rows = [row(each, 2, batch="B2") for each in (payment(1), payment(2, at=NOON + timedelta(days=2)))]
        rows[1] = replace(rows[1], line=3)
        others = {("GCASH", "PHP"): [(before, before)]} if before else {}
        days = of_batch(ZONE, rows, others)
        ledger = [payment(1), payment(2, at=NOON + timedelta(days=2)), payment(3, at=at, payment_method=method)]
        return [each.pending for each in match(Books(rows, ledger, days)).findings]

    assert differences(NOON + timedelta(days=1)) == [False]
    assert differences(NOON + timedelta(days=2, hours=11)) == [False]
    assert differences(EDGE + timedelta(days=2)) == [True]
    assert differences(NOON + timedelta(days=3)) == []
    assert differences(NOON + timedelta(days=1), method="MAYA") == []  # settled at a rhythm of its own
    assert differences(NOON - timedelta(days=2)) == []
    assert differences(NOON - timedelta(days=2), before=DAY - timedelta(days=4)) == [False]


def test_what_the_days_report_has_and_the_payout_has_not_is_not_settled() -> None:
    rows = [row(payment(1), 2, batch="B1")]
    books = Books(rows, [ONE, payment(2)], of_batch(ZONE, rows, {}), counterpart=[row(payment(2), 9)])
    [difference] = match(books).findings
    assert difference.reason is Reason.NOT_SETTLED


def test_a_payouts_fee_is_the_one_the_days_report_announced() -> None:
    paid = row(ONE, 2, batch="B1", fee=3)
    assert [each.reason for each in found([paid], [ONE], counterpart=[row(ONE, 9)])] == [Reason.FEE]
    assert found([paid], [ONE], counterpart=[row(ONE, 9, fee=None, fee_currency=None)]) == []


def test_totals_say_how_much_agrees() -> None:
    ledger = [payment(1), payment(2, 100), payment(3, 50), refund(1, 7), payment(4, at=EDGE)]
    rows = [row(ledger[0], 2), row(ledger[1], 3, amount=101), row(ledger[3], 4, settled=-40)]
    rows.append(row(ONE, 5, kind=RowKind.OTHER, label="SETTLEMENT_FEE", amount=-9, settled=-9))
    made = match(Books(rows, ledger, of_day(ZONE, (DAY, DAY))))
    payments, refunds, own = made.totals
    assert (payments.matched, payments.matched_amount) == (1, 49900)
    assert (payments.different, payments.different_amount) == (2, 101 + 50)
    assert (payments.pending, payments.pending_amount) == (1, 49900)
    assert (own.label, own.noted, own.noted_amount) == ("SETTLEMENT_FEE", 1, -9)
    assert (refunds.kind, refunds.matched, refunds.matched_amount) == (BACK, 1, 7)
    assert (made.settled, made.fees) == ({"USD": 100 + 100 - 40 - 9}, {"USD": 8})


def summary(label: str, count: int, settled: int, fee: int | None = 2, line: int = 2) -> SummaryRow:
    return SummaryRow(line, label, count, settled, "USD", fee, "USD" if fee is not None else None)


def test_details_and_summary_of_a_payout() -> None:
    rows = [row(ONE, 2), row(refund(1), 3, settled=-40, fee=0)]
    good = [summary("PAYMENT", 1, 100), summary("REFUND", 1, -40, 0), summary("TOTAL", 2, 60)]
    assert check(rows, good) == []
    assert check(rows, [summary("TOTAL", 2, 60, None)]) == []
    # Gross details: 100 - 2 of fees, and what went back.
    apart = [summary("PAYMENT", 1, 98), summary("REFUND", 1, -40, 0), summary("TOTAL", 2, 58)]
    assert check(rows, apart, fees_apart=True) == []
    for index, wrong in enumerate((summary("PAYMENT", 2, 100), summary("REFUND", 1, -41, 0), summary("TOTAL", 2, 61))):
        subjects = [each.subject for each in check(rows, [*good[:index], wrong, *good[index + 1 :]])]
        assert f"sum:{wrong.label}" in subjects
    [difference] = check(rows, [*good[:2], summary("TOTAL", 2, 61)])
    assert tell(difference) == (
        "TOTAL: the details make 2 rows, USD 0.60, fees USD 0.02; the summary says 2 rows, USD 0.61, fees USD 0.02."
    )
    assert [each.subject for each in check(rows, [good[0], summary("TOTAL", 1, 100)])] == ["sum:REFUND"]
