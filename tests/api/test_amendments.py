"""An agreement changed over HTTP: what the payer agreed to stands, everything below it is the merchant's to change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agreements.status import AttemptStatus, ChargeStatus
from store.database import Database
from store.vault import Vault
from tests.api.conftest import Shop, assert_problem
from tests.api.running import ON_DEMAND, OPEN, POOR, VARIABLE, Running, php, running

Runs = Callable[..., Awaitable[Running]]


@pytest.fixture
def runs(shop: Shop, database: Database, vault: Vault) -> Runs:
    async def run(**changes: Any) -> Running:
        return await running(shop, database, vault, **changes)

    return run


async def amounts(agreement: Running) -> list[int | None]:
    return [charge["amount"] and charge["amount"]["value"] for charge in await agreement.charges()]


async def changes(agreement: Running) -> list[list[dict[str, Any]]]:
    return [event["data"]["changes"] for event in await agreement.events("agreement.amended")]


async def test_a_new_amount_holds_for_coming_cycles_without_one_of_their_own(runs: Runs) -> None:
    agreement = await runs(terms=VARIABLE)
    await agreement.put(2, {"amount": php(70_000)})
    await agreement.put(4, {"skip": True})
    answer = await agreement.patch(terms={"amount": php(60_000)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["terms"]["amount"] == php(60_000)
    assert await amounts(agreement) == [60_000, 70_000, 60_000, 49_900, 60_000]
    shown = [cycle["amount"] and cycle["amount"]["value"] for cycle in await agreement.schedule()]
    assert shown == [60_000, 70_000, 60_000, None, *[60_000] * 8]
    assert await changes(agreement) == [[{"pointer": "/terms/amount", "before": php(49_900), "after": php(60_000)}]]


async def test_what_was_tried_or_is_due_keeps_its_amount(runs: Runs) -> None:
    agreement = await runs(terms=VARIABLE)
    await agreement.put(3, {"amount": php(70_000)})
    await agreement.at("2055-03-01T00:00:00Z")
    await agreement.tried(AttemptStatus.FAILED)
    await agreement.patch(terms={"amount": php(60_000)})
    assert await amounts(agreement) == [49_900, 49_900, 70_000]


async def test_an_amount_carried_into_a_cycle_stays_on_top(runs: Runs) -> None:
    agreement = await runs(terms=VARIABLE)
    await agreement.set_row(amount=49_900 + 30_000)
    await agreement.patch(terms={"amount": php(60_000)})
    assert await amounts(agreement) == [90_000]
    problem = assert_problem(await agreement.patch(terms={"amount": php(80_000)}), 409, "state_conflict")
    assert "110000" in problem["detail"]
    assert await amounts(agreement) == [90_000]


async def test_a_default_amount_comes_and_goes(runs: Runs) -> None:
    """The currency stays the one of the first amount."""
    agreement = await runs(terms=OPEN)
    await agreement.at("2055-01-31T12:00:00Z")
    assert (await agreement.patch(terms={"amount": php(60_000)})).status_code == 200
    [charge] = await agreement.charges()
    assert (charge["amount"], charge["next_attempt_at"]) == (php(60_000), "2055-01-31T12:00:00Z"), "it only waited"
    assert (await agreement.patch(terms={"amount": None})).json()["terms"]["amount"] is None
    assert (await agreement.row()).currency == "PHP"


@pytest.mark.parametrize(
    ("terms", "pointers"),
    [
        ({"amount": php(100_001)}, ["/terms/amount"]),
        ({"amount": php(49_900, "USD")}, ["/terms/amount"]),
        ({"max_amount_per_cycle": 200_000, "total_cycles": 13}, ["/terms/max_amount_per_cycle", "/terms/total_cycles"]),
        ({"expiry_date": "2057-01-31"}, ["/terms/expiry_date"]),
        ({"frequency": "weekly", "timezone": "UTC"}, ["/terms/frequency", "/terms/timezone"]),
        ({"type": "other"}, ["/terms/type"]),
    ],
)
async def test_what_the_payer_did_not_agree_to_is_refused(runs: Runs, terms: Any, pointers: list[str]) -> None:
    agreement = await runs(terms=VARIABLE)
    answer = await agreement.patch(terms=terms, metadata={"plan": "silver"})
    problem = assert_problem(answer, 409, "new_authorization_needed")
    assert [error["pointer"] for error in problem["errors"]] == pointers
    assert all(error["detail"] for error in problem["errors"])
    read = await agreement.read()
    assert (read["terms"]["amount"], read["metadata"]) == (php(49_900), {"plan": "gold"}), "all or nothing"
    assert await changes(agreement) == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"terms": {"colour": "red"}}, "/terms/colour"),
        ({"terms": None}, "/terms"),
        ({"terms": {"timezone": None}}, "/terms/timezone"),
        ({"terms": {"amount": php(1.5)}}, "/terms/amount/value"),
        ({"terms": {"amount": php(99)}}, "/terms/amount/value"),  # GCash moves PHP 1.00 at least
        ({"terms": {"amount": php(500, "XYZ")}}, "/terms/amount/currency"),
        ({"terms": {"max_amount_per_cycle": 49_899}}, "/terms/max_amount_per_cycle"),  # below the amount
        ({"terms": {"expiry_date": "2055-01-30"}}, "/terms/expiry_date"),  # yesterday in Manila
        ({"terms": {"total_cycles": 0}}, "/terms/total_cycles"),
        ({"retry_policy": "hopeful"}, "/retry_policy"),
        ({"retry_policy": None}, "/retry_policy"),
        ({"retry_policy": {"ladders": {"risk": {"steps": []}}}}, "/retry_policy/ladders/risk"),
        ({"metadata": None}, "/metadata"),
        ({"metadata": {"plan": 3}}, "/metadata/plan"),
        ({"metadata": {str(n): "" for n in range(50)}}, "/metadata"),  # and `plan` is there
        ({"status": "paused"}, "/status"),
        ([], ""),
    ],
)
async def test_a_body_without_meaning_is_refused(runs: Runs, body: Any, pointer: str) -> None:
    agreement = await runs(terms=VARIABLE)
    answer = await agreement.shop.http.patch(agreement.path, json=body, headers=agreement.shop.bearer)
    assert_problem(answer, 422, "invalid_request", pointer)
    assert await changes(agreement) == []


async def test_metadata_is_merged_and_the_policy_replaced(runs: Runs) -> None:
    agreement = await runs()
    own = {"base": "standard", "max_attempts": 2}
    answer = await agreement.patch(metadata={"plan": None, "a/b": "1"}, retry_policy=own)
    assert (answer.json()["metadata"], answer.json()["retry_policy"]) == ({"a/b": "1"}, own), answer.text
    assert (await agreement.row()).retry_policy == "custom"
    [told] = await changes(agreement)
    assert told == [
        {"pointer": "/retry_policy", "before": "standard", "after": own},
        {"pointer": "/metadata/plan", "before": "gold", "after": None},
        {"pointer": "/metadata/a~1b", "before": None, "after": "1"},
    ]
    assert (await agreement.patch(retry_policy="standard")).json()["retry_policy"] == "standard"


async def test_a_repeat_changes_nothing(runs: Runs) -> None:
    agreement = await runs(terms=VARIABLE)
    body = {
        "terms": {"amount": php(60_000), "frequency": "monthly"},
        "metadata": {"x": "1"},
        "retry_policy": "standard",
    }
    first, again = [(await agreement.patch(**body)).json() for _ in range(2)]
    assert again == first
    assert len(await changes(agreement)) == 1
    assert (await agreement.patch()).status_code == 200


async def test_fewer_cycles_cancel_what_was_written_beyond_them(runs: Runs) -> None:
    agreement = await runs()
    await agreement.put(4, {"skip": True})
    await agreement.patch(terms={"total_cycles": 2})
    assert [charge["status"] for charge in await agreement.charges()] == [
        "scheduled",
        "scheduled",
        "canceled",
        "skipped",
        "canceled",
    ]
    assert [cycle["cycle"] for cycle in await agreement.schedule()] == [1, 2]
    assert (await agreement.read())["status"] == "active"


@pytest.mark.parametrize(
    "terms", [{"total_cycles": 1}, {"expiry_date": "2055-02-20"}, {"total_cycles": 3, "expiry_date": "2055-02-01"}]
)
async def test_terms_that_end_with_the_last_paid_cycle_complete_the_agreement(runs: Runs, terms: Any) -> None:
    agreement = await runs()
    await agreement.put(2, {"skip": True})
    await agreement.at("2055-02-01T00:00:00Z")
    await agreement.tried(AttemptStatus.SUCCEEDED)
    answer = await agreement.patch(terms=terms)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed"), answer.text
    assert [charge["status"] for charge in await agreement.charges()] == ["succeeded", "skipped", "canceled"]


async def test_terms_end_no_earlier_than_what_was_made(runs: Runs) -> None:
    agreement = await runs()
    await agreement.put(3, {"skip": True})
    await agreement.at("2055-03-01T00:00:00Z")
    await agreement.tried(AttemptStatus.SUCCEEDED)
    problem = assert_problem(await agreement.patch(terms={"total_cycles": 1}), 409, "state_conflict")
    assert "cycle 2" in problem["detail"]
    assert (await agreement.patch(terms={"total_cycles": 2})).json()["status"] == "active", "cycle 2 is to be settled"


async def test_fewer_debits_on_demand_than_were_made_are_refused(runs: Runs) -> None:
    agreement = await runs(terms=ON_DEMAND["terms"])
    for _ in range(2):
        await agreement.charge(amount=php(500))
        await agreement.tried(AttemptStatus.SUCCEEDED, cycle=None)
    assert_problem(await agreement.patch(terms={"total_cycles": 1}), 409, "state_conflict")
    assert (await agreement.patch(terms={"total_cycles": 2})).json()["status"] == "completed"


async def test_a_cap_below_a_coming_amount_waits_for_that_to_be_lowered(runs: Runs) -> None:
    agreement = await runs(terms=VARIABLE)
    await agreement.put(2, {"amount": php(70_000)})
    lower = {"max_amount_per_cycle": 60_000}
    assert "cycle 2" in assert_problem(await agreement.patch(terms=lower), 409, "state_conflict")["detail"]
    await agreement.put(2, {"amount": php(60_000)})
    assert (await agreement.patch(terms=lower)).status_code == 200
    assert_problem(await agreement.put(2, {"amount": php(60_001)}), 422, "invalid_request", "/amount/value")


async def test_the_end_leaves_only_metadata_to_change(runs: Runs) -> None:
    agreement = await runs(terms=VARIABLE)
    await agreement.command("revoke")
    assert_problem(await agreement.patch(terms={"amount": php(500)}), 409, "state_conflict")
    assert_problem(await agreement.patch(retry_policy="standard"), 409, "state_conflict")
    assert (await agreement.patch(metadata={"closed_by": "ana"})).json()["metadata"]["closed_by"] == "ana"


async def test_the_terms_stand_while_the_customer_is_asked(shop: Shop, live_shop: Shop) -> None:
    path = f"/v1/agreements/{(await shop.create(terms=VARIABLE))['id']}"
    body = {"terms": {"amount": php(500)}}
    assert_problem(await shop.http.patch(path, json=body, headers=shop.bearer), 409, "state_conflict")
    assert (await shop.http.patch(path, json={"metadata": {"x": "1"}}, headers=shop.bearer)).status_code == 200
    assert_problem(await shop.http.patch(path, json=body, headers=live_shop.bearer), 404, "not_found")
    assert_problem(await shop.http.patch(path, json=body), 401, "unauthorized")


async def test_a_charge_above_the_lowered_cap_is_not_collected(runs: Runs) -> None:
    agreement = await runs(terms=VARIABLE)
    await agreement.at("2055-01-31T03:00:00Z")
    await agreement.tried(AttemptStatus.FAILED, decline=POOR)
    assert (await agreement.patch(terms={"amount": php(500), "max_amount_per_cycle": 500})).status_code == 200
    await agreement.set_row(status=ChargeStatus.FAILED, next_attempt_at=None)
    assert "terms_above_cap" in assert_problem(await agreement.charge(cycle=1), 409, "state_conflict")["detail"]
