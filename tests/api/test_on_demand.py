"""Charges a merchant asks for over HTTP: an amount on demand, or an overdue charge collected now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agreements.declines import Decline, DeclineCategory
from agreements.status import AttemptStatus, ChargeStatus
from store.database import Database
from store.vault import Vault
from tests.api.conftest import Shop, assert_problem
from tests.api.running import LOST, ON_DEMAND, OPEN, POOR, START, Running, php, running

Runs = Callable[..., Awaitable[Running]]
AFTER = "2055-01-31T03:00:00Z"
"""Two hours after cycle 1 was due."""


@pytest.fixture
def runs(shop: Shop, database: Database, vault: Vault) -> Runs:
    async def run(**changes: Any) -> Running:
        return await running(shop, database, vault, **changes)

    return run


def on_demand(**terms: Any) -> dict[str, Any]:
    return {"terms": ON_DEMAND["terms"] | terms}


# On demand


async def test_a_charge_on_demand_is_due_at_once(runs: Runs) -> None:
    agreement = await runs(**on_demand())
    answer = await agreement.charge(amount=php(12_300), description="Invoice 7")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert {name: made[name] for name in ("agreement", "cycle", "purpose", "status", "amount", "description")} == {
        "agreement": agreement.id,
        "cycle": None,
        "purpose": "on_demand",
        "status": "scheduled",
        "amount": php(12_300),
        "description": "Invoice 7",
    }
    assert (made["due_at"], made["next_attempt_at"]) == (START, START)
    assert (await agreement.read())["next_charge_at"] == START
    assert await agreement.charges() == [made]


async def test_a_repeat_gets_the_first_answer(runs: Runs) -> None:
    agreement = await runs(**on_demand())
    path, body = f"{agreement.path}/charges", {"amount": php(500)}
    first, again = [await agreement.shop.post(path, body, key="once") for _ in range(2)]
    assert (again.status_code, again.text, again.headers["Idempotency-Replayed"]) == (201, first.text, "true")
    assert_problem(await agreement.shop.post(path, {"amount": php(600)}, key="once"), 422, "idempotency_key_reused")
    assert_problem(
        await agreement.shop.http.post(path, json=body, headers=agreement.shop.bearer), 400, "idempotency_key_missing"
    )
    assert len(await agreement.charges()) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"amount": php(500), "cycle": 1}, ""),
        ({"cycle": 1, "charge": "chg_x"}, ""),
        ({"amount": None}, ""),
        ({"description": "x"}, ""),
        ({"amount": php(500), "description": ""}, "/description"),
        ({"amount": php(500), "description": "x" * 101}, "/description"),
        ({"amount": php(500), "description": "a\nb"}, "/description"),
        ({"amount": php(0)}, "/amount/value"),
        ({"amount": php(99)}, "/amount/value"),
        ({"amount": php(50_001)}, "/amount/value"),
        ({"amount": php(500, "USD")}, "/amount/currency"),
        ({"cycle": 0}, "/cycle"),
        ({"cycle": "1"}, "/cycle"),
        ({"cycle": 1}, "/cycle"),
        ({"cycle": 1, "description": "x"}, "/description"),
        ({"charge": ""}, "/charge"),
        ({"charge": "chg_01jd3w0000000000000000000a"}, "/charge"),
        ({"why": 1}, "/why"),
    ],
)
async def test_a_body_without_meaning_is_refused(runs: Runs, body: dict[str, Any], pointer: str) -> None:
    agreement = await runs(**on_demand(max_amount_per_cycle=50_000))
    assert_problem(await agreement.charge(**body), 422, "invalid_request", pointer)
    assert await agreement.charges() == []


@pytest.mark.parametrize(("value", "expected"), [(49_900, 201), (49_899, 422)])
async def test_a_fixed_amount_is_the_only_one(runs: Runs, value: int, expected: int) -> None:
    agreement = await runs(**on_demand(amount=php(49_900)))
    assert (await agreement.charge(amount=php(value))).status_code == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2055-02-01T15:59:59Z", "before_start"),  # 23:59:59 in Manila
        ("2055-02-01T16:00:00Z", None),
        ("2055-02-03T15:59:59Z", None),
        ("2055-02-03T16:00:00Z", "after_expiry"),
    ],
)
async def test_nothing_is_debited_outside_the_terms_days(runs: Runs, now: str, expected: str | None) -> None:
    agreement = await runs(**on_demand(start_date="2055-02-02", expiry_date="2055-02-03"))
    await agreement.at(now)
    answer = await agreement.charge(amount=php(500))
    if expected is None:
        assert answer.status_code == 201, answer.text
    else:
        assert f"terms_{expected}" in assert_problem(answer, 409, "state_conflict")["detail"]


async def test_the_minimum_gap_counts_from_the_last_success(runs: Runs) -> None:
    """Seven days after 31 January, 00:00 UTC."""
    agreement = await runs(**on_demand(cycle_interval_days=7))
    await agreement.charge(amount=php(500))
    await agreement.tried(AttemptStatus.SUCCEEDED, cycle=None, ago=timedelta(0))
    await agreement.at("2055-02-06T23:59:59Z")
    problem = assert_problem(await agreement.charge(amount=php(500)), 409, "state_conflict")
    assert "from 2055-02-07T00:00:00Z on" in problem["detail"]
    await agreement.at("2055-02-07T00:00:00Z")
    assert (await agreement.charge(amount=php(500))).status_code == 201


@pytest.mark.parametrize("gap", [None, 7])
@pytest.mark.parametrize("first", [AttemptStatus.UNKNOWN, AttemptStatus.FAILED, None])
async def test_an_open_charge_blocks_another_only_where_its_success_would_break_the_gap(
    runs: Runs, gap: int | None, first: AttemptStatus | None
) -> None:
    agreement = await runs(**on_demand(cycle_interval_days=gap))
    charge = (await agreement.charge(amount=php(500))).json()["id"]
    if first is not None:
        await agreement.tried(first, cycle=None)
    answer = await agreement.charge(amount=php(500))
    if gap is None:
        assert answer.status_code == 201, answer.text
    else:
        assert charge in assert_problem(answer, 409, "state_conflict")["detail"]


async def test_the_total_counts_what_did_not_fail(runs: Runs) -> None:
    agreement = await runs(**on_demand(total_cycles=2))
    for status in (ChargeStatus.FAILED, ChargeStatus.CANCELED, ChargeStatus.REVERSED, ChargeStatus.REFUNDED):
        assert (await agreement.charge(amount=php(500))).status_code == 201
        await agreement.set_row(None, status=status, next_attempt_at=None)
    assert (await agreement.charge(amount=php(500))).status_code == 201
    problem = assert_problem(await agreement.charge(amount=php(500)), 409, "state_conflict")
    assert "terms_too_many_cycles" in problem["detail"]


async def test_two_calls_at_once_do_not_share_the_last_debit(runs: Runs) -> None:
    agreement = await runs(**on_demand(total_cycles=1))
    answers = await asyncio.gather(*(agreement.charge(amount=php(500)) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]


async def test_only_an_active_agreement_without_a_schedule_is_charged_on_demand(
    runs: Runs, shop: Shop, live_shop: Shop
) -> None:
    body = {"amount": php(49_900)}
    scheduled = await runs()
    assert "schedule" in assert_problem(await scheduled.charge(**body), 409, "state_conflict")["detail"]
    pending = await shop.create()
    path = f"/v1/agreements/{pending['id']}/charges"
    assert_problem(await shop.post(path, body), 409, "state_conflict")
    assert_problem(await live_shop.post(path, body), 404, "not_found")
    agreement = await runs(**on_demand())
    await agreement.command("pause")
    assert "paused" in assert_problem(await agreement.charge(**body), 409, "state_conflict")["detail"]
    await agreement.command("resume")
    await agreement.command("revoke")
    assert "revoked" in assert_problem(await agreement.charge(**body), 409, "state_conflict")["detail"]


# Collect now


async def test_a_retry_is_brought_forward(runs: Runs) -> None:
    agreement = await runs()
    await agreement.at(AFTER)
    charge = await agreement.tried(AttemptStatus.FAILED, decline=POOR)
    answer = await agreement.charge(cycle=1)
    assert (answer.status_code, answer.json()["status"]) == (200, "retrying"), answer.text
    assert answer.json()["next_attempt_at"] == AFTER
    [event] = await agreement.events("charge.retry_scheduled")
    assert event["data"]["decision"]["rule"] == "merchant_asked"
    [decision] = (await agreement.shop.get(f"/v1/charges/{charge}")).json()["decisions"]
    assert (decision["rule"], decision["chosen_at"], decision["inputs"]["status"]) == (
        "merchant_asked",
        AFTER,
        "retrying",
    )


async def test_what_was_given_up_is_tried_again(runs: Runs) -> None:
    """By its id as well; an attempt that was prepared and never sent is the one that is sent now."""
    agreement = await runs()
    await agreement.at(AFTER)
    await agreement.tried(AttemptStatus.FAILED, decline=POOR)
    charge = await agreement.tried(AttemptStatus.CANCELED, shown=ChargeStatus.FAILED)
    answer = await agreement.charge(charge=charge)
    assert (answer.json()["status"], answer.json()["next_attempt_at"]) == ("retrying", AFTER), answer.text
    assert [attempt["status"] for attempt in answer.json()["attempts"]] == ["failed", "prepared"]


async def test_a_cycle_missed_for_days_is_collected_when_the_merchant_says_so(runs: Runs) -> None:
    agreement = await runs()
    await agreement.at("2055-02-10T00:00:00Z")
    await agreement.set_row(status=ChargeStatus.ACTION_REQUIRED, next_attempt_at=None)
    answer = await agreement.charge(cycle=1)
    assert (answer.json()["status"], answer.json()["act_by"]) == ("scheduled", None), answer.text
    assert answer.json()["next_attempt_at"] == "2055-02-10T00:00:00Z"


async def test_a_catch_up_keeps_the_minimum_gap(runs: Runs) -> None:
    """Cycle 1 was given up, cycle 2 paid on its day: 25 days after that cycle 1 may be collected, and not before."""
    agreement = await runs(terms=OPEN)
    await agreement.put(1, {"amount": php(500)})
    await agreement.put(2, {"amount": php(500)})
    await agreement.at("2055-02-28T02:00:00Z")
    await agreement.tried(AttemptStatus.FAILED, decline=POOR, shown=ChargeStatus.FAILED)
    await agreement.tried(AttemptStatus.SUCCEEDED, cycle=2)  # an hour ago
    problem = assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")
    assert "from 2055-03-25T01:00:00Z on" in problem["detail"]
    await agreement.at("2055-03-25T01:00:00Z")
    assert (await agreement.charge(cycle=1)).status_code == 200


@pytest.mark.parametrize("status", [AttemptStatus.SENT, AttemptStatus.PROCESSING, AttemptStatus.UNKNOWN])
async def test_nothing_is_tried_while_an_attempt_is_in_flight(runs: Runs, status: AttemptStatus) -> None:
    agreement = await runs()
    await agreement.at(AFTER)
    await agreement.tried(status, shown=ChargeStatus.RETRYING)
    assert "in flight" in assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")["detail"]


@pytest.mark.parametrize("status", [ChargeStatus.SUCCEEDED, ChargeStatus.CANCELED, ChargeStatus.SKIPPED])
async def test_what_is_paid_or_written_off_is_not_collected(runs: Runs, status: ChargeStatus) -> None:
    agreement = await runs()
    await agreement.at(AFTER)
    await agreement.set_row(status=status, next_attempt_at=None)
    assert status in assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")["detail"]


async def test_nothing_is_collected_before_it_is_due(runs: Runs) -> None:
    agreement = await runs(terms=OPEN)
    for cycle in (1, 2):
        assert "due" in assert_problem(await agreement.charge(cycle=cycle), 409, "state_conflict")["detail"]
    await agreement.at(AFTER)
    assert "amount" in assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")["detail"]
    assert_problem(await agreement.charge(cycle=13), 422, "invalid_request", "/cycle")


DECLINES: list[tuple[Decline, str]] = [
    (LOST, "lost_or_stolen_never_retried"),
    (Decline(category=DeclineCategory.EXPIRED_CARD, code="x"), "expired_card_needs_new_credential"),
    (Decline(category=DeclineCategory.AUTHENTICATION_REQUIRED, code="x"), "payer_must_authenticate"),
    (Decline(category=DeclineCategory.RISK, code="x"), "risk_never_retried"),
    (Decline(category=DeclineCategory.INVALID_CREDENTIAL, code="x"), "invalid_credential_needs_new_one"),
]


@pytest.mark.parametrize(("decline", "rule"), DECLINES)
async def test_a_decline_no_wait_heals_stays_one(runs: Runs, decline: Decline, rule: str) -> None:
    agreement = await runs()
    await agreement.at(AFTER)
    await agreement.card(issued_at=(await agreement.row()).created_at)
    await agreement.tried(AttemptStatus.FAILED, decline=decline, shown=ChargeStatus.FAILED)
    problem = assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")
    assert f"({rule})" in problem["detail"]
    assert await agreement.events("charge.retry_scheduled") == []


@pytest.mark.parametrize("category", [DeclineCategory.CONFIGURATION, DeclineCategory.REVIEW])
async def test_what_waits_for_a_person_is_tried_when_a_person_asks(runs: Runs, category: DeclineCategory) -> None:
    agreement = await runs()
    await agreement.at(AFTER)
    decline = Decline(category=category, code="x")
    await agreement.tried(AttemptStatus.FAILED, decline=decline, shown=ChargeStatus.FAILED)
    assert (await agreement.charge(cycle=1)).status_code == 200


async def test_a_token_renewed_since_is_all_an_invalid_one_needed(runs: Runs) -> None:
    agreement = await runs()
    await agreement.at(AFTER)
    invalid = Decline(category=DeclineCategory.INVALID_CREDENTIAL, code="x")
    await agreement.tried(AttemptStatus.FAILED, decline=invalid, shown=ChargeStatus.FAILED)
    await agreement.card(issued_at=(await agreement.row()).created_at + timedelta(hours=3))
    assert (await agreement.charge(cycle=1)).status_code == 200


@pytest.mark.parametrize(
    ("decline", "rule", "until"),
    [
        (
            # Mastercard's advice 25: not before 24 hours (payment-rules §2.2)
            POOR.model_copy(update={"network_advice": "25"}),
            "mastercard.25_after_24_hours",
            "2055-02-01T02:00:00",
        ),
        (
            Decline(
                category=DeclineCategory.LIMIT_EXCEEDED, code="verification_limit", raw_code="VERIFY_TIMES_EXCEED_LIMIT"
            ),
            "antom.verification_limit",
            "2055-02-01T02:00:00",
        ),
    ],
)
async def test_a_wait_the_network_or_the_provider_wants_is_kept(
    runs: Runs, decline: Decline, rule: str, until: str
) -> None:
    agreement = await runs()
    await agreement.card(network="mastercard")
    await agreement.at(AFTER)
    await agreement.tried(AttemptStatus.FAILED, decline=decline)  # an hour ago, at 02:00
    problem = assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")
    assert rule in problem["detail"]
    assert until in problem["detail"]
    await agreement.at(f"{until}Z")
    assert (await agreement.charge(cycle=1)).status_code == 200


async def test_what_a_network_forbids_stays_forbidden(runs: Runs) -> None:
    """Mastercard's advice 03: do not try again."""
    agreement = await runs()
    await agreement.card(network="mastercard")
    await agreement.at(AFTER)
    never = POOR.model_copy(update={"network_advice": "03"})
    await agreement.tried(AttemptStatus.FAILED, decline=never, shown=ChargeStatus.FAILED)
    assert "(mastercard.03" in assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")["detail"]


async def test_nobody_is_debited_untold_where_that_is_required(runs: Runs) -> None:
    agreement = await runs(notice={"days_before": 1, "required": True})
    await agreement.at("2055-02-10T00:00:00Z")
    charge = await agreement.set_row(status=ChargeStatus.ACTION_REQUIRED, next_attempt_at=None)
    problem = assert_problem(await agreement.charge(charge=charge), 409, "state_conflict")
    assert "told first (merchants_wish)" in problem["detail"]
    await agreement.set_row(notice_proven_at=datetime(2055, 2, 9, tzinfo=UTC))
    assert (await agreement.charge(charge=charge)).status_code == 200


async def test_terms_are_kept(runs: Runs) -> None:
    """A row above the cap, however it came there."""
    agreement = await runs(terms=OPEN)
    await agreement.at(AFTER)
    await agreement.set_row(currency="PHP", amount=100_001, status=ChargeStatus.FAILED, next_attempt_at=None)
    assert "terms_above_cap" in assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")["detail"]


async def test_a_stopped_agreement_collects_nothing(runs: Runs) -> None:
    agreement = await runs()
    await agreement.at(AFTER)
    await agreement.command("pause")
    assert "paused" in assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")["detail"]
    await agreement.command("revoke")
    assert "revoked" in assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")["detail"]
