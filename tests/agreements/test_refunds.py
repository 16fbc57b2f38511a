"""What each answer about money sent back means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.attempts import Verdict
from agreements.guarantees import Traits
from agreements.refunds import (
    Progress,
    RefundKind,
    RefundStatus,
    answered,
    charge_status,
    looked_up,
    sent,
    told,
)
from agreements.status import ChargeStatus

NOW = datetime(2027, 1, 31, 1, 0, tzinfo=UTC)
TRAITS = Traits(
    repeat_is_safe=timedelta(days=1),
    settling_time=timedelta(minutes=1),
    cancel_unfinished_after=None,
    authorization_life=timedelta(minutes=15),
)
REFUND = Progress(RefundKind.REFUND, RefundStatus.PENDING, next_at=NOW)
CANCEL = Progress(RefundKind.CANCEL, RefundStatus.PENDING, next_at=NOW)
SUCCEEDED, FAILED = RefundStatus.SUCCEEDED, RefundStatus.FAILED
PENDING, UNKNOWN = RefundStatus.PENDING, RefundStatus.UNKNOWN


def later(**passed: float) -> datetime:
    return NOW + timedelta(**passed)


@pytest.mark.parametrize(
    ("before", "verdict", "status", "kind"),
    [
        (REFUND, Verdict.SUCCEEDED, SUCCEEDED, RefundKind.REFUND),
        (REFUND, Verdict.DECLINED, FAILED, RefundKind.REFUND),
        (REFUND, Verdict.PROCESSING, PENDING, RefundKind.REFUND),
        (REFUND, Verdict.UNKNOWN, UNKNOWN, RefundKind.REFUND),
        (REFUND, Verdict.NOT_FOUND, UNKNOWN, RefundKind.REFUND),
        (CANCEL, Verdict.SUCCEEDED, SUCCEEDED, RefundKind.CANCEL),
        (CANCEL, Verdict.DECLINED, PENDING, RefundKind.REFUND),
        (CANCEL, Verdict.PROCESSING, PENDING, RefundKind.CANCEL),
        (CANCEL, Verdict.UNKNOWN, UNKNOWN, RefundKind.CANCEL),
        (CANCEL, Verdict.NOT_FOUND, UNKNOWN, RefundKind.CANCEL),
    ],
)
def test_the_answer_to_the_call(before: Progress, verdict: Verdict, status: RefundStatus, kind: RefundKind) -> None:
    after = answered(sent(before, NOW), verdict, TRAITS, later(seconds=1))
    assert (after.status, after.kind) == (status, kind)
    if status in (SUCCEEDED, FAILED):
        assert after.next_at is None
    elif after.kind is not before.kind:
        assert (after.next_at, after.in_doubt) == (later(seconds=1), False), "the refund is sent at once"
    else:
        assert (after.next_at, after.in_doubt) == (later(seconds=6), True), "five seconds later the provider is asked"


@pytest.mark.parametrize(
    ("verdict", "status", "asks"),
    [
        (Verdict.CANCELED, SUCCEEDED, None),
        (Verdict.DECLINED, SUCCEEDED, None),
        (Verdict.SUCCEEDED, PENDING, False),
        (Verdict.PROCESSING, UNKNOWN, True),
        (Verdict.NOT_FOUND, UNKNOWN, True),
        (Verdict.UNKNOWN, UNKNOWN, True),
    ],
)
def test_the_payment_found_after_an_unknown_cancel(verdict: Verdict, status: RefundStatus, asks: bool | None) -> None:
    """A payment that is still paid is canceled again at once; one that is not keeps no money."""
    unknown = answered(sent(CANCEL, NOW), Verdict.UNKNOWN, TRAITS, NOW)
    after = looked_up(unknown, verdict, TRAITS, later(seconds=5))
    assert (after.kind, after.status) == (RefundKind.CANCEL, status)
    assert (after.next_at is None) is (asks is None)
    if asks is not None:
        assert after.in_doubt is asks
        assert (after.next_at == later(seconds=5)) is not asks


def test_not_found_counts_after_the_settling_time_and_two_looks() -> None:
    """The looks follow the plan of payment-rules §4 point 4: 5 s, 15 s, 45 s, 2 min."""
    progress = answered(sent(REFUND, NOW), Verdict.UNKNOWN, TRAITS, NOW)
    for seconds in (5, 15, 45):
        assert progress.next_at == later(seconds=seconds)
        progress = looked_up(progress, Verdict.NOT_FOUND, TRAITS, later(seconds=seconds))
        assert (progress.status, progress.in_doubt) == (UNKNOWN, True)
    progress = looked_up(progress, Verdict.NOT_FOUND, TRAITS, later(minutes=2))
    assert (progress.status, progress.in_doubt, progress.next_at) == (PENDING, False, later(minutes=2))


def test_one_late_look_is_not_enough() -> None:
    unknown = answered(sent(REFUND, NOW), Verdict.UNKNOWN, TRAITS, NOW)
    assert looked_up(unknown, Verdict.NOT_FOUND, TRAITS, later(hours=1)).in_doubt
    again = sent(replace(unknown, times_not_found=2, in_doubt=False), later(hours=1))
    assert looked_up(again, Verdict.NOT_FOUND, TRAITS, later(hours=2)).in_doubt, "what was sent again counts anew"


@pytest.mark.parametrize(
    ("status", "verdict", "expected", "asks"),
    [
        (PENDING, Verdict.SUCCEEDED, SUCCEEDED, False),
        (UNKNOWN, Verdict.SUCCEEDED, SUCCEEDED, False),
        (UNKNOWN, Verdict.DECLINED, FAILED, False),
        (SUCCEEDED, Verdict.SUCCEEDED, SUCCEEDED, False),
        (SUCCEEDED, Verdict.DECLINED, FAILED, False),
        (SUCCEEDED, Verdict.PROCESSING, SUCCEEDED, False),
        (FAILED, Verdict.DECLINED, FAILED, False),
        (FAILED, Verdict.SUCCEEDED, FAILED, True),
    ],
)
def test_a_message(status: RefundStatus, verdict: Verdict, expected: RefundStatus, asks: bool) -> None:
    open_ = status in (PENDING, UNKNOWN)
    before = Progress(RefundKind.REFUND, status, next_at=NOW if open_ else None, in_doubt=open_, sent_at=NOW)
    after = told(before, verdict, later(hours=1))
    assert (after.status, after.in_doubt, after.next_at) == (expected, asks, later(hours=1) if asks else None)


@pytest.mark.parametrize(
    ("verdict", "status", "ends"),
    [
        (Verdict.SUCCEEDED, SUCCEEDED, True),
        (Verdict.DECLINED, FAILED, True),
        (Verdict.NOT_FOUND, FAILED, True),
        (Verdict.UNKNOWN, FAILED, False),
        (Verdict.PROCESSING, FAILED, False),
    ],
)
def test_a_failed_refund_called_successful_is_asked_about(verdict: Verdict, status: RefundStatus, ends: bool) -> None:
    asked = told(Progress(RefundKind.REFUND, FAILED, next_at=None, sent_at=NOW), Verdict.SUCCEEDED, NOW)
    assert told(asked, Verdict.SUCCEEDED, later(seconds=1)) == asked
    after = looked_up(asked, verdict, TRAITS, later(seconds=1))
    assert (after.status, after.next_at is None) == (status, ends)


def test_a_message_about_a_cancel() -> None:
    assert told(CANCEL, Verdict.CANCELED, NOW).status is SUCCEEDED
    assert told(CANCEL, Verdict.DECLINED, NOW) == CANCEL


_VERDICTS = st.sampled_from(Verdict)
_MOVES = st.lists(st.tuples(st.booleans(), _VERDICTS, st.timedeltas(timedelta(0), timedelta(days=30))), max_size=40)


@given(st.sampled_from([REFUND, CANCEL]), _MOVES)
def test_whatever_comes_an_open_refund_is_always_acted_on_again(
    before: Progress, moves: list[tuple[bool, Verdict, timedelta]]
) -> None:
    """Calls and messages in any order, as late as they like: never open without a next call, never two calls unasked
    about, and nothing but a message moves what has ended.
    """
    progress, now = before, NOW
    for message, verdict, passed in moves:
        if message:
            now += passed
            progress = told(progress, verdict, now)
        elif progress.next_at is None:
            assert answered(progress, verdict, TRAITS, now) == looked_up(progress, verdict, TRAITS, now) == progress
        else:
            now = max(now, progress.next_at) + passed
            asks = progress.in_doubt
            progress = looked_up(progress, verdict, TRAITS, now) if asks else _called(progress, verdict, now)
            if progress.next_at is not None and progress.in_doubt:
                assert now < progress.next_at <= now + timedelta(days=1)
        assert (progress.next_at is None) <= (progress.status in (SUCCEEDED, FAILED))
        assert (progress.status is SUCCEEDED) <= (progress.next_at is None)
        assert progress.in_doubt <= (progress.next_at is not None)


def _called(progress: Progress, verdict: Verdict, now: datetime) -> Progress:
    committed = sent(progress, now)
    assert committed.in_doubt, "who finds it after a crash asks first"
    return answered(committed, verdict, TRAITS, now)


@pytest.mark.parametrize(
    ("given_back", "status"),
    [
        (0, ChargeStatus.SUCCEEDED),
        (1, ChargeStatus.PARTIALLY_REFUNDED),
        (99, ChargeStatus.PARTIALLY_REFUNDED),
        (100, ChargeStatus.REFUNDED),
        (130, ChargeStatus.REFUNDED),
    ],
)
def test_a_charge_says_how_much_went_back(given_back: int, status: ChargeStatus) -> None:
    assert charge_status(100, given_back) is status
