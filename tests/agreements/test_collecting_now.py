"""What stands in the way when somebody asks for another attempt: schemes and providers do, our own waits do not."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.declines import Decline
from agreements.retries import Action, Hurdle, decide, hurdle
from tests.agreements.test_retries import BOOK, NOW, SOFT, STANDARD, Category, case, declined

PERSON = {Category.CONFIGURATION, Category.REVIEW}


def asked(after: timedelta = timedelta(0), *, renewed: bool = False, **facts: Any) -> Hurdle | None:
    category = facts.pop("category", Category.INSUFFICIENT_FUNDS)
    return hurdle(case(category, **facts), BOOK, NOW, NOW + after, renewed=renewed)


@pytest.mark.parametrize("category", sorted(Category))
def test_every_category_says_whether_a_person_may_ask(category: Category) -> None:
    found = asked(category=category)
    if category in SOFT | PERSON:
        assert found is None
    else:
        assert found == Hurdle(decide(case(category), STANDARD, BOOK, NOW).rule)


def test_a_renewed_token_is_all_an_invalid_one_needs() -> None:
    assert asked(category=Category.INVALID_CREDENTIAL) is not None
    assert asked(category=Category.INVALID_CREDENTIAL, renewed=True) is None
    assert asked(category=Category.LOST_OR_STOLEN, renewed=True) is not None


@given(
    advice=st.sampled_from(["24", "25", "26", "27", "28", "29", "30"]),
    code=st.sampled_from([None, "VERIFY_TIMES_EXCEED_LIMIT"]),
    after=st.timedeltas(timedelta(0), timedelta(hours=300)),
)
def test_nobody_is_earlier_than_the_planned_retry_s_floors(advice: str, code: str | None, after: timedelta) -> None:
    """Whatever the policy waits: the decision's own floors are those a person is held to (payment-rules §2.2)."""
    waits = {"24": 1, "25": 24, "26": 48, "27": 96, "28": 144, "29": 192, "30": 240}
    floor = max(waits[advice], 24 if code else 0)
    decline = declined(Category.INSUFFICIENT_FUNDS, network_advice=advice, raw_code=code)
    found = asked(after, network="mastercard", decline=decline)
    assert (found is None) is (after >= timedelta(hours=floor))
    if found is not None:
        assert found.until == NOW + timedelta(hours=floor)


@pytest.mark.parametrize(
    ("network", "decline"),
    [
        ("mastercard", {"network_advice": "03"}),
        ("mastercard", {"network_advice": "21"}),
        ("visa", {"network_code": "14"}),
        ("visa", {"network_code": "R0"}),
    ],
)
def test_what_a_network_forbids_is_forbidden_to_everybody(network: str, decline: dict[str, str]) -> None:
    """payment-rules §2.1 category 1, §2.2 advice codes 03 and 21."""
    facts = declined(Category.INSUFFICIENT_FUNDS, **decline)
    found = asked(network=network, decline=facts)
    assert found is not None
    assert found.until is None
    assert decide(
        case(Category.INSUFFICIENT_FUNDS, network=network, decline=facts), STANDARD, BOOK, NOW
    ).action is not (Action.RETRY)
    assert asked(network=None, decline=Decline(category=Category.INSUFFICIENT_FUNDS, code="x")) is None
