"""One credential may serve several agreements: it is locked while any lives on it, and ended with the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import text
from sqlmodel import select
from temporalio.testing import ActivityEnvironment

from activities.contract import StepInput
from activities.credentials import Credentials
from activities.sweep import Sweeps
from activities.workbench import Workbench
from gateways import http
from gateways.antom import codes
from gateways.antom.connector import Antom
from gateways.port import Account, Call, TokenAnswer, Verdict
from store import releases
from store.changes import change
from store.tables import Credential
from tests.promises.customers import ask, follow, give, has_changed, held, in_use, stored
from tests.promises.support import START, audited, faults, types, until, unwatched, workflow_closed
from tests.support.house import House, Shop, agreement_body
from worker import reach

FILE = "/v1/customers/cus-7/credentials"
"""What the demo's customer has on file."""


async def on_file(shop: Shop) -> list[dict[str, Any]]:
    return list((await shop.call("GET", FILE))["data"])


async def again(shop: Shop, clock: str, credential: str, expect: int = 201, **changes: Any) -> dict[str, Any]:
    """An agreement with a credential the customer gave before."""
    method = {"type": "GCASH", "credential": credential}
    return await shop.call("POST", "/v1/agreements", agreement_body(clock, payment_method=method, **changes), expect)


async def delete(shop: Shop, credential: str) -> int:
    """The answer's status."""
    url = f"{shop.house.settings.public_url}{FILE}/{credential}"
    answer = await shop.house.outside.delete(url, headers={"Authorization": f"Bearer {shop.secret_key}"})
    return answer.status_code


async def at_provider(shop: Shop) -> list[str]:
    return [row["status"] for row in await held(shop)]


async def gone(shop: Shop) -> bool:
    return await at_provider(shop) == ["revoked"]


async def test_the_last_agreement_on_a_credential_ends_it_and_no_other(shop: Shop) -> None:
    clock = await shop.clock(START)
    first = await shop.agree(clock)
    credential = await in_use(shop, first)

    made = await again(shop, clock, credential)
    second = made["id"]
    assert (made["status"], made["authorization"]) == ("active", None)
    assert made["credential"]["id"] == credential
    assert await types(shop, second) == ["agreement.authorized", "agreement.activated"]
    [listed] = await on_file(shop)
    assert (listed["status"], listed["locked"], listed["agreements"]) == ("active", True, sorted([first, second]))
    refused = await shop.call("DELETE", f"{FILE}/{credential}", expect=409)
    assert (refused["code"], refused["agreements"]) == ("credential_in_use", sorted([first, second]))

    revoked = await shop.call("POST", f"/v1/agreements/{first}/revoke", {})
    assert revoked["revocation"]["provider_status"] == "not_needed"
    assert revoked["credential"]["locked"] is True, "another agreement lives on it"
    await workflow_closed(shop, first)
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    assert [row["status"] for row in await shop.ledger(second)] == ["succeeded"]
    assert await shop.ledger(first) == []
    assert await at_provider(shop) == ["active"]
    assert [row["agreements"] for row in await on_file(shop)] == [[second]]

    await shop.call("POST", f"/v1/agreements/{second}/revoke", {})
    await until(lambda: gone(shop))
    await workflow_closed(shop, second)
    assert (await shop.read(second))["revocation"]["provider_status"] == "done"
    [listed] = await on_file(shop)
    assert (listed["status"], listed["locked"], listed["agreements"]) == ("released", False, [])
    await again(shop, clock, credential, expect=422)
    assert [await delete(shop, credential), await delete(shop, credential)] == [204, 204]
    assert await on_file(shop) == []
    row = await stored(shop, credential)
    assert (row.sealed_access_token, row.sealed_refresh_token) == (None, None)
    await audited(shop, second)


async def test_what_a_card_change_left_behind_is_ended_when_the_last_agreement_on_it_completes(shop: Shop) -> None:
    clock = await shop.clock(START)
    first = await shop.agree(clock)
    old = await in_use(shop, first)
    second = (await again(shop, clock, old, terms={"total_cycles": 1}))["id"]
    await give(shop, (await ask(shop, first))["url"])
    await until(lambda: has_changed(shop, first))
    await shop.advance(clock, "2027-01-31T00:10:00Z")
    assert (await stored(shop, old)).status == "kept"
    assert await at_provider(shop) == ["active", "active"]
    assert (await stored(shop, old)).refresh_at is not None, "the other agreement needs it fresh"

    await shop.advance(clock, "2027-02-01T00:00:00Z")
    assert (await shop.read(second))["status"] == "completed"
    await workflow_closed(shop, second)
    assert await at_provider(shop) == ["revoked", "active"]
    assert (await stored(shop, old)).status == "released"
    assert (await shop.read(first))["status"] == "active"


async def test_a_credential_nobody_uses_is_deleted_at_the_provider_until_it_answers(shop: Shop) -> None:
    """Its agreement came to its end, so it stayed on file: the agreement's workflow had closed long ago."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms={"total_cycles": 1})
    credential = await in_use(shop, agreement)
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    await workflow_closed(shop, agreement)
    [listed] = await on_file(shop)
    assert (listed["status"], listed["locked"]) == ("active", False)
    assert (await shop.read(agreement))["credential"]["locked"] is False
    assert await at_provider(shop) == ["active"]

    async with faults(shop.house, http_500=1):
        assert await delete(shop, credential) == 204
        assert await on_file(shop) == []
        await shop.advance(clock, "2027-02-01T00:10:00Z")
        row = await stored(shop, credential)
        assert (row.status, row.release_tries > 1) == ("replaced", True)
        assert row.sealed_access_token is not None, "it is needed for the provider"
        assert await delete(shop, credential) == 204
    await shop.advance(clock, "2027-02-02T00:00:00Z")
    assert await gone(shop)
    row = await stored(shop, credential)
    assert (row.status, row.sealed_access_token, row.sealed_refresh_token) == ("released", None, None)
    await workflow_closed(shop, agreement)
    await again(shop, clock, credential, expect=422)
    assert (await shop.read(agreement))["status"] == "completed"


async def test_a_deletion_that_no_workflow_was_told_of_is_found_and_carried_out(shop: Shop) -> None:
    """The API died right after its commit, and the agreement's workflow had closed long ago."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms={"total_cycles": 1})
    credential = await in_use(shop, agreement)
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    await workflow_closed(shop, agreement)
    async with change(shop.house.database, agreement) as locked:
        await releases.delete(locked, await locked.session.get_one(Credential, credential))
    await ActivityEnvironment().run(Sweeps(shop.house.database, reach(shop.house.temporal), timedelta(0)).sweep)
    await until(lambda: gone(shop))
    await workflow_closed(shop, agreement)
    assert (await stored(shop, credential)).sealed_access_token is None


async def test_a_payer_who_cancels_the_token_ends_every_agreement_on_it(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreements = [await shop.agree(clock)]
    credential = await in_use(shop, agreements[0])
    agreements += [(await again(shop, clock, credential))["id"] for _ in range(2)]
    [at_wallet] = await held(shop)
    answer = await shop.house.outside.post(f"{shop.sandbox_url}/_sandbox/credentials/{at_wallet['id']}/revoke")
    assert answer.is_success
    for agreement in agreements:
        await shop.until_status(agreement, "revoked")
        await workflow_closed(shop, agreement)
        assert (await shop.read(agreement))["revocation"]["provider_status"] == "done"
        assert (await types(shop, agreement)).count("agreement.revoked") == 1
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    assert [await shop.ledger(agreement) for agreement in agreements] == [[], [], []]
    await again(shop, clock, credential, expect=422)


async def test_the_same_card_given_again_replaces_itself(shop: Shop) -> None:
    """Pivot and Ottu give one token per customer and card: the row before it is not kept for anybody else's sake."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    old = await in_use(shop, agreement)
    made = await ask(shop, agreement)
    async with change(shop.house.database, agreement) as locked:
        row = await locked.session.get_one(Credential, old)
        new = Credential(**row.model_dump(exclude={"id"}), id="crd_00000000000000000000000000")
        locked.session.add(new)
        locked.agreement.credential_id = new.id
        await releases.replaced(locked, row)
    assert made["status"] == "pending"
    assert (await stored(shop, old)).status == "superseded"
    assert [row["id"] for row in await on_file(shop)] == [new.id]
    assert await at_provider(shop) == ["active"]
    async with shop.house.database.transaction() as session:
        found = await session.exec(select(Credential.release_at).where(Credential.account_id == shop.account))
        assert set(found) == {None}
    await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {})
    await until(lambda: gone(shop))
    assert (await follow(shop, made["url"])).status_code == 410


async def test_a_card_at_pivot_serves_several_agreements_and_one_at_ottu_a_single_one(house: House) -> None:
    """gateways/ottu.md §4: other saved cards of the customer must not be charged for an agreement."""
    shops = {name: await house.shop(name) for name in ("pivot", "ottu")}
    made: dict[str, tuple[str, str]] = {}
    for name, shop in shops.items():
        clock = await shop.clock("2027-01-30T00:00:00Z")
        first = await shop.agree(clock)
        body = shop.body(clock)
        body["payment_method"] = body["payment_method"] | {"credential": await in_use(shop, first)}
        answer = await shop.call("POST", "/v1/agreements", body, 422 if name == "ottu" else 201)
        if name == "ottu":
            assert [error["pointer"] for error in answer["errors"]] == ["/payment_method/credential"]
            assert "ties" in answer["detail"]
        else:
            made[clock] = (first, answer["id"])
    shop, [(clock, (first, second))] = shops["pivot"], made.items()
    await shop.call("POST", f"/v1/agreements/{first}/revoke", {})
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    assert [row["status"] for row in await shop.ledger(second)] == ["succeeded"]
    assert (await shop.read(first))["revocation"]["provider_status"] == "not_needed"
    await audited(shop, second)


class Refuses(Antom):
    """Refuses to refresh: the refresh token was used before."""

    async def refresh(self, account: Account, payment_method: str, refresh_token: str, call: Call) -> TokenAnswer:
        return TokenAnswer(Verdict.DECLINED, decline=codes.decline("INVALID_REFRESH_TOKEN", call="grant"))


class Overtaken(Antom):
    """The real connector; between its answer and what is made of it something else happens."""

    def __init__(self, client: httpx.AsyncClient, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(client)
        self._meanwhile = meanwhile

    async def refresh(self, account: Account, payment_method: str, refresh_token: str, call: Call) -> TokenAnswer:
        answer = await super().refresh(account, payment_method, refresh_token, call)
        await self._meanwhile()
        return answer


async def test_a_refusal_of_the_second_refresh_does_not_lose_the_token_of_the_first(shop: Shop) -> None:
    """Agreements on one credential refresh it at the same instant; a provider may take a refresh token once."""
    house, clock = shop.house, await shop.clock(START)
    first = await shop.agree(clock)
    credential = await in_use(shop, first)
    second = str((await again(shop, clock, credential))["id"])
    at = await unwatched(house, clock, "2027-08-01T00:00:00Z")

    before = (await stored(shop, credential)).token_hash
    async with http.client() as client:
        await refreshed(house, first, at, Overtaken(client, lambda: refreshed(house, second, at, Refuses(client))))
    row = await stored(shop, credential)
    assert row.token_hash != before
    assert row.sealed_refresh_token is not None
    assert row.refresh_at is not None
    assert row.refresh_at > at
    assert await types(shop, first, "credential.") == ["credential.refreshed"]


async def test_who_comes_while_another_writes_the_new_token_down_asks_for_none(shop: Shop) -> None:
    house, clock, calls = shop.house, await shop.clock(START), list[str]()
    credential = await in_use(shop, await shop.agree(clock))
    late = str((await again(shop, clock, credential))["id"])
    at = await unwatched(house, clock, "2027-08-01T00:00:00Z")

    async def asked() -> None:
        calls.append(late)

    async def waits() -> bool:
        async with house.database.transaction() as session:
            found = await (await session.connection()).execute(text(WAITING))
        return bool(calls) or found.scalar_one()

    async with http.client() as client:
        async with house.database.transaction() as session:
            row = await session.get_one(Credential, credential, with_for_update=True)
            row.refresh_at = at + timedelta(days=30)
            await session.flush()
            step = asyncio.create_task(refreshed(house, late, at, Overtaken(client, asked)))
            await until(waits)
        await step
    assert calls == []


WAITING = """
    select exists (select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query ilike 'select credentials.%')
"""


async def refreshed(house: House, agreement: str, at: datetime, gateway: Antom) -> None:
    """The step that refreshes an agreement's credential, done once."""
    bench = Workbench(house.settings, house.database, house.vault, {"antom": gateway}, nothing_to_deliver)
    await ActivityEnvironment().run(Credentials(bench).refresh, StepInput(agreement_id=agreement, at=at))


async def nothing_to_deliver(*_: object) -> None:
    """No endpoint wants anything here."""
