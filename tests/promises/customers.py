"""What customers and merchants do about another card, for the tests of card changes."""

from __future__ import annotations

from typing import Any

import httpx
from sqlmodel import select

from store.tables import Authorization, Credential
from tests.promises.support import (
    START,
    agreement_row,
)
from tests.support.house import Shop

DUE = "2027-01-31T01:00:00Z"
NEXT_DAY = "2027-02-01T01:00:00Z"


async def held(shop: Shop) -> list[dict[str, Any]]:
    """The wallet's credentials for this merchant, oldest first."""
    answer = await shop.house.outside.get(f"{shop.house.sandbox_url}/_sandbox/credentials")
    return [row for row in answer.json()["data"] if row["client_id"] == shop.client_id]


async def follow(shop: Shop, link: str) -> httpx.Response:
    """The customer presses the button of our page."""
    return await shop.house.outside.post(link)


async def give(shop: Shop, link: str, script: str = "success") -> httpx.Response:
    """The customer goes through with it; the answer is our return address's."""
    page = await follow(shop, link)
    assert page.status_code == 303, page.text
    return await shop.decide(page.headers["location"], decision="approve", script=script)


async def ask(shop: Shop, agreement: str, initiator: str = "merchant", **more: Any) -> dict[str, Any]:
    return await shop.call("POST", f"/v1/agreements/{agreement}/card-changes", {"initiator": initiator} | more, 201)


async def changes(shop: Shop, agreement: str) -> list[str]:
    """The states of an agreement's card changes, oldest first."""
    found = await shop.call("GET", f"/v1/agreements/{agreement}/card-changes")
    return [row["status"] for row in reversed(found["data"])]


async def declined(shop: Shop, script: str = "expired_card", **terms: Any) -> tuple[str, str, dict[str, Any]]:
    """Clock, agreement and the customer's action, after a decline that no waiting heals."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, script, **terms)
    await shop.advance(clock, NEXT_DAY)
    return clock, agreement, (await shop.read(agreement))["action"]


async def debits(shop: Shop, agreement: str) -> list[tuple[str, str]]:
    """Every debit: its day and what became of it."""
    return [(row["virtual_time"][:10], row["status"]) for row in await shop.ledger(agreement) if row["kind"] == "debit"]


async def released(shop: Shop) -> bool:
    return [row["status"] for row in await held(shop)] == ["revoked", "active"]


async def has_changed(shop: Shop, agreement: str) -> bool:
    return (await changes(shop, agreement))[-1] == "completed"


async def in_use(shop: Shop, agreement: str) -> str:
    """The id of the credential an agreement is charged with."""
    return str((await agreement_row(shop.house, agreement)).credential_id)


async def stored(shop: Shop, id_: str) -> Credential:
    async with shop.house.database.transaction() as session:
        return await session.get_one(Credential, id_)


async def exchange_failed(shop: Shop, agreement: str) -> bool:
    query = select(Authorization.tries).where(Authorization.agreement_id == agreement)
    async with shop.house.database.transaction() as session:
        return (await session.exec(query.where(Authorization.status == "granted"))).first() == 1
