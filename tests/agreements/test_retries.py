"""Decisions after a decline: every category decided, no retry out of bounds, schemes above policies."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements import rulebook, schedule
from agreements.budgets import Declined, spent
from agreements.declines import Decline, DeclineCategory
from agreements.money import Money
from agreements.policies import resolve
from agreements.retries import Action, Case, Decision, decide
from agreements.schedule import Plan
from agreements.terms import Terms
from tests.agreements.strategies import instants, monthly

Category = DeclineCategory
BOOK = rulebook.current()
STANDARD = resolve("standard", BOOK, date(2027, 1, 1))
NOW = datetime(2027, 2, 10, 1, 0, 20, tzinfo=UTC)
"""A Wednesday in Manila, 09:00:20, with no common pay-day within the next three days."""
PRICE = Money(currency="PHP", value=49900)
SOFT = set(STANDARD.ladders)


def declined(category: Category, **codes: Any) -> Decline:
    """A decline by the provider's own words only, unless `codes` say more."""
    return Decline(category=category, code="x", **codes)


def case(category: Category, *before: Category, terms: Terms | None = None, **changes: Any) -> Case:
    """The next decline of a cycle due now in Manila, whose successor is far off."""
    facts = Case(
        plan=Plan(terms or monthly()),
        gateway="antom",
        decline=declined(category),
        attempt=len(before) + 1,
        earlier=[declined(earlier) for earlier in before],
        window_start=NOW,
        next_due_at=None,
        refreshable=False,
        network=None,
        spent=(),
        region=None,
    )
    return replace(facts, **changes)


def decided(category: Category, *before: Category, now: datetime = NOW, **changes: Any) -> Decision:
    return decide(case(category, *before, **changes), STANDARD, BOOK, now)


@given(
    category=st.sampled_from(Category),
    before=st.lists(st.sampled_from(Category), max_size=9),
    now=instants,
    late=st.timedeltas(timedelta(0), timedelta(days=20)),
    until_next=st.none() | st.timedeltas(timedelta(minutes=1), timedelta(days=12)),
    until_end=st.none() | st.integers(0, 12),
    refreshable=st.booleans(),
    window=st.none() | st.integers(1, 720),
)
def test_a_retry_stays_inside_every_bound(
    category: Category,
    before: list[Category],
    now: datetime,
    late: timedelta,
    until_next: timedelta | None,
    until_end: int | None,
    refreshable: bool,
    window: int | None,
) -> None:
    next_due_at = None if until_next is None else now + until_next
    expiry = None if until_end is None else schedule.today("Asia/Manila", now) + timedelta(days=until_end)
    terms = monthly(expiry_date=expiry, debit_window_minutes=window)
    facts = case(
        category, *before, terms=terms, window_start=now - late, next_due_at=next_due_at, refreshable=refreshable
    )
    decision = decide(facts, STANDARD, BOOK, now)
    assert decision == decide(facts, STANDARD, BOOK, now)
    assert (decision.action is Action.RETRY) == (decision.at is not None)
    assert (decision.act_by is not None) == (decision.action in (Action.NEEDS_CUSTOMER, Action.NEEDS_NEW_CARD))
    assert decision.rule
    assert decision.budget_left <= max(STANDARD.max_attempts - len(before) - 1, 0)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    if decision.at is None:
        assert decision.budget_left == 0
        return
    assert decision.at >= now
    assert decision.at <= now - late + STANDARD.window
    assert next_due_at is None or decision.at < next_due_at
    assert (end := schedule.ends_at(terms)) is None or decision.at < end
    assert decision.budget_left >= 1
    assert category in SOFT or (category is Category.INVALID_CREDENTIAL and refreshable and category not in before)
    if decision.at - now >= timedelta(days=1):
        assert schedule.in_debit_window(facts.plan, decision.at) == decision.at


@given(st.lists(st.sampled_from(sorted(SOFT)), min_size=30, max_size=30))
def test_any_mix_of_declines_ends(categories: list[Category]) -> None:
    """However the issuer answers: at most seven attempts, within three weeks."""
    now, before = NOW, list[Category]()
    for category in categories:
        decision = decided(category, *before, now=now)
        before.append(category)
        if decision.at is None:
            break
        now = decision.at
    assert decision.action is Action.GIVE_UP
    assert len(before) <= STANDARD.max_attempts
    assert now - NOW <= STANDARD.window


@pytest.mark.parametrize(
    ("category", "hours"),
    [
        (Category.INSUFFICIENT_FUNDS, [24, 60, 60, 72, 72, 72]),
        (Category.DO_NOT_HONOR, [24, 60, 72, 84, 120]),
        (Category.ISSUER_UNAVAILABLE, [0.25, 1, 6, 24, 48, 72]),
    ],
)
def test_ladders_far_from_pay_days(category: Category, hours: Sequence[float]) -> None:
    policy = STANDARD.model_copy(update={"pay_days": False})
    for step, wait in enumerate(hours):
        decision = decide(case(category, *[category] * step), policy, BOOK, NOW)
        assert (decision.at, decision.budget_left) == (NOW + timedelta(hours=wait), len(hours) - step)
        assert decision.rule == STANDARD.ladders[category].rule
    assert decided(category, *[category] * len(hours)).rule in {"ladder_used_up", "attempts_used_up"}


def test_an_empty_account_is_tried_when_pay_comes() -> None:
    """The 15th is a pay-day in Manila; the second retry may wait two to five days and waits for it."""
    thirteenth = datetime(2027, 2, 12, 2, 0, tzinfo=UTC)
    funds = Category.INSUFFICIENT_FUNDS
    decision = decided(funds, funds, now=thirteenth, region="PH")
    assert decision.at == datetime(2027, 2, 15, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "bound",
    [
        {"next_due_at": datetime(2027, 2, 15, 1, 0, tzinfo=UTC)},
        {"terms": monthly(expiry_date="2027-02-14")},
        {"window_start": datetime(2027, 2, 1, 0, 59, tzinfo=UTC)},
    ],
    ids=["the next cycle", "the end of the terms", "the policy's window"],
)
def test_a_pay_day_out_of_bounds_is_not_waited_for(bound: dict[str, Any]) -> None:
    """The 15th could be waited for, but is too late: better tried before it than given up."""
    ladders = {"insufficient_funds": {"steps": [{"earliest_hours": 72, "latest_hours": 240}]}}
    policy = resolve({"ladders": ladders, "pay_days": [15], "window_days": 14}, BOOK, date(2027, 1, 1))
    inside = case(Category.INSUFFICIENT_FUNDS)
    assert decide(inside, policy, BOOK, NOW).at == datetime(2027, 2, 15, 1, 0, tzinfo=UTC)
    decision = decide(case(Category.INSUFFICIENT_FUNDS, **bound), policy, BOOK, NOW)
    assert (decision.action, decision.at) == (Action.RETRY, NOW + timedelta(hours=72))


def test_an_outage_of_the_issuer_uses_up_no_step_of_another_ladder() -> None:
    down = Category.ISSUER_UNAVAILABLE
    assert decided(Category.DO_NOT_HONOR, down, down, down).at == NOW + timedelta(days=1)


def test_the_overall_ceiling_shortens_the_budget() -> None:
    down = Category.ISSUER_UNAVAILABLE
    assert decided(Category.INSUFFICIENT_FUNDS, *[down] * 5).budget_left == 1
    assert decided(Category.INSUFFICIENT_FUNDS, *[down] * 6).rule == "attempts_used_up"


@pytest.mark.parametrize(
    ("before", "expected"), [(0, "2027-02-11T01:00Z"), (1, "2027-02-12T01:00Z"), (2, "2027-02-14T01:00Z")]
)
def test_a_limit_waits_for_the_debit_time_of_a_later_local_day(before: int, expected: str) -> None:
    limit = Category.LIMIT_EXCEEDED
    assert decided(limit, *[limit] * before).at == datetime.fromisoformat(expected)


def test_the_local_day_is_the_payers() -> None:
    """17:00 UTC is already the next day in Manila: the day after it is meant."""
    late = datetime(2027, 2, 10, 17, 0, tzinfo=UTC)
    assert decided(Category.LIMIT_EXCEEDED, now=late, window_start=late).at == datetime(2027, 2, 12, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("category", "action", "rule"),
    [
        (Category.EXPIRED_CARD, Action.NEEDS_NEW_CARD, "expired_card_needs_new_credential"),
        (Category.LOST_OR_STOLEN, Action.NEEDS_NEW_CARD, "lost_or_stolen_never_retried"),
        (Category.CLOSED_ACCOUNT, Action.NEEDS_NEW_CARD, "closed_account_never_retried"),
        (Category.INVALID_CREDENTIAL, Action.NEEDS_NEW_CARD, "invalid_credential_needs_new_one"),
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


def test_the_customer_has_the_policys_days_to_act() -> None:
    assert decided(Category.EXPIRED_CARD).act_by == NOW + timedelta(days=30)


class TestSchemes:
    @pytest.mark.parametrize(
        ("code", "action", "rule"),
        [
            ("41", Action.NEEDS_NEW_CARD, "visa.lost_or_stolen"),
            ("04", Action.NEEDS_NEW_CARD, "visa.pick_up_card"),
            ("1A", Action.NEEDS_CUSTOMER, "visa.authentication"),
            ("R1", Action.REVOKE, "visa.revoked"),
            ("12", Action.OPERATOR, "visa.invalid_transaction"),
        ],
    )
    def test_visa_forbids_although_the_category_would_be_tried_again(
        self, code: str, action: Action, rule: str
    ) -> None:
        decline = declined(Category.DO_NOT_HONOR, network_code=code)
        decision = decided(Category.DO_NOT_HONOR, decline=decline, network="visa")
        assert (decision.action, decision.rule) == (action, rule)

    @pytest.mark.parametrize(("advice", "action"), [("03", Action.NEEDS_NEW_CARD), ("21", Action.REVOKE)])
    def test_mastercards_never_is_never(self, advice: str, action: Action) -> None:
        decline = declined(Category.INSUFFICIENT_FUNDS, network_code="51", network_advice=advice)
        assert decided(Category.INSUFFICIENT_FUNDS, decline=decline, network="mastercard").action is action

    @pytest.mark.parametrize(
        ("advice", "wait"),
        [("26", timedelta(days=2)), ("27", timedelta(days=4)), ("30", timedelta(days=10))],
    )
    def test_mastercards_waits_are_floors(self, advice: str, wait: timedelta) -> None:
        decline = declined(Category.INSUFFICIENT_FUNDS, network_code="51", network_advice=advice)
        decision = decided(Category.INSUFFICIENT_FUNDS, decline=decline, network="mastercard")
        assert decision.at == NOW + wait
        assert decision.rule.startswith(f"mastercard.{advice}")

    def test_a_floor_shorter_than_the_policys_wait_changes_nothing(self) -> None:
        decline = declined(Category.DO_NOT_HONOR, network_code="51", network_advice="24")
        decision = decided(Category.DO_NOT_HONOR, decline=decline, network="mastercard")
        assert (decision.at, decision.rule) == (NOW + timedelta(days=1), "do_not_honor_growing")

    def test_a_spent_budget_moves_the_attempt_to_where_it_has_room(self) -> None:
        """Ten declines in 24 hours are Mastercard's limit on one card: the eleventh waits for the first to age out."""
        declines = [Declined(NOW - timedelta(hours=20 - hour), PRICE) for hour in range(10)]
        budgets = spent(BOOK.budgets("mastercard", NOW.date()), declines, PRICE, NOW)
        decision = decided(Category.ISSUER_UNAVAILABLE, network="mastercard", spent=budgets)
        assert decision.at == NOW + timedelta(hours=4)
        assert "mastercard" in decision.rule
        assert decision.inputs[f"spent_{decision.rule}"] == 10

    def test_what_is_left_of_a_budget_is_what_is_left(self) -> None:
        declines = [Declined(NOW - timedelta(days=10), PRICE)] * 13
        budgets = spent(BOOK.budgets("visa", NOW.date()), declines, PRICE, NOW)
        limit = min(budget.limit for budget in BOOK.budgets("visa", NOW.date()))
        assert decided(Category.ISSUER_UNAVAILABLE, network="visa", spent=budgets).budget_left == limit - 13


def test_a_providers_code_that_comes_too_often_means_something_else() -> None:
    """A cap per transaction never heals: one more try on another day, then a person looks (gateways/antom.md §8)."""
    cap = declined(Category.LIMIT_EXCEEDED, raw_code="PAYMENT_AMOUNT_EXCEED_LIMIT")
    assert decided(Category.LIMIT_EXCEEDED, decline=cap).action is Action.RETRY
    again = decided(Category.LIMIT_EXCEEDED, decline=cap, attempt=2, earlier=[cap])
    assert again.action is Action.OPERATOR


class TestRefresh:
    def test_a_refused_token_is_refreshed_and_tried_at_once(self) -> None:
        decision = decided(Category.INVALID_CREDENTIAL, Category.INSUFFICIENT_FUNDS, refreshable=True)
        assert (decision.action, decision.rule, decision.at) == (Action.RETRY, "refresh_then_retry", NOW)

    def test_but_only_once(self) -> None:
        decision = decided(Category.INVALID_CREDENTIAL, Category.INVALID_CREDENTIAL, refreshable=True)
        assert (decision.action, decision.rule) == (Action.NEEDS_NEW_CARD, "invalid_credential_needs_new_one")


class TestBounds:
    @pytest.mark.parametrize(("gap", "rule"), [(0, "next_cycle_first"), (1, "do_not_honor_growing")])
    def test_the_next_cycle_goes_first(self, gap: int, rule: str) -> None:
        next_due_at = NOW + timedelta(days=1, seconds=gap)
        assert decided(Category.DO_NOT_HONOR, next_due_at=next_due_at).rule == rule

    @pytest.mark.parametrize(
        ("expiry", "rule"), [("2027-02-10", "terms_end_first"), ("2027-02-11", "do_not_honor_growing")]
    )
    def test_nothing_is_debited_after_the_expiry_date(self, expiry: str, rule: str) -> None:
        assert decided(Category.DO_NOT_HONOR, terms=monthly(expiry_date=expiry)).rule == rule

    @pytest.mark.parametrize(("days", "rule"), [(20, "do_not_honor_growing"), (20.1, "window_over")])
    def test_three_weeks_after_the_due_instant_it_is_over(self, days: float, rule: str) -> None:
        assert decided(Category.DO_NOT_HONOR, window_start=NOW - timedelta(days=days)).rule == rule


def test_the_inputs_are_kept() -> None:
    decision = decided(Category.INSUFFICIENT_FUNDS, Category.DO_NOT_HONOR, next_due_at=NOW + timedelta(days=9))
    assert decision.inputs == {
        "policy": "standard",
        "category": "insufficient_funds",
        "code": "x",
        "raw_code": None,
        "network": None,
        "network_code": None,
        "network_advice": None,
        "attempt": 2,
        "declined_before": "do_not_honor",
        "now": "2027-02-10T01:00:20+00:00",
        "due_at": "2027-02-10T01:00:20+00:00",
        "next_due_at": "2027-02-19T01:00:20+00:00",
        "refreshable": "no",
    }
    assert decision.rulebook_version == BOOK.version
