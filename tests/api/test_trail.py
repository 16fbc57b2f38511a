"""Who did what: every call that changes something leaves one entry in its own transaction, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from sqlmodel import select

from agreements.status import AttemptStatus
from store import api_keys
from store.database import Database
from store.tables import ApiKey, TrailEntry
from store.vault import Vault
from tests.api.conftest import Shop, assert_problem, body
from tests.api.running import ON_DEMAND, VARIABLE, php, running
from tests.api.test_merchants import _exit_code, environment

__all__ = ["environment"]

AGENT = {"User-Agent": "shop-backend/7"}
THROUGH_REFUNDS = "POST /v1/charges/{charge_id}/declarations"
"""Needs a country with customs; it is written where those of refunds are."""


async def entries(database: Database, shop: Shop) -> list[TrailEntry]:
    query = select(TrailEntry).where(TrailEntry.merchant_id == shop.principal.merchant_id).order_by(TrailEntry.id)
    async with database.transaction() as session:
        return list((await session.exec(query)).all())


async def everything(shop: Shop, database: Database, vault: Vault) -> None:
    """Each call that changes something, at least once."""

    async def call(method: str, path: str, json: Any = None) -> dict[str, Any]:
        answer = await shop.http.request(method, path, json=json, headers=shop.bearer)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else {}

    variable = await running(shop, database, vault, terms=VARIABLE)
    await variable.put(1, {"amount": php(700)})
    await variable.patch(metadata={"plan": "silver"})
    await shop.post(f"{variable.path}/portal-links", {})
    await shop.post(f"{variable.path}/card-changes", {"initiator": "merchant"})
    await variable.command("pause")
    await variable.command("resume")
    on_demand = await running(shop, database, vault, **ON_DEMAND)
    paid = (await on_demand.charge(amount=php(800))).json()["id"]
    await on_demand.tried(AttemptStatus.SUCCEEDED, cycle=None)
    assert (await shop.post(f"/v1/charges/{paid}/refunds", {"reason": "returned"})).status_code == 201
    owed = await variable.set_row(1)
    assert (await shop.post(f"/v1/charges/{owed}/cancel")).is_success
    endpoint = (await call("POST", "/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/"}))["id"]
    await call("PATCH", f"/v1/webhook-endpoints/{endpoint}", {"description": "mine"})
    await call("POST", f"/v1/webhook-endpoints/{endpoint}/rotate-secret")
    event = (await shop.get("/v1/events", limit=1)).json()["data"][0]["id"]
    await call("POST", f"/v1/events/{event}/redeliver")
    await call("DELETE", f"/v1/webhook-endpoints/{endpoint}")
    clock = (await call("POST", "/v1/test-clocks", {"now": "2055-01-01T00:00:00Z"}))["id"]
    await call("POST", f"/v1/test-clocks/{clock}/advance", {"to": "2055-01-01T00:00:00Z"})
    await shop.post(f"{variable.path}/revoke", {"reason": "moved away", "initiator": "customer"})
    customer, credential = (await variable.row()).customer_id, (await variable.row()).credential_id
    await call("DELETE", f"/v1/customers/{customer}/credentials/{credential}")


async def test_every_call_that_changes_something_leaves_an_entry(
    shop: Shop, database: Database, vault: Vault, http: httpx.AsyncClient
) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    changing = {f"{method.upper()} {path}" for path, found in paths.items() for method in found if method != "get"}
    shop.http.headers.update(AGENT)
    await everything(shop, database, vault)
    found = await entries(database, shop)
    assert {entry.call for entry in found} == changing - {THROUGH_REFUNDS}
    async with database.transaction() as session:
        key = (await session.exec(select(ApiKey).where(ApiKey.key_hash == api_keys.hashed(shop.key)))).one()
    for entry in found:
        assert (entry.actor, entry.who, entry.livemode) == ("api", key.id, False)
        assert (entry.ip, entry.user_agent) == ("127.0.0.1", AGENT["User-Agent"])
        assert entry.object_id
    reasons = {entry.call: entry.reason for entry in found if entry.reason}
    assert reasons == {
        "POST /v1/agreements/{agreement_id}/revoke": "moved away",
        "POST /v1/charges/{charge_id}/refunds": "returned",
    }
    by_call = {entry.call: entry for entry in found}
    refunded = by_call["POST /v1/charges/{charge_id}/refunds"]
    assert refunded.object_id
    assert refunded.object_id.startswith("rfd_")
    assert refunded.agreement_id
    assert refunded.agreement_id.startswith("agr_")


async def test_what_changes_nothing_leaves_none(shop: Shop, database: Database) -> None:
    """Neither repeats nor refusals nor reads."""
    made = await shop.post("/v1/agreements", body(), key="k")
    assert len(await entries(database, shop)) == 1
    await shop.post("/v1/agreements", body(), key="k")
    assert_problem(await shop.post("/v1/agreements", body()), 409, "reference_taken")
    path = f"/v1/agreements/{made.json()['id']}"
    assert_problem(await shop.post(f"{path}/resume"), 409, "state_conflict")
    await shop.get(path)
    assert len(await entries(database, shop)) == 1


@pytest.mark.parametrize("secret", ["sk_live_", "sk_test_", "whsec_"])
async def test_a_secret_for_a_reason_is_refused_and_kept_nowhere(
    shop: Shop, database: Database, environment: dict[str, str], secret: str
) -> None:
    """Whoever pastes the wrong thing is told so; a few letters that only tell which key is meant are no secret."""
    path = f"/v1/agreements/{(await shop.post('/v1/agreements', body())).json()['id']}"
    pasted = f"leaked: {secret}{'x9Qz' * 8}"
    answer = await shop.post(f"{path}/revoke", {"reason": pasted}, key="k")
    problem = assert_problem(answer, 422, "invalid_request", "/reason")
    refused = await shop.post("/v1/charges/chg_none/refunds", {"reason": pasted})
    assert_problem(refused, 422, "invalid_request", "/reason")
    code, said = await _exit_code(environment, "merchants", "disable", shop.principal.merchant_id, "--reason", pasted)
    assert (code, "x9Qz" in problem["detail"] + said) == (2, False)
    assert len(await entries(database, shop)) == 1, "nothing was disabled or ended"
    assert (await shop.post(f"{path}/revoke", {"reason": f"leaked: {secret}…x9Qz"}, key="k")).status_code == 200


async def test_customers_and_operators_are_in_the_trail_and_the_api_shows_no_address(
    shop: Shop, database: Database, vault: Vault, environment: dict[str, str]
) -> None:
    agreement = await running(shop, database, vault)
    link = (await shop.post(f"{agreement.path}/portal-links", {})).json()
    assert (await shop.http.post(f"{link['url']}/cancel")).status_code == 303
    code, said = await _exit_code(environment, "audit-trail", "--agreement", agreement.id, "--json")
    assert code == 0
    trail = json.loads(said)
    assert [entry["call"] for entry in trail] == [
        "POST /v1/agreements",
        "POST /v1/agreements/{agreement_id}/portal-links",
        "POST /portal/{token}/cancel",
    ]
    last = trail[-1]
    assert (last["actor"], last["who"], last["ip"], last["object_id"]) == ("customer", link["id"], None, agreement.id)
    assert link["url"].rpartition("/")[2] not in said

    await _exit_code(environment, "merchants", "disable", shop.principal.merchant_id, "--reason", "fraud")
    code, table = await _exit_code(environment, "audit-trail", "--merchant", shop.principal.merchant_id)
    assert code == 0
    assert all(text in table for text in ("operator", "merchants disable", "fraud", "127.0.0.1", agreement.id))
