"""Retry policies: what a merchant may write, and that nothing they may write breaks a card scheme's rule."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agreements import rulebook, schedule
from agreements.declines import DeclineCategory as Category
from agreements.policies import WAITING_HELPS, AtEnd, Ladder, PayDay, PolicyRefused, RetryPolicy, Step, resolve
from tests.agreements.strategies import ZONES, clock_times, instants, monthly

BOOK = rulebook.load()
DAY = date(2027, 1, 15)
NAMES = sorted(BOOK.policies(DAY))
SOFT = sorted(WAITING_HELPS)
BREAKABLE = {"policy.window_of_the_budgets", *(budget.id for budget in BOOK.every_budget(DAY))}
HOUR = timedelta(hours=1)

hours = st.floats(0.25, 96) | st.sampled_from([0.25, 0.5, 1, 24, 72])
steps = (
    st.builds(lambda wait: {"wait_hours": wait}, hours)
    | st.builds(lambda days: {"local_days": days}, st.integers(1, 10))
    | st.builds(lambda low, more: {"earliest_hours": low, "latest_hours": low + more}, hours, st.floats(0, 240))
)
ladders = st.dictionaries(st.sampled_from(SOFT), st.fixed_dictionaries({"steps": st.lists(steps, max_size=12)}))
written = st.fixed_dictionaries(
    {},
    optional={
        "base": st.sampled_from(NAMES),
        "max_attempts": st.integers(1, 20),
        "window_days": st.integers(1, 40),
        "ladders": ladders,
        "pay_days": st.booleans() | st.lists(st.integers(1, 31) | st.just("last"), max_size=3),
        "at_end": st.sampled_from(AtEnd),
        "customer_days": st.integers(1, 90),
    },
)


def refused(policy: str | dict[str, Any]) -> PolicyRefused:
    with pytest.raises(PolicyRefused) as caught:
        resolve(policy, BOOK, DAY)
    return caught.value


def allowed(policy: str | dict[str, Any]) -> RetryPolicy | None:
    """The policy, or None where a scheme's rule refuses it: nothing else may refuse what is well-formed."""
    try:
        return resolve(policy, BOOK, DAY)
    except PolicyRefused as refusal:
        if refusal.rule not in BREAKABLE:
            raise
        return None


def attempts(policy: RetryPolicy, declines: Sequence[Category], zone: str, clock: str, due: datetime) -> list[datetime]:
    """When a charge is tried under a policy, each attempt declined as told, whatever the bounds of its cycle."""
    terms = monthly(timezone=zone, debit_time=clock, expiry_date=None)
    days: Sequence[PayDay] = policy.pay_days if isinstance(policy.pay_days, tuple) else BOOK.paydays("PH")
    tried, seen, refreshed = [due], list[Category](), False
    for category in declines:
        if len(tried) == policy.max_attempts:
            break
        if category is Category.INVALID_CREDENTIAL:
            if refreshed:
                break
            refreshed = True
            tried.append(tried[-1])
            continue
        seen.append(category)
        ladder = policy.ladders[category]
        if seen.count(category) > len(ladder.steps):
            break
        at = ladder.at(seen.count(category), tried[-1], terms, days)
        if at > due + policy.window:
            break
        tried.append(at)
    return tried


def keeps_every_budget(tried: Sequence[datetime]) -> bool:
    return all(
        sum(last - budget.window < at <= last for at in tried) <= budget.limit
        for budget in BOOK.every_budget(DAY)
        for last in tried
    )


@given(
    policy=st.sampled_from(NAMES) | written,
    declines=st.lists(st.sampled_from([*SOFT, Category.INVALID_CREDENTIAL]), max_size=25),
    zone=st.sampled_from(ZONES),
    clock=clock_times,
    due=instants,
)
@example(
    policy={"max_attempts": 12, "ladders": {"issuer_unavailable": {"steps": [{"wait_hours": 0.25}] * 12}}},
    declines=[Category.ISSUER_UNAVAILABLE] * 12,
    zone="UTC",
    clock="09:00",
    due=datetime(2027, 1, 1, tzinfo=UTC),
)
def test_no_policy_anybody_may_have_breaks_a_budget_of_any_card(
    policy: str | dict[str, Any], declines: list[Category], zone: str, clock: str, due: datetime
) -> None:
    resolved = allowed(policy)
    if resolved is None:
        return
    tried = attempts(resolved, declines, zone, clock, due)
    assert keeps_every_budget(tried)
    assert len(tried) <= resolved.max_attempts
    assert tried[-1] - due <= timedelta(days=30)


@given(step=steps, now=instants, zone=st.sampled_from(ZONES), clock=clock_times, region=st.sampled_from(["PH", "ID"]))
def test_a_step_never_waits_shorter_than_it_says(
    step: dict[str, Any], now: datetime, zone: str, clock: str, region: str
) -> None:
    form = Step.model_validate(step)
    at = Ladder(steps=(form,)).at(1, now, monthly(timezone=zone, debit_time=clock), BOOK.paydays(region))
    assert at - now >= form.shortest
    if form.latest_hours is not None:
        assert at - now <= timedelta(hours=form.latest_hours)
    if form.local_days is not None:
        assert schedule.today(zone, at) - schedule.today(zone, now) >= timedelta(days=form.local_days)


class TestNamed:
    def test_the_names(self) -> None:
        assert NAMES == ["gentle", "persistent", "standard"]

    def test_gentle_tries_less_and_persistent_more(self) -> None:
        gentle, standard, persistent = (resolve(name, BOOK, DAY) for name in ("gentle", "standard", "persistent"))
        assert gentle.max_attempts < standard.max_attempts < persistent.max_attempts
        assert gentle.window <= standard.window < persistent.window
        for category in SOFT:
            less, usual, more = (len(policy.ladders[category].steps) for policy in (gentle, standard, persistent))
            assert less <= usual <= more

    def test_standard_waits_one_to_three_days_for_money(self) -> None:
        """payment-rules §2.1, code 51: 24-72 h between, unless a pay-day speaks for later."""
        [first, *later] = resolve("standard", BOOK, DAY).ladders[Category.INSUFFICIENT_FUNDS].steps
        assert (first.earliest_hours, first.latest_hours) == (24, 72)
        assert all(24 <= (step.earliest_hours or 0) <= 72 for step in later)

    def test_standard_looks_after_an_outage_in_15_minutes_1_hour_and_6_hours(self) -> None:
        steps = resolve("standard", BOOK, DAY).ladders[Category.ISSUER_UNAVAILABLE].steps
        assert [step.wait_hours for step in steps[:3]] == [0.25, 1, 6]
        assert all((step.wait_hours or 0) >= 24 for step in steps[3:])

    @pytest.mark.parametrize("name", ["hopeful", "", "Standard"])
    def test_an_unknown_name_is_refused(self, name: str) -> None:
        assert refused(name).pointer == ""
        refusal = refused({"base": name})
        assert (refusal.pointer, refusal.detail) == ("/base", "must be one of: gentle, persistent, standard")

    def test_a_day_before_the_rulebook_begins_is_named(self) -> None:
        with pytest.raises(PolicyRefused, match="the rulebook has no policy for 2000-01-01"):
            resolve("standard", rulebook.current(), date(2000, 1, 1))


class TestOwn:
    def test_what_is_not_written_is_the_bases(self) -> None:
        own = resolve({"base": "gentle", "customer_days": 5}, BOOK, DAY)
        gentle = resolve("gentle", BOOK, DAY)
        assert own == gentle.model_copy(update={"name": own.name, "customer_days": 5})
        assert own.name not in NAMES

    def test_without_a_base_it_is_standard(self) -> None:
        assert resolve({}, BOOK, DAY).ladders == resolve("standard", BOOK, DAY).ladders

    def test_an_accepted_one_is_followed_when_rules_have_become_stricter(self) -> None:
        own = {"max_attempts": 7}
        budgets = tuple(rule.model_copy(update={"limit": 2}) for rule in BOOK.budget_rules)
        stricter = replace(BOOK, budget_rules=budgets)
        with pytest.raises(PolicyRefused):
            resolve(own, stricter, DAY)
        assert resolve(own, stricter, DAY, accepted=True).max_attempts == 7

    def test_a_ladder_replaces_the_bases_of_its_category_only(self) -> None:
        own = resolve({"ladders": {"do_not_honor": {"steps": [{"wait_hours": 30}]}}}, BOOK, DAY)
        assert [step.wait_hours for step in own.ladders[Category.DO_NOT_HONOR].steps] == [30]
        standard = resolve("standard", BOOK, DAY)
        assert own.ladders[Category.LIMIT_EXCEEDED] == standard.ladders[Category.LIMIT_EXCEEDED]

    @pytest.mark.parametrize(
        ("policy", "pointer"),
        [
            ({"name": "mine"}, "/name"),
            ({"base": 3}, "/base"),
            ({"attempts": 3}, "/attempts"),
            ({"max_attempts": "3"}, "/max_attempts"),
            ({"max_attempts": 0}, "/max_attempts"),
            ({"window_days": 1.5}, "/window_days"),
            ({"at_end": "forget"}, "/at_end"),
            ({"customer_days": 91}, "/customer_days"),
            ({"pay_days": "yes"}, "/pay_days"),
            ({"pay_days": [1, 32]}, "/pay_days/1"),
            ({"ladders": []}, "/ladders"),
            ({"ladders": {"do_not_honour": {"steps": []}}}, "/ladders/do_not_honour"),
            ({"ladders": {"a/b~c": {"steps": []}}}, "/ladders/a~1b~0c"),
            ({"ladders": {"do_not_honor": None}}, "/ladders/do_not_honor"),
            ({"ladders": {"do_not_honor": {}}}, "/ladders/do_not_honor/steps"),
            ({"ladders": {"do_not_honor": {"steps": [{}]}}}, "/ladders/do_not_honor/steps/0"),
            (
                {"ladders": {"do_not_honor": {"steps": [{"wait_hours": 0.1}]}}},
                "/ladders/do_not_honor/steps/0/wait_hours",
            ),
            (
                {"ladders": {"do_not_honor": {"steps": [{"wait_hours": "24"}]}}},
                "/ladders/do_not_honor/steps/0/wait_hours",
            ),
            ({"ladders": {"do_not_honor": {"steps": [{"earliest_hours": 24}]}}}, "/ladders/do_not_honor/steps/0"),
            (
                {"ladders": {"do_not_honor": {"steps": [{"wait_hours": 24, "local_days": 1}]}}},
                "/ladders/do_not_honor/steps/0",
            ),
            (
                {"ladders": {"do_not_honor": {"steps": [{"earliest_hours": 48, "latest_hours": 24}]}}},
                "/ladders/do_not_honor/steps/0",
            ),
        ],
    )
    def test_what_is_malformed_is_pointed_at(self, policy: dict[str, Any], pointer: str) -> None:
        refusal = refused(policy)
        assert (refusal.pointer, refusal.rule) == (pointer, None)
        assert refusal.detail

    @pytest.mark.parametrize("category", sorted(set(Category) - WAITING_HELPS))
    def test_what_no_waiting_heals_is_refused_by_a_rule(self, category: Category) -> None:
        refusal = refused({"ladders": {category: {"steps": [{"wait_hours": 24}]}}})
        assert refusal.pointer == f"/ladders/{category}"
        assert refusal.rule in {rule.id for rules in BOOK.sections().values() for rule in rules}

    def test_a_stolen_card_is_refused_by_visas_first_category(self) -> None:
        rule = refused({"ladders": {"lost_or_stolen": {"steps": []}}}).rule
        [visa] = BOOK.network_rule("visa", "43", None, DAY)
        assert (rule, visa.category) == (visa.id, 1)

    @pytest.mark.parametrize(
        ("policy", "pointer", "rule"),
        [
            ({"base": "persistent", "max_attempts": 16}, "/max_attempts", "visa.reattempts"),
            ({"window_days": 31}, "/window_days", "policy.window_of_the_budgets"),
            (
                {
                    "max_attempts": 15,
                    "ladders": {"issuer_unavailable": {"steps": [{"wait_hours": 1}] * 9}},
                },
                "/ladders",
                "mastercard.declines_per_day",
            ),
        ],
    )
    def test_what_would_break_a_scheme_names_its_rule(self, policy: dict[str, Any], pointer: str, rule: str) -> None:
        refusal = refused(policy)
        assert (refusal.pointer, refusal.rule) == (pointer, rule)

    @given(written)
    def test_a_policy_travels_as_json(self, policy: dict[str, Any]) -> None:
        resolved = allowed(policy)
        assert resolved is None or RetryPolicy.model_validate_json(resolved.model_dump_json()) == resolved


class TestPayDays:
    def at(self, now: datetime, low: float, high: float, days: Sequence[PayDay], before: datetime | None = None) -> Any:
        step = Step(earliest_hours=low, latest_hours=high)
        return Ladder(steps=(step,)).at(1, now, monthly(), days, before)

    NOW = datetime(2027, 2, 12, 4, 0, tzinfo=UTC)
    """A Friday noon in Manila, where debits happen at 09:00, 01:00 UTC."""

    def test_the_first_pay_day_in_the_range_at_the_debit_time(self) -> None:
        assert self.at(self.NOW, 24, 96, (16, 15)) == datetime(2027, 2, 15, 1, 0, tzinfo=UTC)

    def test_without_one_the_range_begins_it(self) -> None:
        assert self.at(self.NOW, 24, 96, (28,)) == self.NOW + 24 * HOUR
        assert self.at(self.NOW, 24, 96, ()) == self.NOW + 24 * HOUR

    def test_the_ends_of_the_range_belong_to_it(self) -> None:
        pay_day = datetime(2027, 2, 15, 1, 0, tzinfo=UTC)
        assert self.at(pay_day - 24 * HOUR, 24, 72, (15,)) == pay_day
        assert self.at(pay_day - 72 * HOUR, 24, 72, (15,)) == pay_day
        assert self.at(pay_day - 73 * HOUR, 24, 72, (15,)) == pay_day - 49 * HOUR

    @pytest.mark.parametrize("day", ["last", 28, 29, 31])
    def test_a_day_the_month_does_not_have_is_its_last(self, day: PayDay) -> None:
        assert self.at(datetime(2027, 2, 26, 0, 0, tzinfo=UTC), 24, 96, (day,)) == datetime(2027, 2, 28, 1, tzinfo=UTC)

    def test_a_pay_day_too_late_for_the_cycle_is_no_reason_to_wait(self) -> None:
        pay_day = datetime(2027, 2, 15, 1, 0, tzinfo=UTC)
        assert self.at(self.NOW, 24, 96, (15,), pay_day) == self.NOW + 24 * HOUR
        assert self.at(self.NOW, 24, 96, (15,), pay_day + timedelta(seconds=1)) == pay_day
