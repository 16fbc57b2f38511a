"""When a debit is announced, and how long it waits for proof that the payer was told."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agreements import rulebook
from agreements.notices import MERCHANTS_WISH, Notice, Wish, debit_from, plan
from agreements.rulebook import NoticeDuty
from tests.agreements.strategies import instants

DUE = datetime(2027, 6, 30, 1, 0, tzinfo=UTC)
ON = date(2027, 6, 1)
BOOK = rulebook.current()

wishes = st.none() | st.builds(Wish, days_before=st.integers(1, 60), required=st.booleans())
duties = st.lists(st.sampled_from(BOOK.notice_duties), max_size=3, unique_by=lambda duty: duty.id)


@given(instants, wishes, duties, st.booleans())
def test_every_duty_is_met_and_none_too_early(
    due_at: datetime, wish: Wish | None, owed: list[NoticeDuty], changed: bool
) -> None:
    notice = plan(due_at, wish, owed, amount_changed=changed)
    counted = [duty for duty in owed if duty.when == "debit" or (duty.when == "change" and changed)]
    if notice is None:
        assert wish is None
        assert counted == []
        return
    first = max((due_at - duty.earliest for duty in counted if duty.earliest), default=None)
    assert first is None or notice.at >= first
    if first is None or all(due_at - duty.latest >= first for duty in counted):
        assert all(notice.at <= due_at - duty.latest for duty in counted)
    assert notice.proof == (any(duty.proof for duty in counted) or bool(wish and wish.required))
    assert {duty.id for duty in counted} <= set(notice.rules)


@given(instants, st.none() | instants, wishes, duties)
def test_without_proof_no_debit_and_never_before_the_due_instant(
    due_at: datetime, proven_at: datetime | None, wish: Wish | None, owed: list[NoticeDuty]
) -> None:
    notice = plan(due_at, wish, owed, amount_changed=False)
    at = debit_from(notice, proven_at, due_at)
    if notice is None or not notice.proof:
        assert at == due_at
    elif proven_at is None:
        assert at is None
    else:
        assert at is not None
        assert at >= due_at
        assert all(at >= proven_at + duty.latest for duty in owed if duty.proof and duty.when == "debit")


def test_a_missing_amount_is_asked_for_three_days_ahead() -> None:
    notice = plan(DUE, None, [], amount_missing=True)
    assert notice == Notice(at=DUE - timedelta(days=3), rules=("amount_not_set",), proof=False, lead=timedelta(0))


def test_a_wish_is_kept_to_the_day() -> None:
    assert plan(DUE, Wish(days_before=3), [], amount_changed=False) == Notice(
        at=DUE - timedelta(days=3), rules=(MERCHANTS_WISH,), proof=False, lead=timedelta(0)
    )


def test_mastercard_wants_to_be_heard_before_a_half_yearly_debit() -> None:
    """7 to 30 days before each debit that comes about twice a year or less (payment-rules §2.6)."""
    owed = BOOK.notices("mastercard", None, 181, ON)
    notice = plan(DUE, None, owed, amount_changed=False)
    assert notice is not None
    assert timedelta(days=7) <= DUE - notice.at <= timedelta(days=30)
    assert BOOK.notices("mastercard", None, 28, ON) == () or all(
        duty.when != "debit" for duty in BOOK.notices("mastercard", None, 28, ON)
    )


def test_visa_wants_to_be_heard_seven_days_before_a_new_price() -> None:
    owed = BOOK.notices("visa", None, 28, ON)
    assert plan(DUE, None, owed, amount_changed=False) is None
    changed = plan(DUE, None, owed, amount_changed=True)
    assert changed is not None
    assert DUE - changed.at >= timedelta(days=7)


def test_indian_mandates_wait_a_day_after_the_proof() -> None:
    upi = next(rail for rail in BOOK.rails if rail.rail == "upi_autopay")
    notice = plan(DUE, None, BOOK.notices(None, upi, 28, ON), amount_changed=False)
    assert notice is not None
    assert notice.proof
    told = DUE - timedelta(hours=3)
    assert debit_from(notice, told, DUE) == told + timedelta(hours=24)
