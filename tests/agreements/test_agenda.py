"""What operators read about the next step in Temporal."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agreements import agenda
from agreements.standing import DueCharge, Identity, Standing, UnfinishedAttempt
from agreements.status import AgreementStatus, Stop

NOW = datetime(2027, 2, 1, 1, tzinfo=UTC)


def title(**of_the_charge: object) -> str:
    due = {"charge_id": "chg_1", "cycle": 3, "attempt": 2, "amount": "PHP 499.00", "at": NOW}
    return title_of(charges=(DueCharge.model_validate(due | of_the_charge),))


def title_of(**what: Any) -> str:
    standing = Standing(
        agreement=Identity(
            id="agr_1", merchant_id="mer_1", gateway="antom", customer_id="c", reference="r", test_clock_id=None
        ),
        version=1,
        as_of=NOW,
        status=AgreementStatus.ACTIVE,
        stop=Stop.NONE,
        closed=False,
        **what,
    )
    step = agenda.next_step(standing, NOW)
    assert step is not None
    return step.title


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        ({}, ""),
        ({"rule": "do_not_honor_growing", "budget_left": 4}, " (do_not_honor_growing, 4 left)"),
        ({"rule": "recorded_by_an_older_release"}, " (recorded_by_an_older_release)"),
    ],
)
def test_a_charge_is_told_with_the_decision_it_follows(decision: dict[str, object], why: str) -> None:
    assert title(**decision) == f"charge cycle 3, attempt 2: PHP 499.00{why}"


def test_what_belongs_to_no_cycle_is_told_in_words() -> None:
    assert title(cycle=None, attempt=1) == "charge on demand, attempt 1: PHP 499.00"
    asked = UnfinishedAttempt(attempt_id="att_1", cycle=None, attempt=1, at=NOW)
    assert title_of(unfinished=(asked,)) == "ask what became of a charge on demand, attempt 1"
