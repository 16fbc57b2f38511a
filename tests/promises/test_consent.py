"""From the customer's consent to its end: authorizations that expire, race or come late; tokens kept alive."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial

import pytest
from sqlmodel import select

from store.tables import Authorization, Credential, Notification
from tests.promises.support import (
    START,
    agreement_row,
    audited,
    credential,
    faults,
    types,
    until,
    workflow_closed,
)
from tests.promises.test_provider_messages import say
from tests.support.house import Shop, agreement_body


async def asked(shop: Shop, now: str = START) -> tuple[str, str, str]:
    """An agreement the customer has not answered: clock, id, the wallet's page."""
    clock = await shop.clock(now)
    made = await shop.call("POST", "/v1/agreements", agreement_body(clock), expect=201)
    return clock, made["id"], made["authorization"]["url"]


async def test_nobody_answers(shop: Shop) -> None:
    clock, agreement, url = await asked(shop)
    await shop.advance(clock, "2027-01-31T00:14:00Z")
    assert (await shop.read(agreement))["status"] == "pending_authorization"
    await shop.advance(clock, "2027-01-31T00:16:00Z")
    assert (await shop.read(agreement))["status"] == "authorization_failed"
    await workflow_closed(shop, agreement)
    assert (await shop.house.outside.post(url, data={"decision": "approve"})).status_code == 410
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert await shop.ledger(agreement) == []
    assert await types(shop, agreement) == ["agreement.authorization_requested", "agreement.authorization_failed"]


async def test_the_customer_declines(shop: Shop) -> None:
    """Antom tells nobody: the agreement waits until its page has expired."""
    clock, agreement, url = await asked(shop)
    await shop.decide(url, decision="reject")
    assert (await shop.read(agreement))["status"] == "pending_authorization"
    await shop.advance(clock, "2027-01-31T00:16:00Z")
    assert (await shop.read(agreement))["status"] == "authorization_failed"


async def test_a_customer_who_agreed_need_not_agree_again_because_the_provider_is_down(shop: Shop) -> None:
    """The page's quarter of an hour ends before the code could be exchanged."""
    clock, agreement, url = await asked(shop)
    await shop.advance(clock, "2027-01-31T00:14:50Z")
    async with faults(shop.house, http_500=1.0):
        await shop.decide(url, decision="approve")
        await shop.advance(clock, "2027-01-31T00:15:01Z")
        assert (await shop.read(agreement))["status"] == "pending_authorization"
    await shop.advance(clock, "2027-01-31T00:16:00Z")
    assert (await shop.read(agreement))["status"] == "active"


async def test_a_consent_after_the_due_instant_collects_at_once_and_keeps_the_anchor(shop: Shop) -> None:
    clock, agreement, url = await asked(shop, "2027-01-31T00:50:00Z")
    await shop.advance(clock, "2027-01-31T01:04:00Z")
    await shop.decide(url, decision="approve")
    await until(lambda: shop.ledger(agreement))
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert [row["virtual_time"][:16] for row in await shop.ledger(agreement)] == [
        "2027-01-31T01:04",
        "2027-02-28T01:00",
    ]
    await audited(shop, agreement)


@pytest.mark.parametrize("first", ["notification", "return", "both"])
async def test_the_code_comes_twice_and_is_used_once(shop: Shop, first: str) -> None:
    clock, agreement, url = await asked(shop)
    house = shop.house
    # What the tap keeps back is said again when it is its turn.
    kept_back = house.tap.shut() if first != "notification" else nullcontext()
    async with faults(house, duplicate=1):
        with kept_back:
            page = await house.outside.post(url, data={"decision": "approve"})
            await until(partial(tapped, shop, 2))
        said = [say(shop, message) for message in house.tap.of(shop.account)] if first != "notification" else []
        back = [house.outside.get(page.headers["location"]) for _ in range(5 if first == "both" else 1)]
        if first == "both":
            await asyncio.gather(*said, *back)
        else:
            await asyncio.gather(*back)
            await asyncio.gather(*said)
        await shop.until_status(agreement, "active")
        await until(lambda: told(shop, 3))
    async with shop.house.database.transaction() as session:
        journal = await session.exec(
            select(Notification).where(Notification.account_id == shop.account).order_by(Notification.id)
        )
        heard = list(journal)
        [authorization] = await session.exec(select(Authorization).where(Authorization.agreement_id == agreement))
        [_] = await session.exec(select(Credential).where(Credential.account_id == shop.account))
    assert first in ("both", heard[0].source)
    assert [row.status for row in heard].count("settled") == 1
    assert authorization.tries == 1
    await credential(shop, agreement)
    assert (await types(shop, agreement)).count("agreement.authorized") == 1
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    assert len(await shop.ledger(agreement)) == 1


async def tapped(shop: Shop, times: int) -> bool:
    return len(shop.house.tap.of(shop.account)) >= times


async def told(shop: Shop, times: int) -> bool:
    async with shop.house.database.transaction() as session:
        heard = await session.exec(select(Notification).where(Notification.account_id == shop.account))
        return len(heard.all()) >= times


async def same_token(shop: Shop, agreement: str) -> bool:
    """Whether the engine and the provider hold the same token."""
    row = await agreement_row(shop.house, agreement)
    async with shop.house.database.transaction() as session:
        ours = await session.get_one(Credential, row.credential_id)
    return ours.token_hash == shop.house.vault.fingerprint((await credential(shop, agreement))["token"])


async def test_a_token_of_180_days_lives_for_a_year(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, "2028-02-01T00:00:00Z")
    events = await shop.events(agreement)
    refreshed = [event["created_at"][:10] for event in events if event["type"] == "credential.refreshed"]
    assert refreshed == ["2027-07-15", "2027-12-27"]
    assert {row["status"] for row in await shop.ledger(agreement)} == {"succeeded"}
    assert [charge["status"] for charge in await audited(shop, agreement)] == ["succeeded"] * 13
    assert await same_token(shop, agreement)


async def test_a_lost_answer_to_a_refresh_is_asked_for_again(shop: Shop) -> None:
    """The provider has made new tokens and we never saw them: the same refresh token gets them again."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, "2027-07-14T23:59:00Z")
    async with faults(shop.house, lost_answer=1):
        await shop.advance(clock, "2027-07-15T00:00:10Z")
        assert not await same_token(shop, agreement)
    await shop.advance(clock, "2027-08-01T00:00:00Z")
    assert await same_token(shop, agreement)
    assert await types(shop, agreement, "credential.") == ["credential.refreshed"]
    assert {row["status"] for row in await shop.ledger(agreement)} == {"succeeded"}


async def test_a_refused_refresh_does_not_stop_the_debits_before_the_expiry(shop: Shop) -> None:
    """After the expiry only the customer can help."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms={"payment_processing_day": 20})
    row = await agreement_row(shop.house, agreement)
    async with shop.house.database.transaction() as session:
        ours = await session.get_one(Credential, row.credential_id)
        ours.sealed_refresh_token = shop.house.vault.seal("refresh_token", "rt_wrong")
    await shop.advance(clock, "2027-07-21T00:00:00Z")
    assert await types(shop, agreement, "credential.") == ["credential.refresh_failed", "credential.expiring"]
    assert [row["status"] for row in await shop.ledger(agreement)] == ["succeeded"] * 6
    await shop.advance(clock, "2027-09-21T00:00:00Z")
    assert (await shop.read(agreement))["status"] == "action_required"
    assert [row["status"] for row in await shop.ledger(agreement)] == ["succeeded"] * 6, "an expired token was sent"
    await audited(shop, agreement)


async def test_a_charge_waits_for_the_refresh_of_an_expired_token(shop: Shop) -> None:
    """The provider refreshes nothing from before the token expires until after the next cycle is due."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, "2027-07-14T00:00:00Z")
    async with faults(shop.house, http_500=1.0):
        await shop.advance(clock, "2027-07-31T12:00:00Z")
        assert len(await shop.ledger(agreement)) == 6
        assert (await shop.read(agreement))["status"] == "active"
    await shop.advance(clock, "2027-08-01T00:00:00Z")
    assert await types(shop, agreement, "credential.") == ["credential.refreshed"]
    assert [row["status"] for row in await shop.ledger(agreement)] == ["succeeded"] * 7
    await audited(shop, agreement)
