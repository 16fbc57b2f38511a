"""The laws of `Idempotency-Key` (design §4, payment-rules §5)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlmodel import select
from temporalio.client import Client

from api.app import create_app
from settings import Settings
from store.database import Database
from store.tables import Agreement, IdempotencyKey
from store.vault import Vault
from tests.api.conftest import QUICK, Shop, activate, assert_problem, body, rows
from tests.api.running import ON_DEMAND, php, running
from workflows.messages import agreement_workflow_id


async def test_a_repeat_gets_the_first_answer_again(shop: Shop, database: Database) -> None:
    first = await shop.post("/v1/agreements", body(), key="k")
    again = await shop.post("/v1/agreements", dict(reversed(body().items())), key="k")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert (await rows(database, shop))["Agreement"] == 1


async def test_a_key_is_required(shop: Shop, database: Database) -> None:
    for path in ("/v1/agreements", "/v1/agreements/x/pause", "/v1/agreements/x/resume", "/v1/agreements/x/revoke"):
        sent = body() if path.endswith("agreements") else {}
        answer = await shop.http.post(path, json=sent, headers=shop.bearer)
        assert_problem(answer, 400, "idempotency_key_missing")
    assert (await rows(database, shop))["Agreement"] == 0


@pytest.mark.parametrize(
    "key", ["", "x" * 256, "a\tb", "a\x7fb", "\u00e9", '""', '"open', '"a"b"', '"a\\b"', f'"{"x" * 256}"']
)
async def test_an_invalid_key_is_refused(shop: Shop, database: Database, key: str) -> None:
    headers = [(name.encode(), value.encode()) for name, value in shop.bearer.items()]
    answer = await shop.http.post("/v1/agreements", json=body(), headers=[*headers, (b"Idempotency-Key", key.encode())])
    assert_problem(answer, 400, "idempotency_key_invalid")
    assert (await rows(database, shop))["Agreement"] == 0


async def test_a_key_belongs_to_one_body_and_path(shop: Shop, database: Database) -> None:
    made = (await shop.post("/v1/agreements", body(), key="k")).json()
    assert_problem(await shop.post("/v1/agreements", body(reference="other"), key="k"), 422, "idempotency_key_reused")
    path = f"/v1/agreements/{made['id']}/revoke"
    assert_problem(await shop.post(path, {}, key="k"), 422, "idempotency_key_reused")
    assert (await shop.get(f"/v1/agreements/{made['id']}")).json()["status"] == "pending_authorization"
    assert (await rows(database, shop))["Agreement"] == 1


async def test_the_same_key_of_another_merchant_is_another_key(shop: Shop, live_shop: Shop) -> None:
    mine = await shop.post("/v1/agreements", body(), key="k")
    theirs = await live_shop.post("/v1/agreements", body(), key="k")
    assert mine.json()["id"] != theirs.json()["id"]


@pytest.mark.parametrize("key", ["k", '"k"', '"a \\"b\\" \\\\"', "x" * 255, f'"{"x" * 255}"', "two words"])
async def test_a_key_is_bare_text_or_a_string_of_structured_fields(shop: Shop, key: str) -> None:
    first = await shop.post("/v1/agreements", body(), key=key)
    assert first.status_code == 202
    assert (await shop.post("/v1/agreements", body(), key=key)).headers["idempotency-replayed"] == "true"


async def test_every_call_that_makes_or_moves_something_takes_a_key(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    starred = {
        path.removeprefix("/v1/")
        for path, operations in paths.items()
        if any(
            parameter["name"].lower() == "idempotency-key"
            for parameter in operations.get("post", {}).get("parameters", [])
        )
    }
    of_agreement = ["pause", "resume", "revoke", "portal-links", "charges", "card-changes"]
    wanted = {"agreements", *(f"agreements/{{agreement_id}}/{name}" for name in of_agreement)}
    assert wanted | {"charges/{charge_id}/cancel", "charges/{charge_id}/refunds"} <= starred


async def test_a_call_refused_before_it_was_understood_leaves_its_key_free(shop: Shop) -> None:
    assert_problem(await shop.post("/v1/agreements", body(gateway="paypal"), key="k"), 422, "invalid_request")
    assert_problem(await shop.post("/v1/agreements/agr_nope/pause", {}, key="k"), 404, "not_found")
    assert (await shop.post("/v1/agreements", body(), key="k")).status_code == 202


async def test_a_refusal_by_the_state_of_things_is_the_answer_for_good(
    shop: Shop, database: Database, vault: Vault
) -> None:
    """Else a call that was refused goes through when a late repeat of it arrives: here a debit."""
    agreement = await running(shop, database, vault, **ON_DEMAND)
    path, sent = f"{agreement.path}/charges", {"amount": php(49_900)}
    await agreement.command("pause")
    first = await shop.post(path, sent, key="debit")
    assert_problem(first, 409, "state_conflict")
    await agreement.command("resume")
    again = await shop.post(path, sent, key="debit")
    assert (again.status_code, again.json()) == (409, first.json())
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert_problem(await shop.post(path, {"amount": php(1_000)}, key="debit"), 422, "idempotency_key_reused")
    assert await agreement.charges() == []

    too_little = {"amount": php(1)}
    refused = await shop.post(path, too_little, key="too little")
    assert refused.status_code == 422
    assert (await shop.post(path, too_little, key="too little")).json() == refused.json()
    assert (await shop.post(path, sent, key="a fresh one")).status_code == 201


async def test_parallel_calls_that_are_refused_get_one_answer(shop: Shop) -> None:
    agreement_id = (await shop.create())["id"]
    path = f"/v1/agreements/{agreement_id}/resume"
    answers = await asyncio.gather(*(shop.post(path, {}, key="resume") for _ in range(20)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(409, answers[0].text)}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


async def test_a_hundred_parallel_creates_make_one_agreement(shop: Shop, database: Database) -> None:
    answers = await asyncio.gather(*(shop.post("/v1/agreements", body(), key="k") for _ in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert (await rows(database, shop))["Agreement"] == 1


async def test_a_hundred_parallel_creates_with_their_own_keys_share_one_reference(
    shop: Shop, database: Database
) -> None:
    answers = await asyncio.gather(*(shop.post("/v1/agreements", body(), key=f"k{n}") for n in range(100)))
    assert sorted({answer.status_code for answer in answers}) == [202, 409]
    assert sum(answer.status_code == 202 for answer in answers) == 1
    assert (await rows(database, shop))["Agreement"] == 1
    lost = next(number for number, answer in enumerate(answers) if answer.status_code == 409)
    again = await shop.post("/v1/agreements", body(), key=f"k{lost}")
    assert_problem(again, 409, "reference_taken")
    assert (again.text, again.headers["idempotency-replayed"]) == (answers[lost].text, "true")


async def forget_answer(database: Database, shop: Shop, taken_at: datetime) -> None:
    """What a crash between the commit and the answer leaves behind."""
    async with database.transaction() as session:
        query = select(IdempotencyKey).where(IdempotencyKey.merchant_id == shop.principal.merchant_id)
        row = (await session.exec(query)).one()
        row.status_code, row.answer, row.created_at = None, None, taken_at


async def test_a_repeat_takes_over_from_a_call_that_died(shop: Shop, database: Database, temporal: Client) -> None:
    made = await shop.create()
    await temporal.get_workflow_handle(agreement_workflow_id(made["id"])).terminate()
    async with database.transaction() as session:
        (await session.get_one(Agreement, made["id"])).started = False
    await forget_answer(database, shop, datetime.now(UTC) - timedelta(hours=1))
    again = await shop.post("/v1/agreements", body(), key="key-1")
    assert again.json() == made
    assert (await rows(database, shop))["Agreement"] == 1
    async with database.transaction() as session:
        assert (await session.get_one(Agreement, made["id"])).started


async def test_a_repeat_waits_for_a_call_that_runs_then_gives_up(
    shop: Shop, settings: Settings, database: Database, vault: Vault, temporal: Client
) -> None:
    await shop.create()
    await forget_answer(database, shop, datetime.now(UTC) + timedelta(hours=1))
    app = create_app(settings, database, vault, temporal, replace(QUICK, same_key=timedelta(milliseconds=300)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://pay.example") as http:
        answer = await replace(shop, http=http).post("/v1/agreements", body(), key="key-1")
    assert_problem(answer, 409, "idempotency_key_in_use")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_command_is_done_once(shop: Shop, database: Database, vault: Vault) -> None:
    agreement_id = (await shop.create())["id"]
    await activate(database, vault, agreement_id, "at_secret")
    path = f"/v1/agreements/{agreement_id}/pause"
    answers = await asyncio.gather(*(shop.post(path, {}, key="pause") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    events = (await shop.get("/v1/events", agreement=agreement_id)).json()["data"]
    assert [event["type"] for event in events] == ["agreement.activated", "agreement.paused"]

    await shop.post(f"/v1/agreements/{agreement_id}/resume")
    assert (await shop.post(path, {}, key="pause")).json()["status"] == "paused", "the first answer, though it is old"
    assert (await shop.get(f"/v1/agreements/{agreement_id}")).json()["status"] == "active"
