"""Promises 1 to 4 where amounts are not fixed: set, carried, asked for on demand or amended, never above the terms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlmodel import col, select

from activities.contract import StepInput
from agreements.money import Money
from agreements.status import AttemptStatus, ChargeStatus, Stop
from store import on_demand
from store.changes import change
from store.tables import Agreement, Attempt, Charge
from tests.promises import customers
from tests.promises.support import (
    START,
    attempts,
    audited,
    by_hand,
    charge_row,
    charge_step,
    types,
    until,
    unwatched,
    workflow_closed,
)
from tests.support.house import Shop

DUE = "2027-01-31T01:00:00Z"
OPEN: dict[str, Any] = {"amount": None, "amount_variability": "variable", "max_amount_per_cycle": 100_000}
ON_DEMAND: dict[str, Any] = {
    "type": "unscheduled",
    "frequency": "irregular",
    "amount": None,
    "max_amount_per_cycle": 100_000,
    "cycle_interval_days": None,
    "payment_processing_day": None,
    "total_cycles": None,
}


def php(value: int) -> dict[str, Any]:
    return {"amount": {"currency": "PHP", "value": value}}


async def put(shop: Shop, agreement: str, cycle: int, body: dict[str, Any]) -> dict[str, Any]:
    return await shop.call("PUT", f"/v1/agreements/{agreement}/cycles/{cycle}", body, expect=200)


async def ask(shop: Shop, agreement: str, value: int) -> str:
    made = await shop.call("POST", f"/v1/agreements/{agreement}/charges", php(value), expect=201)
    return str(made["id"])


async def paid(shop: Shop, agreement: str) -> list[int]:
    """What the provider was paid, in order."""
    return [row["amount"] for row in await shop.ledger(agreement) if row["status"] == "succeeded"]


def collected(shop: Shop, agreement: str, *values: int) -> Callable[[], Awaitable[bool]]:
    """Whether these amounts, and no others, are paid here and there."""

    async def are_paid() -> bool:
        ours = [charge for charge in await shop.charges(agreement) if charge["status"] == "succeeded"]
        return len(ours) == len(values) and await paid(shop, agreement) == list(values)

    return are_paid


async def test_every_cycle_is_collected_with_its_own_amount(shop: Shop) -> None:
    """Cycle 2 is skipped, cycle 3 set late, cycle 4 never: it is waited for until the catch-up limit, then missed."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=OPEN | {"total_cycles": 5})
    await put(shop, agreement, 1, php(12_300))
    await put(shop, agreement, 5, php(100_000))
    await put(shop, agreement, 2, {"skip": True})
    await shop.advance(clock, "2027-04-01T00:00:00Z")
    assert await paid(shop, agreement) == [12_300]
    await put(shop, agreement, 3, php(700))
    await until(collected(shop, agreement, 12_300, 700))
    await shop.advance(clock, "2027-05-03T00:59:00Z")
    assert (await charge_row(shop.house, agreement, 4)).status is ChargeStatus.SCHEDULED
    await shop.advance(clock, "2027-06-01T00:00:00Z")
    await workflow_closed(shop, agreement)
    assert await paid(shop, agreement) == [12_300, 700, 100_000]
    charges = await audited(shop, agreement)
    assert [charge["status"] for charge in charges] == ["succeeded", "skipped", "succeeded", "skipped", "succeeded"]
    read = await shop.read(agreement)
    assert (read["status"], read["totals"]["amount_paid"]["value"]) == ("completed", 113_000)


@pytest.mark.parametrize("then", ["skip", "merge", "ask"])
async def test_a_cycle_nobody_gave_an_amount_is_missed_as_the_terms_say(shop: Shop, then: str) -> None:
    """There is nothing to merge, so it is skipped; asked about, it is collected when the merchant says so."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=OPEN | {"catch_up": {"within_days": 3, "then": then}})
    await shop.advance(clock, "2027-02-05T00:00:00Z")
    expected = {"ask": "action_required"}.get(then, "skipped")
    assert (await audited(shop, agreement))[0]["status"] == expected
    if then == "ask":
        await put(shop, agreement, 1, php(700))
        await shop.call("POST", f"/v1/agreements/{agreement}/charges", {"cycle": 1}, expect=200)
        await until(collected(shop, agreement, 700))
        await audited(shop, agreement)


async def test_another_card_leaves_a_cycle_without_amount_to_its_merchant(shop: Shop) -> None:
    """Nobody knows yet what is owed: there is nothing to try again, and the amount can still be set."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=OPEN | {"catch_up": {"within_days": 3, "then": "ask"}})
    await shop.advance(clock, "2027-02-05T00:00:00Z")
    link = await customers.ask(shop, agreement)
    await customers.give(shop, link["url"])
    await until(lambda: customers.has_changed(shop, agreement))
    assert (await charge_row(shop.house, agreement, 1)).status is ChargeStatus.ACTION_REQUIRED
    await put(shop, agreement, 1, php(700))
    await shop.call("POST", f"/v1/agreements/{agreement}/charges", {"cycle": 1}, expect=200)
    await until(collected(shop, agreement, 700))
    await audited(shop, agreement)


async def test_a_cycle_without_amount_waits_out_a_pause(shop: Shop) -> None:
    """Resumed to be collected, it waits for its amount and for nothing else; other cycles go on."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=OPEN)
    await shop.call("POST", f"/v1/agreements/{agreement}/pause", expect=200)
    await shop.advance(clock, "2027-02-20T00:00:00Z")
    await shop.call("POST", f"/v1/agreements/{agreement}/resume", {"missed_cycles": "collect"}, expect=200)
    await put(shop, agreement, 2, php(200))
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert await paid(shop, agreement) == [200]
    await put(shop, agreement, 1, php(100))
    await shop.advance(clock, "2027-03-26T00:00:00Z")  # 25 days after the last success
    assert await paid(shop, agreement) == [200, 100]
    await audited(shop, agreement)


async def test_a_charge_on_demand_is_made_at_once(shop: Shop) -> None:
    """No clock is moved. The last one the terms allow completes the agreement."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=ON_DEMAND | {"total_cycles": 2})
    await ask(shop, agreement, 12_300)
    await until(collected(shop, agreement, 12_300))
    await ask(shop, agreement, 500)
    await workflow_closed(shop, agreement)
    assert await paid(shop, agreement) == [12_300, 500]
    assert [charge["purpose"] for charge in await audited(shop, agreement)] == ["on_demand", "on_demand"]
    assert (await types(shop, agreement))[-1] == "agreement.completed"


async def test_an_unknown_charge_on_demand_freezes_only_itself(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "timeout,success", terms=ON_DEMAND)
    unknown = await ask(shop, agreement, 700)

    async def not_known() -> bool:
        return str((await shop.call("GET", f"/v1/charges/{unknown}"))["status"]) == "unknown"

    await until(not_known)
    other = await ask(shop, agreement, 800)

    async def is_paid() -> bool:
        return str((await shop.call("GET", f"/v1/charges/{other}"))["status"]) == "succeeded"

    await until(is_paid)
    assert await not_known()
    await shop.advance(clock, "2027-02-03T00:00:00Z")
    assert not await not_known()
    await audited(shop, agreement)


async def test_retries_of_a_charge_on_demand_follow_the_policy(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "insufficient_funds,success", terms=ON_DEMAND)
    await ask(shop, agreement, 700)
    await shop.advance(clock, "2027-02-10T00:00:00Z")
    assert [row["status"] for row in await shop.ledger(agreement)] == ["failed", "succeeded"]
    [charge] = await audited(shop, agreement)
    assert charge["attempts"][0]["decision"]["rule"] == "insufficient_funds_ladder"


async def test_a_cycle_is_collected_when_the_merchant_asks(shop: Shop) -> None:
    """The retry that was planned for later is the one that is made now; nothing is debited twice."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "insufficient_funds,success", terms={"total_cycles": 1})
    await shop.advance(clock, "2027-01-31T05:00:00Z")
    charge = await shop.call("POST", f"/v1/agreements/{agreement}/charges", {"cycle": 1}, expect=200)
    assert charge["next_attempt_at"] == "2027-01-31T05:00:00Z"
    await workflow_closed(shop, agreement)
    assert [row["virtual_time"][:13] for row in await shop.ledger(agreement)] == ["2027-01-31T01", "2027-01-31T05"]
    [charge] = await audited(shop, agreement)
    assert charge["status"] == "succeeded"


async def test_terms_that_end_early_end_the_workflow(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    await shop.call("PATCH", f"/v1/agreements/{agreement}", {"terms": {"total_cycles": 1}}, expect=200)
    await workflow_closed(shop, agreement)
    assert (await types(shop, agreement))[-3:] == ["charge.canceled", "agreement.amended", "agreement.completed"]
    assert await paid(shop, agreement) == [49_900]
    await audited(shop, agreement)


# The gate: whatever was written into the rows, nothing above the terms is sent


async def last_attempt(shop: Shop, agreement: str, **values: Any) -> None:
    await write(shop, select(Attempt).where(Attempt.agreement_id == agreement).order_by(col(Attempt.id).desc()), values)


async def other_terms(shop: Shop, agreement: str, **terms: Any) -> None:
    async with shop.house.database.transaction() as session:
        row = await session.get_one(Agreement, agreement)
        row.terms = {**row.terms, **terms}


async def write(shop: Shop, query: Any, values: dict[str, Any]) -> None:
    async with shop.house.database.transaction() as session:
        row = (await session.exec(query.limit(1))).one()
        for name, value in values.items():
            setattr(row, name, value)


async def refused(shop: Shop, agreement: str, reason: str) -> None:
    """No call was made, and the timeline says why."""
    assert await shop.ledger(agreement) == []
    timeline = (await shop.call("GET", f"/v1/agreements/{agreement}/timeline?limit=200"))["data"]
    assert [entry["decision"]["rule"] for entry in timeline if entry["decision"]] == [f"terms_{reason}"]
    assert (await types(shop, agreement, "charge.")) == ["charge.failed"]
    await audited(shop, agreement)


@pytest.mark.parametrize(("value", "reason"), [(100_001, "above_cap"), (10**12, "above_cap")])
async def test_a_row_above_the_cap_is_not_prepared(shop: Shop, value: int, reason: str) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=OPEN)
    await put(shop, agreement, 1, php(100_000))
    await write(shop, select(Charge).where(Charge.agreement_id == agreement, Charge.cycle == 1), {"amount": value})
    at = await unwatched(shop.house, clock, DUE)
    async with by_hand(shop.house) as hand:
        await hand.charge(await charge_step(shop.house, agreement, at))
        assert hand.gateway.calls == []
    assert await attempts(shop.house, agreement) == []
    await refused(shop, agreement, reason)


@pytest.mark.parametrize(
    ("attempt", "terms", "reason"),
    [
        ({"amount": 100_001}, {}, "above_cap"),
        ({"currency": "USD"}, {}, "currency_not_consented"),
        ({}, {"max_amount_per_cycle": 699}, "above_cap"),
        ({}, {"amount_variability": "fixed", "amount": {"currency": "PHP", "value": 699}}, "amount_not_consented"),
        ({}, {"start_date": "2027-02-01"}, "before_start"),
        ({}, {"expiry_date": "2027-01-30"}, "after_expiry"),
    ],
)
async def test_what_changes_between_prepare_and_send_is_read_again(
    shop: Shop, attempt: dict[str, Any], terms: dict[str, Any], reason: str
) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=OPEN)
    await put(shop, agreement, 1, php(700))
    at = await unwatched(shop.house, clock, DUE)
    async with by_hand(shop.house, opens=True) as hand:

        async def tampered() -> None:
            await last_attempt(shop, agreement, **attempt)
            await other_terms(shop, agreement, **terms)

        hand.between_prepared_and_sent(tampered)
        await hand.charge(await charge_step(shop.house, agreement, at))
        assert hand.gateway.calls == []
    assert [row.status for row in await attempts(shop.house, agreement)] == [AttemptStatus.CANCELED]
    await refused(shop, agreement, reason)


async def test_a_carried_amount_above_the_cap_is_not_sent(shop: Shop) -> None:
    """Cycle 1 went into cycle 2 as far as the rows say; together they are more than the payer agreed to."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=OPEN)
    await put(shop, agreement, 1, php(60_000))
    await put(shop, agreement, 2, php(60_000))
    first = select(Charge).where(Charge.agreement_id == agreement, Charge.cycle == 1)
    await write(shop, first, {"status": ChargeStatus.SKIPPED, "carried_to": 2, "next_attempt_at": None})
    await write(shop, select(Charge).where(Charge.agreement_id == agreement, Charge.cycle == 2), {"amount": 120_000})
    at = await unwatched(shop.house, clock, "2027-02-28T01:00:00Z")
    async with by_hand(shop.house) as hand:
        await hand.charge(await charge_step(shop.house, agreement, at, cycle=2))
        assert hand.gateway.calls == []
    await refused(shop, agreement, "above_cap")


@pytest.mark.parametrize(
    ("attempt", "terms", "reason"),
    [
        ({"amount": 100_001}, {}, "above_cap"),
        ({"currency": "USD"}, {}, "currency_not_consented"),
        ({}, {"amount": {"currency": "PHP", "value": 600}}, "amount_not_consented"),
        ({}, {"total_cycles": 1}, "too_many_cycles"),
    ],
)
async def test_a_charge_on_demand_passes_the_same_gate(
    shop: Shop, attempt: dict[str, Any], terms: dict[str, Any], reason: str
) -> None:
    """The workflow is not told of these charges: their steps are run by hand."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=ON_DEMAND)
    await shop.call("POST", f"/v1/agreements/{agreement}/pause", expect=200)
    at = await unwatched(shop.house, clock, DUE)
    charges = [await asked_by_hand(shop, agreement, value) for value in (700, 800)]
    async with by_hand(shop.house, opens=True) as hand:

        async def tampered() -> None:
            await last_attempt(shop, agreement, **attempt)
            await other_terms(shop, agreement, **terms)

        hand.between_prepared_and_sent(tampered)
        await hand.charge(StepInput(agreement_id=agreement, at=at, subject=charges[0], attempt=1))
        assert hand.gateway.calls == []
    await refused(shop, agreement, reason)


async def asked_by_hand(shop: Shop, agreement: str, value: int) -> str:
    """A charge on demand in the rows only, with the agreement's pause lifted for nobody but the test."""
    async with change(shop.house.database, agreement) as locked:
        locked.agreement.stop = Stop.NONE
        made = await on_demand.ask(locked, Money(currency="PHP", value=value), None)
    return made.id
