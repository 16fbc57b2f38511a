"""What the card schemes still allow, counted from declines."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agreements import rulebook
from agreements.budgets import Declined, spent, used_up
from agreements.money import Money

NOW = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
PRICE = Money(currency="KWD", value=9500)
OTHER = Money(currency="KWD", value=9900)
NETWORKS = ("visa", "mastercard", "amex")

declines = st.lists(
    st.builds(
        Declined,
        at=st.timedeltas(timedelta(0), timedelta(days=40)).map(lambda age: NOW - age),
        money=st.sampled_from([PRICE, OTHER]),
    ),
    max_size=80,
)


@given(st.sampled_from(NETWORKS), declines)
def test_a_full_budget_has_room_exactly_when_it_says(network: str, made: list[Declined]) -> None:
    for state in spent(rulebook.current().budgets(network, NOW.date()), made, PRICE, NOW):
        assert state.left == max(state.budget.limit - state.used, 0)
        if state.left:
            assert state.frees_at == NOW
            continue
        just_before = spent([state.budget], made, PRICE, state.frees_at - timedelta(microseconds=1))[0]
        assert just_before.left == 0
        assert spent([state.budget], made, PRICE, state.frees_at)[0].left >= 1


@given(declines)
def test_only_the_same_amount_counts_where_the_scheme_says_so(made: list[Declined]) -> None:
    for state in spent(rulebook.current().budgets("mastercard", NOW.date()), made, PRICE, NOW):
        recent = [each for each in made if NOW - each.at < state.budget.window]
        assert state.used == len([each for each in recent if each.money == PRICE or not state.budget.same_amount])


def test_the_budget_that_waits_longest_decides() -> None:
    budgets = rulebook.current().budgets("mastercard", NOW.date())
    a_day, a_month = sorted(budgets, key=lambda budget: budget.window)
    made = [Declined(NOW - timedelta(hours=1), PRICE)] * a_month.limit
    full = used_up(spent(budgets, made, PRICE, NOW))
    assert full is not None
    assert full.budget == a_month
    assert full.frees_at == NOW - timedelta(hours=1) + a_month.window
    assert used_up(spent(budgets, made[: a_day.limit - 1], PRICE, NOW)) is None


def test_a_wallet_has_no_budget() -> None:
    assert rulebook.current().budgets(None, NOW.date()) == ()
