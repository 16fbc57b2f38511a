"""Decisions after a decline: every category decided, no retry out of bounds, the first policy's own figures."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements import schedule
from agreements.declines import Decline, DeclineCategory
from agreements.retries import POLICIES, STANDARD, Action, Decision, decide
from tests.agreements.strategies import instants, monthly

Category = DeclineCategory
NOW = datetime(2027, 2, 28, 1, 0, 20, tzinfo=UTC)
SOFT = set(STANDARD.ladders)


def decided(category: Category, *before: Category, **changes: Any) -> Decision:
    """The decision on the next decline of a cycle due on 28 Feb 2027 in Manila, whose successor is far off."""
    facts: dict[str, Any] = {
        "attempt": len(before) + 1,
        "declined_before": before,
        "now": NOW,
        "due_at": NOW,
        "next_due_at": None,
        "refreshable": False,
        "terms": monthly(),
    }
    return decide(STANDARD, Decline(category=category, code="x", raw_code="51"), **(facts | changes))


@given(
    category=st.sampled_from(Category),
    before=st.lists(st.sampled_from(Category), max_size=9),
    now=instants,
    late=st.timedeltas(timedelta(0), timedelta(days=20)),
    until_next=st.none() | st.timedeltas(timedelta(minutes=1), timedelta(days=12)),
    until_end=st.none() | st.integers(0, 12),
    refreshable=st.booleans(),
)
def test_a_retry_stays_inside_every_bound(
    category: Category,
    before: list[Category],
    now: datetime,
    late: timedelta,
    until_next: timedelta | None,
    until_end: int | None,
    refreshable: bool,
) -> None:
    next_due_at = None if until_next is None else now + until_next
    expiry = None if until_end is None else schedule.today("Asia/Manila", now) + timedelta(days=until_end)
    terms = monthly(expiry_date=expiry)
    decision = decided(
        category,
        *before,
        now=now,
        due_at=now - late,
        next_due_at=next_due_at,
        terms=terms,
        refreshable=refreshable,
    )
    assert (decision.action is Action.RETRY) == (decision.at is not None)
    assert decision.rule
    assert decision.budget_left <= max(STANDARD.max_attempts - len(before) - 1, 0)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    if decision.at is None:
        return
    assert decision.at >= now
    assert decision.at <= now - late + STANDARD.window
    assert next_due_at is None or decision.at < next_due_at
    assert (end := schedule.ends_at(terms)) is None or decision.at < end
    assert decision.budget_left >= 1
    assert category in SOFT or (category is Category.INVALID_CREDENTIAL and refreshable and category not in before)


@given(st.lists(st.sampled_from(sorted(SOFT)), min_size=30, max_size=30))
def test_any_mix_of_declines_ends(categories: list[Category]) -> None:
    """However the issuer answers: at most seven attempts, within two weeks."""
    now, before = NOW, list[Category]()
    for category in categories:
        decision = decided(category, *before, now=now)
        before.append(category)
        if decision.at is None:
            break
        now = decision.at
    assert decision.action is Action.GIVE_UP
    assert len(before) <= 7
    assert now - NOW <= timedelta(days=14)


@pytest.mark.parametrize(
    ("category", "waits"),
    [
        (Category.INSUFFICIENT_FUNDS, [timedelta(days=1), timedelta(days=3), timedelta(days=5)]),
        (Category.DO_NOT_HONOR, [timedelta(days=1), timedelta(days=2), timedelta(days=4)]),
        (
            Category.ISSUER_UNAVAILABLE,
            [
                timedelta(minutes=15),
                timedelta(hours=1),
                timedelta(hours=6),
                timedelta(days=1),
                timedelta(days=2),
                timedelta(days=3),
            ],
        ),
    ],
)
def test_ladders(category: Category, waits: list[timedelta]) -> None:
    for step, wait in enumerate(waits):
        decision = decided(category, *[category] * step)
        assert (decision.at, decision.budget_left) == (NOW + wait, len(waits) - step)
        assert decision.rule == STANDARD.ladders[category].rule
    assert decided(category, *[category] * len(waits)).rule in {"ladder_used_up", "attempts_used_up"}


def test_the_four_attempts_on_an_empty_account() -> None:
    funds = Category.INSUFFICIENT_FUNDS
    last = decided(funds, funds, funds, funds)
    assert (last.action, last.rule, last.budget_left) == (Action.GIVE_UP, "ladder_used_up", 0)


def test_an_outage_of_the_issuer_uses_up_no_step_of_another_ladder() -> None:
    down = Category.ISSUER_UNAVAILABLE
    assert decided(Category.INSUFFICIENT_FUNDS, down, down, down).at == NOW + timedelta(days=1)


def test_the_overall_ceiling_shortens_the_budget() -> None:
    down = Category.ISSUER_UNAVAILABLE
    assert decided(Category.INSUFFICIENT_FUNDS, *[down] * 5).budget_left == 1
    assert decided(Category.INSUFFICIENT_FUNDS, *[down] * 6).rule == "attempts_used_up"


@pytest.mark.parametrize(
    ("before", "expected"), [(0, "2027-03-01T01:00Z"), (1, "2027-03-02T01:00Z"), (2, "2027-03-04T01:00Z")]
)
def test_a_limit_waits_for_the_debit_time_of_a_later_local_day(before: int, expected: str) -> None:
    limit = Category.LIMIT_EXCEEDED
    assert decided(limit, *[limit] * before).at == datetime.fromisoformat(expected)


def test_the_local_day_is_the_payers() -> None:
    """17:00 UTC is already the next day in Manila: the day after it is meant."""
    late = datetime(2027, 2, 28, 17, 0, tzinfo=UTC)
    assert decided(Category.LIMIT_EXCEEDED, now=late, due_at=late).at == datetime(2027, 3, 2, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("category", "action", "rule"),
    [
        (Category.EXPIRED_CARD, Action.NEEDS_CUSTOMER, "expired_card_needs_new_credential"),
        (Category.LOST_OR_STOLEN, Action.NEEDS_CUSTOMER, "lost_or_stolen_never_retried"),
        (Category.CLOSED_ACCOUNT, Action.NEEDS_CUSTOMER, "closed_account_never_retried"),
        (Category.INVALID_CREDENTIAL, Action.NEEDS_CUSTOMER, "invalid_credential_needs_new_one"),
        (Category.AUTHENTICATION_REQUIRED, Action.NEEDS_CUSTOMER, "payer_must_authenticate"),
        (Category.REVOKED_BY_PAYER, Action.REVOKE, "revoked_by_payer"),
        (Category.RISK, Action.OPERATOR, "risk_never_retried"),
        (Category.CONFIGURATION, Action.OPERATOR, "configuration_must_be_repaired"),
        (Category.REVIEW, Action.OPERATOR, "person_must_review"),
        (Category.TERMS, Action.GIVE_UP, "terms_refused"),
    ],
)
def test_what_no_waiting_heals(category: Category, action: Action, rule: str) -> None:
    decision = decided(category)
    assert (decision.action, decision.rule, decision.at, decision.budget_left) == (action, rule, None, 0)


class TestRefresh:
    def test_a_refused_token_is_refreshed_and_tried_at_once(self) -> None:
        decision = decided(Category.INVALID_CREDENTIAL, Category.INSUFFICIENT_FUNDS, refreshable=True)
        assert (decision.action, decision.rule, decision.at) == (Action.RETRY, "refresh_then_retry", NOW)

    def test_but_only_once(self) -> None:
        decision = decided(Category.INVALID_CREDENTIAL, Category.INVALID_CREDENTIAL, refreshable=True)
        assert (decision.action, decision.rule) == (Action.NEEDS_CUSTOMER, "invalid_credential_needs_new_one")


class TestBounds:
    @pytest.mark.parametrize(("gap", "rule"), [(0, "next_cycle_first"), (1, "insufficient_funds_ladder")])
    def test_the_next_cycle_goes_first(self, gap: int, rule: str) -> None:
        next_due_at = NOW + timedelta(days=1, seconds=gap)
        assert decided(Category.INSUFFICIENT_FUNDS, next_due_at=next_due_at).rule == rule

    @pytest.mark.parametrize(
        ("expiry", "rule"), [("2027-02-28", "terms_end_first"), ("2027-03-01", "insufficient_funds_ladder")]
    )
    def test_nothing_is_debited_after_the_expiry_date(self, expiry: str, rule: str) -> None:
        assert decided(Category.INSUFFICIENT_FUNDS, terms=monthly(expiry_date=expiry)).rule == rule

    @pytest.mark.parametrize(("days", "rule"), [(13, "insufficient_funds_ladder"), (13.1, "window_over")])
    def test_two_weeks_after_the_due_instant_it_is_over(self, days: float, rule: str) -> None:
        assert decided(Category.INSUFFICIENT_FUNDS, due_at=NOW - timedelta(days=days)).rule == rule


def test_the_inputs_are_kept() -> None:
    decision = decided(Category.INSUFFICIENT_FUNDS, Category.DO_NOT_HONOR, next_due_at=NOW + timedelta(days=9))
    assert decision.inputs == {
        "policy": "standard",
        "category": "insufficient_funds",
        "code": "x",
        "raw_code": "51",
        "network_advice": None,
        "attempt": 2,
        "declined_before": "do_not_honor",
        "now": "2027-02-28T01:00:20+00:00",
        "due_at": "2027-02-28T01:00:20+00:00",
        "next_due_at": "2027-03-09T01:00:20+00:00",
        "refreshable": "no",
    }


def test_standard_is_the_only_policy() -> None:
    assert dict(POLICIES) == {"standard": STANDARD}
