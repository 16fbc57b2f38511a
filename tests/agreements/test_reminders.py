"""When merchants are told again of a link, and in time of a credential that is about to expire."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.agenda import StepKind, next_step
from agreements.card_changes import REMINDERS, reminder_at, reminders_by
from agreements.expiry import WARN_AHEAD, needed_after, warning_at
from agreements.money import Money
from agreements.schedule import Plan, due_at, last_cycle
from agreements.standing import Identity, Standing
from agreements.status import AgreementStatus, Stop
from agreements.terms import Terms

START = datetime(2027, 1, 31, tzinfo=UTC)
LIVES = st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=60))
SINCE = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=90))


@given(LIVES)
def test_reminders_cut_a_links_life_into_equal_parts_and_none_comes_at_its_end(life: timedelta) -> None:
    ends = START + life
    instants = [reminder_at(START, ends, number) for number in range(1, REMINDERS + 1)]
    assert reminder_at(START, ends, REMINDERS + 1) is None
    gaps = [later - earlier for earlier, later in zip([START, *instants], [*instants, ends], strict=True)]  # type: ignore[operator]
    assert max(gaps) - min(gaps) <= timedelta(microseconds=2)
    assert min(gaps) > timedelta(0)


@given(LIVES, SINCE)
def test_what_was_due_is_counted_as_it_was_planned(life: timedelta, since: timedelta) -> None:
    ends, now = START + life, START + since
    count = reminders_by(START, ends, now)
    planned = [reminder_at(START, ends, number) for number in range(1, REMINDERS + 1)]
    assert [at <= now for at in planned if at] == [True] * count + [False] * (REMINDERS - count)


def test_a_week_is_reminded_after_a_third_and_two_thirds() -> None:
    ends = START + timedelta(days=6)
    assert [reminder_at(START, ends, number) for number in (1, 2)] == [
        datetime(2027, 2, 2, tzinfo=UTC),
        datetime(2027, 2, 4, tzinfo=UTC),
    ]


def test_a_warning_comes_thirty_days_ahead_unless_the_token_is_refreshed() -> None:
    until = datetime(2027, 8, 1, tzinfo=UTC)
    assert warning_at(until, None) == datetime(2027, 7, 2, tzinfo=UTC)
    assert warning_at(until, until - timedelta(days=15)) is None
    assert warning_at(None, None) is None


def terms(**given_: object) -> Terms:
    body: dict[str, object] = {
        "type": "recurring",
        "amount": Money(currency="PHP", value=49900),
        "frequency": "monthly",
        "cycle_interval_days": 25,
        "payment_processing_day": 31,
        "start_date": date(2027, 1, 31),
        "timezone": "Asia/Manila",
    }
    return Terms.model_validate(body | given_)


@given(st.integers(min_value=1, max_value=24), st.integers(min_value=0, max_value=800))
def test_a_credential_is_needed_after_its_end_exactly_if_a_cycle_falls_due_then(cycles: int, days: int) -> None:
    plan = Plan(terms(total_cycles=cycles))
    ends = START + timedelta(days=days)
    assert needed_after(plan, ends) == any(due_at(plan, n) >= ends for n in range(1, cycles + 1))


def test_the_very_instant_of_a_debit_is_too_late() -> None:
    plan = Plan(terms(total_cycles=2))
    last = due_at(plan, 2)
    assert last_cycle(plan) == 2
    assert needed_after(plan, last)
    assert not needed_after(plan, last + timedelta(microseconds=1))


@pytest.mark.parametrize(("expiry", "needed"), [(None, True), (date(2027, 12, 31), True), (date(2027, 7, 31), False)])
def test_without_a_schedule_only_the_end_of_the_agreement_counts(expiry: date | None, needed: bool) -> None:
    plan = Plan(terms(type="unscheduled", frequency="irregular", payment_processing_day=None, expiry_date=expiry))
    assert needed_after(plan, datetime(2027, 8, 1, tzinfo=UTC)) is needed


def test_a_link_that_has_run_out_is_not_reminded_of() -> None:
    """Both fell due in an outage: the end goes first."""
    identity = Identity(
        id="agr_1", merchant_id="mer_1", gateway="antom", customer_id="c", reference="r", test_clock_id=None
    )
    standing = Standing(
        agreement=identity,
        version=1,
        as_of=START,
        status=AgreementStatus.ACTIVE,
        stop=Stop.NONE,
        closed=False,
        card_change_expires_at=START + timedelta(days=7),
        card_change_reminder_at=START + timedelta(days=3),
        credential_warning_at=START + WARN_AHEAD,
    )

    def coming(days: int) -> StepKind | None:
        step = next_step(standing, START + timedelta(days=days))
        return step.kind if step else None

    assert [coming(days) for days in (0, 4, 8)] == [StepKind.REMIND, StepKind.REMIND, StepKind.EXPIRE_CARD_CHANGE]
    alone = standing.model_copy(update={"card_change_expires_at": None, "card_change_reminder_at": None})
    step = next_step(alone, START)
    assert step is not None
    assert (step.kind, step.due_at) == (StepKind.WARN, START + WARN_AHEAD)
