"""What operators are told of an agreement: what is next and why, what holds it, what it waits for, what was decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agreements.agenda import next_step
from agreements.explaining import explain
from agreements.standing import Deadline, DueCharge, Identity, RecentCharge, Standing, UnfinishedAttempt
from agreements.status import AgreementStatus, Stop
from workflows.details import details

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
BY_SCHEDULE = DueCharge(charge_id="chg_3", cycle=3, attempt=1, amount="PHP 499.00", at=LATER)
RETRY = BY_SCHEDULE.model_copy(update={"attempt": 2, "rule": "visa_soft", "budget_left": 3})
ON_DEMAND = BY_SCHEDULE.model_copy(update={"cycle": None})
UNKNOWN = UnfinishedAttempt(attempt_id="att_2", cycle=2, attempt=1, at=NOW + timedelta(hours=1))
HELD = "stopped for antom by ann since 2027-03-01 08:00 UTC: double debits"
DECLINED = RecentCharge(
    cycle=2,
    due_at=NOW - timedelta(days=20),
    amount="PHP 499.00",
    status="failed",
    tries=4,
    last="insufficient_funds: give up by attempts_spent",
)


def standing(**changed: Any) -> Standing:
    given: dict[str, Any] = {
        "agreement": Identity(
            id="agr_1",
            merchant_id="mer_1",
            gateway="antom",
            customer_id="cus-1",
            reference="sub-1",
            test_clock_id=None,
        ),
        "version": 1,
        "as_of": NOW,
        "status": AgreementStatus.ACTIVE,
        "stop": Stop.NONE,
        "closed": False,
        "terms": "PHP 499.00 monthly",
        "credential": "GCASH",
    }
    return Standing.model_validate(given | changed)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {"charges": (BY_SCHEDULE,)},
            ["charge cycle 3, attempt 1: PHP 499.00, 2027-03-03 09:00 UTC", "the cycle's day"],
        ),
        ({"charges": (RETRY,)}, ["rule `visa_soft` chose this instant", "tries left after it: 2"]),
        ({"charges": (ON_DEMAND,)}, ["The merchant asked for it"]),
        (
            {"charges": (BY_SCHEDULE,), "unfinished": (UNKNOWN,)},
            [
                "Next: ask what became of cycle 2, attempt 1, 2027-03-01 10:00 UTC",
                "Waits for: what became of cycle 2, attempt 1",
                "After that: charge cycle 3",
                "notification, which ends the wait at once",
            ],
        ),
        (
            {"charges": (BY_SCHEDULE,), "held": HELD},
            [
                f"No debit is made: {HELD}",
                "Held back: cycle 3, attempt 1: PHP 499.00, 2027-03-03 09:00 UTC",
                "Next: nothing",
                "whoever says go has it woken",
                "`autodebit go`",
            ],
        ),
        (
            {"charges": (BY_SCHEDULE,), "stop": Stop.PAUSED, "status": AgreementStatus.PAUSED},
            ["No debit is made: the merchant paused it", "until its merchant resumes it"],
        ),
        (
            {"status": AgreementStatus.ACTION_REQUIRED, "deadlines": (Deadline(charge_id="c", cycle=2, at=LATER),)},
            ["give up cycle 2 unless the customer has acted", "Waits for: the customer, for cycle 2"],
        ),
        (
            {"status": AgreementStatus.PENDING_AUTHORIZATION, "authorization_expires_at": LATER},
            ["Waits for: the customer's authorization", "the customer's decision on the page"],
        ),
        ({}, ["It is charged when its merchant asks"]),
        ({"status": AgreementStatus.REVOKED, "closed": True}, ["It has ended", "only late news from the provider"]),
        ({"recent": (DECLINED,)}, ["Last decision: cycle 2 (PHP 499.00): insufficient_funds: give up by"]),
    ],
)
def test_what_is_said_of_an_agreement(found: dict[str, Any], said: list[str]) -> None:
    answer = explain(standing(**found), NOW)
    assert [part for part in said if part not in answer] == []


def test_a_held_agreement_has_no_debit_on_its_agenda_and_finds_out_and_gives_back_all_the_same() -> None:
    assert next_step(standing(charges=(BY_SCHEDULE,), held=HELD), NOW) is None
    step = next_step(standing(charges=(BY_SCHEDULE,), held=HELD, unfinished=(UNKNOWN,), refresh_at=LATER), NOW)
    assert step is not None
    assert step.subject == "att_2"


def test_the_details_show_the_last_charges_and_what_holds_the_next_one() -> None:
    shown = details(standing(held=HELD, recent=(DECLINED,)), NOW)
    assert HELD in shown
    came_of_it = "failed, 4 tries; insufficient_funds: give up by attempts_spent"
    assert shown.replace("\u00a0", " ").endswith(f"| 2 | 09 Feb 2027   | PHP 499.00   | {came_of_it} |")
