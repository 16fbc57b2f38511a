"""A coming cycle over HTTP: its amount set, or skipped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agreements.status import AttemptStatus, ChargeStatus
from store import standings
from store.database import Database
from store.vault import Vault
from tests.api.conftest import Shop, assert_problem
from tests.api.running import DUE, OPEN, START, VARIABLE, Running, php, running

Runs = Callable[..., Awaitable[Running]]


@pytest.fixture
def runs(shop: Shop, database: Database, vault: Vault) -> Runs:
    async def run(**changes: Any) -> Running:
        return await running(shop, database, vault, **changes)

    return run


async def test_an_amount_is_set_cycle_by_cycle(runs: Runs) -> None:
    agreement = await runs(terms=OPEN)
    [first] = await agreement.charges()
    assert (first["amount"], first["status"]) == (None, "scheduled")
    assert (await agreement.read())["totals"]["amount_paid"] is None
    answer = await agreement.put(1, {"amount": php(12_300)})
    assert answer.status_code == 200, answer.text
    assert answer.json() == first | {"amount": php(12_300)}
    assert [cycle["amount"] for cycle in (await agreement.schedule())[:2]] == [php(12_300), None]
    assert (await agreement.row()).currency == "PHP"
    assert (await agreement.read())["totals"]["amount_paid"] == php(0)


async def test_a_default_amount_gives_way_to_one_of_its_own(runs: Runs) -> None:
    agreement = await runs(terms=VARIABLE)
    assert (await agreement.put(3, {"amount": php(100_000)})).status_code == 200
    amounts = [cycle["amount"]["value"] for cycle in await agreement.schedule()]
    assert amounts == [49_900, 49_900, 100_000, *[49_900] * 9]
    assert [(charge["cycle"], charge["amount"]["value"]) for charge in await agreement.charges()] == [
        (1, 49_900),
        (2, 49_900),
        (3, 100_000),
    ]


@pytest.mark.parametrize(
    ("cycle", "body", "pointer"),
    [
        (1, {}, ""),
        (1, {"skip": True, "amount": php(100)}, ""),
        (1, {"skip": False}, ""),
        (1, {"amount": None}, ""),
        (1, {"skip": 1}, "/skip"),
        (1, {"skip": True, "why": "holiday"}, "/why"),
        (1, {"notified_at": 1_800_000_000}, "/notified_at"),
        (1, {"notified_at": "0001-01-01T00:00:00+14:00"}, "/notified_at"),
        (1, {"amount": php(0)}, "/amount/value"),
        (1, {"amount": php(100.0)}, "/amount/value"),
        (1, {"amount": php(99)}, "/amount/value"),  # GCash moves PHP 1.00 at least
        (1, {"amount": php(100_001)}, "/amount/value"),
        (1, {"amount": php(500, "USD")}, "/amount/currency"),
        (0, {"skip": True}, "/path/number"),
        ("one", {"skip": True}, "/path/number"),
        ("1_0", {"skip": True}, "/path/number"),
        (10**6 + 1, {"skip": True}, "/path/number"),
    ],
)
async def test_a_body_without_meaning_is_refused(runs: Runs, cycle: object, body: Any, pointer: str) -> None:
    agreement = await runs(terms=OPEN)
    version = (await agreement.row()).version
    assert_problem(await agreement.put(cycle, body), 422, "invalid_request", pointer)
    assert (await agreement.row()).version == version
    assert [charge["amount"] for charge in await agreement.charges()] == [None]


_PARTS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False)
)
_MONEY = st.fixed_dictionaries({}, optional={"currency": st.sampled_from(["PHP", "USD", "php", 1]), "value": _PARTS})
_BODIES = st.fixed_dictionaries({}, optional={"amount": _MONEY | _PARTS, "skip": _PARTS, "cycle": _PARTS})


@given(bodies=st.lists(_BODIES | _PARTS | st.lists(_PARTS, max_size=2), min_size=8, max_size=8))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_sent_nothing_breaks(runs: Runs, bodies: list[Any]) -> None:
    """On demand, amended or cycle by cycle: an answer of 2xx or 4xx, and never an amount above the cap."""
    agreement = await runs(terms=OPEN)
    for body in bodies:
        answers = [
            await agreement.put(1, body),
            await agreement.shop.post(f"{agreement.path}/charges", body),
            await agreement.shop.http.patch(agreement.path, json=body, headers=agreement.shop.bearer),
        ]
        assert all(answer.status_code < 500 for answer in answers), [answer.text for answer in answers]
    for charge in await agreement.charges():
        assert charge["amount"] is None or charge["amount"]["value"] <= 100_000


async def test_a_fixed_amount_is_the_payers_word(runs: Runs) -> None:
    agreement = await runs()
    answer = await agreement.put(1, {"amount": php(49_900)})
    problem = assert_problem(answer, 409, "new_authorization_needed", "/amount")
    assert "not agreed" in problem["detail"]
    assert (await agreement.put(1, {"skip": True})).json()["status"] == "skipped"


async def test_rows_are_written_ahead_up_to_the_cycle_that_is_set(runs: Runs) -> None:
    agreement = await runs(terms=OPEN | {"total_cycles": 40, "expiry_date": "2058-12-31"})
    problem = assert_problem(await agreement.put(25, {"skip": True}), 409, "state_conflict")
    assert "cycles 1 to 24" in problem["detail"]
    assert len(await agreement.charges()) == 1, "a refusal writes nothing"
    assert (await agreement.put(24, {"amount": php(100)})).status_code == 200
    assert [charge["cycle"] for charge in await agreement.charges()] == list(range(1, 25))
    read = await agreement.read()
    assert (read["current_cycle"], read["next_charge_at"], read["status"]) == (0, DUE, "active")
    standing = await standings.current(agreement.database, agreement.id)
    assert [charge.cycle for charge in standing.charges] == [1], "the workflow hears of the next one only"
    assert [charge.cycle for charge in standing.recent] == [1], "operators see the last and the next"
    assert_problem(await agreement.put(41, {"skip": True}), 404, "not_found")


async def test_an_agreement_without_a_schedule_has_no_cycles(runs: Runs) -> None:
    agreement = await runs(terms={"type": "unscheduled", "frequency": "irregular"})
    assert_problem(await agreement.put(1, {"skip": True}), 404, "not_found")


async def test_a_repeat_changes_nothing(runs: Runs) -> None:
    agreement = await runs(terms=OPEN)
    for cycle, body in ((2, {"amount": php(700)}), (3, {"skip": True})):
        first, again = [(await agreement.put(cycle, body)).json() for _ in range(2)]
        assert again == first
    [skipped] = await agreement.events("cycle.skipped")
    assert skipped["data"]["reason"] == "skipped by the merchant"
    assert skipped["data"]["charge"]["cycle"] == 3
    assert [(cycle["cycle"], cycle["amount"], cycle["skipped"]) for cycle in (await agreement.schedule())[:4]] == [
        (1, None, False),
        (2, php(700), False),
        (3, None, True),
        (4, None, False),
    ]


async def test_the_last_row_is_never_a_skipped_one(runs: Runs) -> None:
    """Whoever comes to the last row writes the next; nobody comes to a skipped one."""
    agreement = await runs()
    for cycle in (1, 2, 4):
        assert (await agreement.put(cycle, {"skip": True})).status_code == 200
    found = [(charge["cycle"], charge["status"]) for charge in await agreement.charges()]
    assert found == [(1, "skipped"), (2, "skipped"), (3, "scheduled"), (4, "skipped"), (5, "scheduled")]
    assert (await agreement.read())["next_charge_at"] == "2055-03-31T01:00:00Z"


async def test_the_last_cycle_skipped_completes_the_agreement(runs: Runs) -> None:
    agreement = await runs(terms={"total_cycles": 2})
    await agreement.put(2, {"skip": True})
    assert (await agreement.read())["status"] == "active"
    await agreement.put(1, {"skip": True})
    assert (await agreement.read())["status"] == "completed"
    assert_problem(await agreement.put(1, {"skip": True}), 409, "state_conflict")


@pytest.mark.parametrize(
    ("status", "attempted"),
    [
        (ChargeStatus.SUCCEEDED, AttemptStatus.SUCCEEDED),
        (ChargeStatus.RETRYING, AttemptStatus.FAILED),
        (ChargeStatus.FAILED, AttemptStatus.FAILED),
        (ChargeStatus.ACTION_REQUIRED, AttemptStatus.FAILED),
        (ChargeStatus.UNKNOWN, AttemptStatus.UNKNOWN),
        (ChargeStatus.PROCESSING, AttemptStatus.SENT),
        (ChargeStatus.CANCELED, None),
    ],
)
@pytest.mark.parametrize("body", [{"amount": php(700)}, {"skip": True}])
async def test_what_was_tried_or_is_over_stays(
    runs: Runs, status: ChargeStatus, attempted: AttemptStatus | None, body: Any
) -> None:
    agreement = await runs(terms=VARIABLE)
    await agreement.at("2055-01-31T03:00:00Z")
    if attempted:
        await agreement.tried(attempted, shown=status)
    else:
        await agreement.set_row(status=status, next_attempt_at=None)
    problem = assert_problem(await agreement.put(1, body), 409, "state_conflict")
    assert status in problem["detail"]
    assert [charge["amount"]["value"] for charge in await agreement.charges()] == [49_900]


async def test_a_cycle_that_waits_for_its_amount_is_collected_once_it_has_one(runs: Runs) -> None:
    agreement = await runs(terms=OPEN)
    await agreement.set_row(next_attempt_at=None)
    await agreement.at("2055-02-01T12:00:00Z")
    answer = await agreement.put(1, {"amount": php(700)})
    assert answer.json()["next_attempt_at"] == "2055-02-01T12:00:00Z"
    assert_problem(await agreement.put(1, {"amount": php(800)}), 409, "state_conflict")
    assert_problem(await agreement.put(1, {"skip": True}), 409, "state_conflict")


async def test_the_merchants_word_is_waited_for(runs: Runs) -> None:
    """Missed, and the terms say `ask`: it may still be skipped."""
    agreement = await runs()
    await agreement.at("2055-02-10T00:00:00Z")
    await agreement.set_row(status=ChargeStatus.ACTION_REQUIRED, next_attempt_at=None)
    assert (await agreement.put(1, {"skip": True})).json()["status"] == "skipped"


async def test_a_prepared_attempt_follows_the_amount(runs: Runs) -> None:
    """Between prepare and send the gate reads the new amount, or finds nothing to send."""
    agreement = await runs(terms=VARIABLE)
    charge = await agreement.tried(AttemptStatus.PREPARED, shown=ChargeStatus.SCHEDULED)
    await agreement.set_row(attempts_made=0)
    await agreement.put(1, {"amount": php(700)})
    [attempt] = (await agreement.shop.get(f"/v1/charges/{charge}")).json()["attempts"]
    assert (attempt["status"], attempt["amount"]) == ("prepared", php(700))
    await agreement.put(1, {"skip": True})
    [attempt] = (await agreement.shop.get(f"/v1/charges/{charge}")).json()["attempts"]
    assert attempt["status"] == "canceled"


@pytest.mark.parametrize("body", [{"amount": php(700)}, {"skip": True}])
async def test_only_a_running_agreement_has_cycles_to_set(runs: Runs, shop: Shop, live_shop: Shop, body: Any) -> None:
    pending = await shop.create(terms=OPEN)
    path = f"/v1/agreements/{pending['id']}/cycles/1"
    assert_problem(await shop.http.put(path, json=body, headers=shop.bearer), 409, "state_conflict")
    assert_problem(await shop.http.put(path, json=body, headers=live_shop.bearer), 404, "not_found")
    assert_problem(await shop.http.put(path, json=body), 401, "unauthorized")
    agreement = await runs(terms=OPEN)
    await agreement.command("pause")
    assert (await agreement.put(2, body)).status_code == 200, "a pause changes nothing about what is to come"
    await agreement.command("resume")
    assert [charge["cycle"] for charge in await agreement.charges()][:2] == [1, 2]
    await agreement.command("revoke")
    assert_problem(await agreement.put(1, body), 409, "state_conflict")


async def test_pauses_write_no_rows_ahead(runs: Runs) -> None:
    agreement = await runs()
    for _ in range(3):
        await agreement.command("pause")
        await agreement.command("resume", {"missed_cycles": "collect"})
    assert [charge["cycle"] for charge in await agreement.charges()] == [1]
    assert (await agreement.read())["created_at"] == START
