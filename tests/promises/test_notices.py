"""A notice before the debit: announced on its day, and where proof is wanted, no proof means no debit."""

from __future__ import annotations

from datetime import UTC, datetime

from store import notices
from store.changes import change
from tests.promises.support import START, audited, charge_row, types
from tests.support.house import Shop

BEFORE_CYCLE_2 = "2027-02-20T00:00:00Z"
CYCLE_2_DUE = datetime(2027, 2, 28, 1, 0, tzinfo=UTC)


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
    async with change(shop.house.database, agreement) as locked:
        charge = await charge_row(shop.house, agreement, cycle=2)
        await notices.prove(locked, await locked.session.merge(charge), CYCLE_2_DUE)
    await shop.advance(clock, "2027-02-28T12:00:01Z")
    await shop.advance(clock, "2027-04-15T00:00:00Z")
    found = {row["cycle"]: row["status"] for row in await audited(shop, agreement)}
    assert (found[1], found[2], found[3]) == ("succeeded", "succeeded", "skipped")
    assert len(await shop.ledger(agreement)) == 2
