"""Promise 6 under concurrency: numbers without gaps, and a feed that neither skips nor turns around."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from store import ids
from store.changes import change, changing
from store.tables import Agreement
from tests.support.house import House, Shop, agreement_body

WRITERS = 20
CHANGES = 6


async def agreements(shop: Shop, count: int) -> list[str]:
    terms = {"start_date": "2099-01-31", "expiry_date": "2100-12-31"}
    made = [
        await shop.call("POST", "/v1/agreements", agreement_body(None, terms=terms), expect=201) for _ in range(count)
    ]
    return [str(one["id"]) for one in made]


async def follow(shop: Shop, written: asyncio.Future[int]) -> list[dict[str, Any]]:
    """Reads the feed while it is written, and on until it has everything: the feed keeps the last of it back while
    anybody in this database still writes who began before.
    """
    seen: list[dict[str, Any]] = []
    while not (written.done() and len(seen) >= written.result()):
        after = f"&after={seen[-1]['id']}" if seen else ""
        seen += (await shop.call("GET", f"/v1/events?limit=7{after}"))["data"]
    return seen


async def last_number(house: House, agreement: str) -> int:
    async with house.database.transaction() as session:
        return (await session.get_one(Agreement, agreement)).sequence


async def test_twenty_writers_leave_no_gap_and_a_reader_of_the_feed_misses_nothing(house: House, shop: Shop) -> None:
    of_merchant = await agreements(shop, 3)
    written = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(follow(shop, written))

    async def write(writer: int) -> None:
        chance = random.Random(writer)
        for _ in range(CHANGES):
            async with house.database.transaction() as session:
                async with changing(session, chance.choice(of_merchant)) as locked:
                    for number in range(chance.randint(1, 3)):
                        locked.event("agreement.amended", number=number)
                # Written, numbered, and not committed yet.
                await asyncio.sleep(chance.random() / 100)

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    last = {agreement: await last_number(house, agreement) for agreement in of_merchant}
    written.set_result(sum(last.values()))
    async with asyncio.timeout(60):
        seen = await reading
    assert len({event["id"] for event in seen}) == len(seen)
    for agreement in of_merchant:
        numbers = [event["sequence"] for event in seen if event["data"]["agreement"]["id"] == agreement]
        assert numbers == list(range(1, last[agreement] + 1))
        assert numbers == [event["sequence"] for event in await shop.events(agreement)]
    assert len(seen) >= WRITERS * CHANGES


async def test_a_change_that_fails_leaves_no_number_behind(house: House, shop: Shop) -> None:
    (agreement,) = await agreements(shop, 1)

    async def fails() -> None:
        async with change(house.database, agreement) as locked:
            locked.event("agreement.amended")
            await locked.session.flush()
            raise LookupError

    async def works() -> None:
        async with change(house.database, agreement) as locked:
            locked.event("agreement.amended")

    await asyncio.gather(*(fails() if n % 2 else works() for n in range(20)), return_exceptions=True)
    numbers = [event["sequence"] for event in await shop.events(agreement)]
    assert numbers == list(range(1, 12)), "the provider's page was asked for first, then ten changes"


async def test_events_of_one_change_are_in_the_order_they_happened(
    house: House, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (agreement,) = await agreements(shop, 1)
    # Clocks that run backwards give ids that do not sort by time.
    made = sorted(ids.new("evt") for _ in range(30))
    ours, usual = asyncio.current_task(), ids.new
    # What else goes on in the house has ids of its own.
    monkeypatch.setattr(ids, "new", lambda prefix: made.pop() if asyncio.current_task() is ours else usual(prefix))
    async with change(house.database, agreement) as locked:
        for number in range(30):
            locked.event("agreement.amended", number=number)
    told = await shop.events(agreement)
    assert [event["data"]["number"] for event in told[1:]] == list(range(30))
