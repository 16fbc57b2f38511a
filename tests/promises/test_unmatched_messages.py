"""A message a workflow was told of that is about nothing its agreement has: it is written down, and in nobody's way."""

from __future__ import annotations

from sqlmodel import select

from store import ids
from store.tables import Notification
from tests.promises.support import START, audited, until
from tests.support.house import House, Shop
from workflows import client


async def test_it_stays_in_the_journal_as_unmatched_and_the_agreement_goes_on(shop: Shop) -> None:
    house, clock = shop.house, await shop.clock(START)
    paid, other = await shop.agree(clock), await shop.agree(clock)
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    misled = await _copied(house, paid, other)

    for told in ("ntf_nobody_wrote", misled):  # the second one is only reached once the first is over
        assert await client.tell_running(house.temporal, other, told)

    async def unmatched() -> bool:
        async with house.database.transaction() as session:
            row = await session.get_one(Notification, misled)
        return (row.status, row.detail) == ("unmatched", f"{paid}-c1-a1")

    await until(unmatched)
    assert {charge["cycle"]: charge["status"] for charge in await audited(shop, other)} == {
        1: "succeeded",
        2: "scheduled",
    }


async def _copied(house: House, about: str, to: str) -> str:
    """What the provider said of one agreement's first debit, as if it concerned another agreement."""
    query = select(Notification).where(Notification.agreement_id == about, Notification.kind == "payment")

    async def said() -> list[Notification]:
        async with house.database.transaction() as session:
            return list(await session.exec(query))

    await until(said)
    kept = (await said())[0].model_dump(exclude={"id", "agreement_id", "status", "created_at"})
    copy = Notification(**kept, id=ids.new("ntf"), agreement_id=to, status="signalled")
    async with house.database.transaction() as session:
        session.add(copy)
    return copy.id
