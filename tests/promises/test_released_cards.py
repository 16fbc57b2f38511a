"""What becomes of the old credential: ended at the provider, to a final answer, unless somebody still needs it."""

from __future__ import annotations

from datetime import UTC, datetime

from store import releases, standings
from store.changes import change
from store.tables import Credential
from tests.promises.customers import (
    ask,
    changes,
    follow,
    give,
    has_changed,
    held,
    in_use,
    released,
    stored,
)
from tests.promises.support import (
    START,
    agreement_row,
    faults,
    types,
    until,
    workflow_closed,
)
from tests.support.house import Shop


async def test_the_old_card_is_ended_at_the_provider_whose_echo_is_no_revocation(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    old = await in_use(shop, agreement)
    await give(shop, (await ask(shop, agreement))["url"])
    await until(lambda: released(shop))
    await shop.advance(clock, "2027-01-31T00:10:00Z")
    row = await stored(shop, old)
    assert (row.status, row.release_at, row.refresh_at) == ("released", None, None)
    assert (await shop.read(agreement))["status"] == "active"


async def test_the_provider_is_told_of_the_old_card_until_it_answers(shop: Shop) -> None:
    """The workflow of an agreement that was revoked meanwhile stays open until then."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    old = await in_use(shop, agreement)
    page = await follow(shop, (await ask(shop, agreement))["url"])
    await shop.decide(page.headers["location"], decision="approve")
    await until(lambda: released(shop))
    await shop.advance(clock, "2027-01-31T00:01:00Z")
    async with faults(shop.house, http_500=1):
        async with change(shop.house.database, agreement) as locked:
            releases.retire(locked, await locked.session.get_one(Credential, old))
        await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {})
        await shop.advance(clock, "2027-01-31T00:20:00Z")
        row = await stored(shop, old)
        assert (row.status, row.release_tries > 2) == ("replaced", True)
        async with shop.house.database.transaction() as session:
            now = datetime(2027, 1, 31, 0, 20, tzinfo=UTC)
            assert not (await standings.read(session, await agreement_row(shop.house, agreement), now)).closed
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    await workflow_closed(shop, agreement)
    assert (await stored(shop, old)).status == "released"


async def test_a_token_another_agreement_is_charged_with_is_left_alone(shop: Shop) -> None:
    """Some wallets give one token per customer, whichever agreement it is for."""
    clock = await shop.clock(START)
    agreement, other = await shop.agree(clock), await shop.agree(clock)
    old = await in_use(shop, agreement)
    async with shop.house.database.transaction() as session:
        shared = await session.get_one(Credential, await in_use(shop, other))
        shared.token_hash = (await stored(shop, old)).token_hash
    await give(shop, (await ask(shop, agreement))["url"])
    await until(lambda: has_changed(shop, agreement))
    await shop.advance(clock, "2027-01-31T00:10:00Z")
    assert (await stored(shop, old)).status == "kept"
    assert [row["status"] for row in await held(shop)] == ["active", "active", "active"]


async def test_a_refusal_of_the_provider_leaves_the_old_card(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    link = (await ask(shop, agreement))["url"]
    async with shop.house.database.transaction() as session:
        row = await agreement_row(shop.house, agreement)
        (await session.get_one(type(row), agreement)).payment_method = "NO_SUCH_WALLET"
    pressed = await follow(shop, link)
    assert pressed.status_code == 410, pressed.text
    assert await changes(shop, agreement) == ["failed"]
    assert await types(shop, agreement, "card_change.") == ["card_change.requested", "card_change.failed"]
    assert (await shop.read(agreement))["status"] == "active"
    assert [row["status"] for row in await held(shop)] == ["active"]
