"""Promises 3 and 4 along the calendar: pauses, missed cycles, the catch-up limit."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.promises.support import START, audited, types, unwatched, workflow_closed
from tests.support.house import Shop

PAUSED, RESUMED = "2027-02-10T00:00:00Z", "2027-04-05T00:00:00Z"
MAY = "2027-05-01T00:00:00Z"


async def paused_over_two_cycles(shop: Shop, missed: str) -> str:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, PAUSED)
    await shop.call("POST", f"/v1/agreements/{agreement}/pause", expect=200)
    await shop.advance(clock, RESUMED)
    assert (await shop.read(agreement))["status"] == "paused"
    assert len(await shop.ledger(agreement)) == 1
    await shop.call("POST", f"/v1/agreements/{agreement}/resume", {"missed_cycles": missed}, expect=200)
    await shop.advance(clock, MAY)
    return agreement


async def collected(shop: Shop, agreement: str) -> list[tuple[str, str]]:
    """The cycles the provider was paid for, and when."""
    ledger = await shop.ledger(agreement)
    assert {row["status"] for row in ledger} == {"succeeded"}
    return [(row["request_id"].rsplit("-", 2)[1], row["virtual_time"][:16]) for row in ledger]


async def test_missed_cycles_are_dropped(shop: Shop) -> None:
    agreement = await paused_over_two_cycles(shop, "drop")
    assert await collected(shop, agreement) == [("c1", "2027-01-31T01:00"), ("c4", "2027-04-30T01:00")]
    charges = await audited(shop, agreement)
    assert [charge["status"] for charge in charges[:4]] == ["succeeded", "skipped", "skipped", "succeeded"]
    assert (await types(shop, agreement, "cycle.")) == ["cycle.skipped", "cycle.skipped"]


async def test_missed_cycles_are_collected_at_the_minimum_gap(shop: Shop) -> None:
    """The oldest at once, the next 25 days after it; the cycle that is due meanwhile keeps its day."""
    agreement = await paused_over_two_cycles(shop, "collect")
    assert await collected(shop, agreement) == [
        ("c1", "2027-01-31T01:00"),
        ("c2", "2027-04-05T00:00"),
        ("c3", "2027-04-30T00:00"),
        ("c4", "2027-04-30T01:00"),
    ]
    await audited(shop, agreement)


async def test_a_catch_up_keeps_the_gap_to_a_success_of_yesterday(shop: Shop) -> None:
    """Paused for a cycle and resumed a day after another one was recovered late: the gap counts from that success."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "insufficient_funds,insufficient_funds,insufficient_funds,success")
    await shop.advance(clock, "2027-02-10T00:00:00Z")  # cycle 1 is recovered on 9 February
    await shop.call("POST", f"/v1/agreements/{agreement}/pause", expect=200)
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    await shop.call("POST", f"/v1/agreements/{agreement}/resume", {"missed_cycles": "collect"}, expect=200)
    await shop.advance(clock, "2027-03-20T00:00:00Z")
    paid = [row["virtual_time"] for row in await shop.ledger(agreement) if row["status"] == "succeeded"]
    first, second = (datetime.fromisoformat(at) for at in paid)
    assert (second - first).days == 25
    await audited(shop, agreement)


async def test_a_cycle_found_too_late_is_skipped(shop: Shop) -> None:
    """An engine that was down for five days does not debit by surprise; the last cycle skipped ends the agreement."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms={"total_cycles": 1})
    await unwatched(shop.house, clock, "2027-02-05T01:00:00Z")
    await shop.advance(clock, "2027-02-06T00:00:00Z")
    await workflow_closed(shop, agreement)
    [charge] = await audited(shop, agreement)
    assert charge["status"] == "skipped"
    assert await shop.ledger(agreement) == []
    assert (await types(shop, agreement))[-2:] == ["cycle.skipped", "agreement.completed"]


async def test_a_cycle_found_in_time_is_collected(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await unwatched(shop.house, clock, "2027-02-02T00:00:00Z")
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert await collected(shop, agreement) == [("c1", "2027-02-02T00:00"), ("c2", "2027-02-28T01:00")]
    await audited(shop, agreement)


async def test_of_many_missed_cycles_the_oldest_is_collected_first(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.call("POST", f"/v1/agreements/{agreement}/pause", expect=200)
    await shop.advance(clock, "2027-11-05T00:00:00Z")
    await shop.call("POST", f"/v1/agreements/{agreement}/resume", {"missed_cycles": "collect"}, expect=200)
    await shop.advance(clock, "2027-11-06T00:00:00Z")
    assert await collected(shop, agreement) == [("c1", "2027-11-05T00:00")]


@pytest.mark.parametrize(("missed", "paid"), [("drop", ["c4"]), ("collect", ["c1", "c2", "c4"])])
async def test_a_retry_that_waited_out_the_pause(shop: Shop, missed: str, paid: list[str]) -> None:
    """Its cycle is over: it is missed like the cycles behind it, and not debited two months late by surprise."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "insufficient_funds,success")
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    await shop.call("POST", f"/v1/agreements/{agreement}/pause", expect=200)
    await shop.advance(clock, RESUMED)
    await shop.call("POST", f"/v1/agreements/{agreement}/resume", {"missed_cycles": missed}, expect=200)
    await shop.advance(clock, MAY)
    debits = [row for row in await shop.ledger(agreement) if row["status"] == "succeeded"]
    assert [row["request_id"].rsplit("-", 2)[1] for row in debits] == paid
    await audited(shop, agreement)


async def test_a_retry_goes_on_after_a_short_pause(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "insufficient_funds,success")
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    await shop.call("POST", f"/v1/agreements/{agreement}/pause", expect=200)
    await shop.advance(clock, "2027-02-05T00:00:00Z")
    await shop.call("POST", f"/v1/agreements/{agreement}/resume", expect=200)
    await shop.advance(clock, "2027-02-06T00:00:00Z")
    assert [row["status"] for row in await shop.ledger(agreement)] == ["failed", "succeeded"]
