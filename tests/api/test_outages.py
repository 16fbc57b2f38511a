"""PostgreSQL or Temporal away: 503 with Retry-After, in the same form as every other problem."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app
from api.main import connect
from settings import Settings
from store.database import Database
from store.vault import Vault
from tests.api.conftest import QUICK, Shop, activate, assert_problem, assert_ready, body, rows
from tests.api.running import ON_DEMAND, VARIABLE, php, running
from tests.api.test_idempotency import forget_answer


def _over(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://pay.example")


@pytest.fixture
async def without_temporal(settings: Settings, database: Database, vault: Vault) -> AsyncIterator[httpx.AsyncClient]:
    nowhere = await connect(settings.model_copy(update={"temporal_address": "127.0.0.1:1"}))
    async with _over(create_app(settings, database, vault, nowhere, QUICK)) as http:
        yield http


async def test_without_postgresql_nothing_is_answered_but_when_to_come_back(
    shop: Shop, settings: Settings, vault: Vault, temporal: Client
) -> None:
    gone = Database("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    async with _over(create_app(settings, gone, vault, temporal, QUICK)) as http:
        for path in ("/v1/agreements", "/v1/events"):
            answer = await http.get(path, headers=shop.bearer)
            assert_problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
        await assert_ready(http, status="away", postgresql="away", temporal="ok")
        assert (await http.get("/healthz")).status_code == 200


async def test_a_create_without_temporal_is_finished_by_its_repeat(
    shop: Shop, database: Database, without_temporal: httpx.AsyncClient
) -> None:
    lost = Shop(shop.principal, shop.key, shop.account, without_temporal)
    assert_problem(await lost.post("/v1/agreements", body(), key="k"), 503, "unavailable")
    assert (await rows(database, shop))["Agreement"] == 1, "committed before the workflow was to start"
    await forget_answer(database, shop, datetime.now(UTC) - timedelta(hours=1))
    answer = await shop.post("/v1/agreements", body(), key="k")
    assert answer.status_code == 202
    assert (await rows(database, shop))["Agreement"] == 1


async def test_a_revocation_without_temporal_stands(
    shop: Shop, database: Database, vault: Vault, without_temporal: httpx.AsyncClient
) -> None:
    agreement_id = (await shop.create())["id"]
    await activate(database, vault, agreement_id, "at_secret")
    lost = Shop(shop.principal, shop.key, shop.account, without_temporal)
    answer = await lost.post(f"/v1/agreements/{agreement_id}/revoke", key="revoke")
    assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
    assert (await shop.get(f"/v1/agreements/{agreement_id}")).json()["status"] == "revoked"


async def test_amounts_and_charges_without_temporal_stand(
    shop: Shop, database: Database, vault: Vault, without_temporal: httpx.AsyncClient
) -> None:
    """On the rows first: the sweep tells the workflow what it did not hear."""
    variable = await running(shop, database, vault, terms=VARIABLE)
    on_demand = await running(shop, database, vault, **ON_DEMAND)
    lost = Shop(shop.principal, shop.key, shop.account, without_temporal)
    for agreement in (variable, on_demand):
        agreement.shop = lost
    assert (await variable.put(1, {"amount": php(700)})).status_code == 200
    assert (await variable.patch(terms={"total_cycles": 3})).status_code == 200
    assert (await on_demand.charge(amount=php(800))).status_code == 201
    assert (await shop.get(variable.path)).json()["terms"]["total_cycles"] == 3
    charged = [(await shop.get("/v1/charges", agreement=each.id)).json()["data"] for each in (variable, on_demand)]
    assert [[charge["amount"]["value"] for charge in found] for found in charged] == [[700], [800]]
    assert (await on_demand.row()).next_step_at is not None


async def test_a_clock_nobody_was_told_to_move_can_be_asked_again(
    shop: Shop, without_temporal: httpx.AsyncClient
) -> None:
    clock = (await shop.post("/v1/test-clocks", {"now": "2055-01-01T00:00:00Z"})).json()["id"]
    lost = Shop(shop.principal, shop.key, shop.account, without_temporal)
    path = f"/v1/test-clocks/{clock}"
    assert_problem(await lost.post(f"{path}/advance", {"to": "2055-02-01T00:00:00Z"}), 503, "unavailable")
    assert (await shop.get(path)).json()["status"] == "ready"


async def test_every_part_that_answers_is_ready(shop: Shop) -> None:
    await assert_ready(shop.http, status="ok", postgresql="ok", temporal="ok")
