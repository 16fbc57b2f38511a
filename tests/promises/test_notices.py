"""A notice before the debit: announced on its day, and where proof is wanted, no proof means no debit."""

from __future__ import annotations

from tests.promises.support import START, audited, charge_row, types
from tests.support.house import Shop, agreement_body

BEFORE_CYCLE_2 = "2027-02-20T00:00:00Z"


async def upcoming(shop: Shop, agreement: str) -> list[tuple[int, str]]:
    """The announced cycles and when, in the agreement's own time."""
    return [
        (event["data"]["charge"]["cycle"], event["created_at"])
        for event in await shop.events(agreement)
        if event["type"] == "cycle.upcoming"
    ]


async def test_each_coming_debit_is_announced_on_its_day_and_once(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, notice={"days_before": 3})
    await shop.advance(clock, "2027-03-30T00:00:00Z")
    assert await upcoming(shop, agreement) == [(2, "2027-02-25T01:00:00Z"), (3, "2027-03-28T01:00:00Z")]
    [event] = [each for each in await shop.events(agreement) if each["type"] == "cycle.upcoming"][:1]
    assert event["data"]["rules"] == ["merchants_wish"]
    assert event["data"]["charge"]["amount"] == {"currency": "PHP", "value": 49900}
    await audited(shop, agreement)


async def test_nobody_asked_nobody_is_told(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, BEFORE_CYCLE_2)
    assert (await charge_row(shop.house, agreement, cycle=2)).notice_at is None
    assert "cycle.upcoming" not in await types(shop, agreement)


async def test_no_proof_no_debit(shop: Shop) -> None:
    """Cycle 2 waits for the proof, is debited when it comes; cycle 3 never gets one and is missed."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, notice={"days_before": 3, "required": True})
    await shop.advance(clock, "2027-02-28T12:00:00Z")
    assert [row["cycle"] for row in await audited(shop, agreement) if row["status"] == "succeeded"] == [1]
    path, told = f"/v1/agreements/{agreement}/cycles/2", {"notified_at": "2027-02-28T11:00:00Z"}
    await shop.call("PUT", path, {"notified_at": "2027-03-01T00:00:00Z"}, 422)
    proven = await shop.call("PUT", path, told, 200)
    assert proven["notice_proven_at"] == told["notified_at"]
    await shop.advance(clock, "2027-02-28T12:00:01Z")
    await shop.advance(clock, "2027-04-15T00:00:00Z")
    found = {row["cycle"]: row["status"] for row in await audited(shop, agreement)}
    assert (found[1], found[2], found[3]) == ("succeeded", "succeeded", "skipped")
    assert len(await shop.ledger(agreement)) == 2


async def test_a_new_amount_starts_the_notice_anew(shop: Shop) -> None:
    """What was told was another debit: it is announced again, and waits for a proof of its own."""
    clock = await shop.clock(START)
    terms = agreement_body(clock)["terms"] | {"amount_variability": "variable", "max_amount_per_cycle": 90000}
    agreement = await shop.agree(clock, notice={"days_before": 3, "required": True}, terms=terms)
    path = f"/v1/agreements/{agreement}/cycles/2"
    await shop.advance(clock, "2027-02-26T00:00:00Z")
    await shop.call("PUT", path, {"notified_at": "2027-02-25T08:00:00Z"}, 200)
    await shop.call("PUT", path, {"amount": {"currency": "PHP", "value": 60000}}, 200)
    await shop.advance(clock, "2027-02-28T12:00:00Z")
    assert await upcoming(shop, agreement) == [(2, "2027-02-25T01:00:00Z"), (2, "2027-02-26T00:00:00Z")]
    assert len(await shop.ledger(agreement)) == 1
    await shop.call("PUT", path, {"notified_at": "2027-02-28T11:00:00Z"}, 200)
    await shop.advance(clock, "2027-02-28T13:00:00Z")
    assert [row["amount"] for row in await shop.ledger(agreement)] == [49900, 60000]
    await audited(shop, agreement)


async def test_a_merchant_hears_that_an_amount_is_missing(shop: Shop) -> None:
    clock = await shop.clock(START)
    terms = {"amount": None, "amount_variability": "variable", "max_amount_per_cycle": 90000}
    agreement = await shop.agree(clock, terms=terms)
    path = f"/v1/agreements/{agreement}/cycles/2"
    await shop.advance(clock, "2027-02-26T00:00:00Z")
    assert await upcoming(shop, agreement) == [(2, "2027-02-25T01:00:00Z")]
    await shop.call("PUT", path, {"amount": {"currency": "PHP", "value": 30000}}, 200)
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert [row["amount"] for row in await shop.ledger(agreement)] == [30000]
    assert len(await upcoming(shop, agreement)) == 1
