"""A payer who takes the card away at the provider has revoked: found out where the provider can be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.contract import CheckInput
from activities.on_file import CredentialChecks
from gateways import http
from gateways.connectors import lists
from store import ids, lifecycle
from store.changes import change
from store.tables import Agreement, Credential
from tests.promises.support import audited, by_hand, types, until
from tests.support.house import House, Shop
from workflows import client as workflows
from workflows.agreement import AgreementWorkflow
from workflows.messages import agreement_workflow_id

A_DAY = timedelta(days=1)


@asynccontextmanager
async def checking(shop: Shop) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The daily check of the shop's gateway, to be run by the test."""
    look = partial(workflows.look, shop.house.temporal)
    async with by_hand(shop.house) as hand, http.client() as client:
        checks = CredentialChecks(hand.bench, lists(client), look, apart=0)
        yield partial(ActivityEnvironment().run, checks.check_credentials, CheckInput(gateway=shop.gateway))


async def credentials(session: AsyncSession, shop: Shop) -> Sequence[Credential]:
    """The shop's, oldest first."""
    query = select(Credential).where(Credential.merchant_id == shop.merchant_id)
    return (await session.exec(query.order_by(col(Credential.id)))).all()


async def a_day_passes(shop: Shop) -> None:
    """For what was found missing before."""
    async with shop.house.database.transaction() as session:
        for credential in await credentials(session, shop):
            credential.missing_since = credential.missing_since and credential.missing_since - A_DAY


async def missing_since(shop: Shop) -> list[datetime | None]:
    async with shop.house.database.transaction() as session:
        return [credential.missing_since for credential in await credentials(session, shop)]


async def take_away(shop: Shop) -> None:
    """The payer has every card of the shop's customers taken off file. Ottu's support has to unlock it first."""
    for held in await shop.credentials():
        if shop.gateway == "pivot":
            await shop.sandbox(f"credentials/{held['id']}/revoke", {})
            continue
        await shop.sandbox(f"credentials/{held['id']}/unlock", {})
        url = f"{shop.sandbox_url}/b/pbl/v2/card/{held['token']}/?customer_id={held['customer_id']}&type=sandbox"
        headers = {"authorization": f"Api-Key {shop.keys['api_key']}"}
        assert (await shop.house.outside.delete(url, headers=headers)).status_code == 204


async def workflow_knows(shop: Shop, agreement: str) -> bool:
    handle = shop.house.temporal.get_workflow_handle(agreement_workflow_id(agreement))
    return (await handle.query(AgreementWorkflow.snapshot)).status == "revoked"


@pytest.mark.parametrize("gateway", ["ottu", "pivot"])
async def test_a_card_that_two_checks_find_gone_is_a_revocation(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    agreement = await shop.agree(None)
    async with checking(shop) as check:
        await check()
        assert await missing_since(shop) == [None]
        await take_away(shop)
        for _ in range(2):  # repeated by a worker after a crash
            await check()
        assert (await shop.read(agreement))["status"] == "active"
        await a_day_passes(shop)
        await check()
    shown = await shop.read(agreement)
    revocation = shown["revocation"]
    assert (shown["status"], shown["next_charge_at"]) == ("revoked", None)
    assert (revocation["initiator"], revocation["provider_status"]) == ("customer", "done")
    await until(lambda: workflow_knows(shop, agreement))
    assert (await types(shop, agreement)).count("agreement.revoked") == 1
    await audited(shop, agreement)


async def test_a_card_that_comes_back_was_never_taken_away(house: House) -> None:
    shop = await house.shop("pivot")
    agreement = await shop.agree(None)
    [held] = await shop.credentials()
    async with checking(shop) as check:
        await take_away(shop)
        await check()
        assert await missing_since(shop) != [None]
        await shop.sandbox(f"credentials/{held['id']}/status", {"status": "ACTIVE"})
        await a_day_passes(shop)
        await check()
        assert await missing_since(shop) == [None]
        await take_away(shop)
        await check()
    assert (await shop.read(agreement))["status"] == "active"


@pytest.mark.parametrize("gateway", ["ottu", "pivot"])
async def test_a_provider_that_does_not_answer_changes_nothing(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    agreement = await shop.agree(None)
    since = datetime.now(UTC) - 3 * A_DAY
    async with checking(shop) as check:
        async with change(house.database, agreement) as locked:
            (await locked.session.get_one(Credential, locked.agreement.credential_id)).missing_since = since
        await shop.sandbox("faults", {"http_500": 1})
        try:
            await check()
        finally:
            await shop.sandbox("faults", {})
    assert await missing_since(shop) == [since]
    assert (await shop.read(agreement))["status"] == "active"


async def test_cards_that_are_all_gone_at_once_are_a_persons_to_look_at(house: House) -> None:
    """Six of six: an account that was moved, more likely than six customers on one day."""
    shop = await house.shop("pivot")
    agreement = await shop.agree(None)
    others = [await _like(house, agreement, number) for number in range(5)]
    async with checking(shop) as check:
        await take_away(shop)
        await check()
        await a_day_passes(shop)
        await check()
        assert {(await shop.read(each))["status"] for each in (agreement, *others)} == {"active"}
        async with change(house.database, others[0]) as locked:
            await lifecycle.revoke(locked, initiator="merchant", reason=None)
        await check()
    assert {(await shop.read(each))["status"] for each in (agreement, *others)} == {"revoked"}


async def _like(house: House, agreement: str, number: int) -> str:
    """A row like this agreement's and its credential's: another customer of the same merchant."""
    async with house.database.transaction() as session:
        row = await session.get_one(Agreement, agreement)
        credential = await session.get_one(Credential, row.credential_id)
        own = {"id": ids.new("crd"), "token_hash": f"another {number}"}
        session.add(Credential(**credential.model_dump() | own))
        copied = {"id": ids.new("agr"), "reference": f"{row.reference}-{number}", "credential_id": own["id"]}
        session.add(Agreement(**row.model_dump() | copied | {"sequence": 0}))
    return copied["id"]


async def test_agreements_on_test_clocks_and_ended_ones_are_not_asked_about(house: House) -> None:
    shop = await house.shop("pivot")
    on_clock = await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
    ended = await shop.agree(None)
    await shop.call("POST", f"/v1/agreements/{ended}/revoke", {})
    async with checking(shop) as check:
        await take_away(shop)
        await check()
    assert await missing_since(shop) == [None, None]
    async with house.database.transaction() as session:
        assert (await session.get_one(Agreement, on_clock)).ended is None
