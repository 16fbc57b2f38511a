"""Agreements over HTTP: created once, read as they are, stopped on the row first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version

import httpx
import pytest
from sqlmodel import select
from temporalio.client import Client

from api.app import create_app
from settings import Settings
from store.database import Database
from store.tables import Agreement, Authorization
from store.vault import Vault
from tests.api.conftest import QUICK, Shop, activate, assert_problem, body, rows
from workflows.messages import agreement_workflow_id


async def test_a_create_is_committed_and_its_workflow_started(shop: Shop, database: Database, temporal: Client) -> None:
    answer = await shop.post("/v1/agreements", body())
    made = answer.json()
    assert answer.status_code == 202, "no worker runs, so the provider's page is not there yet"
    assert made["status"] == "pending_authorization"
    assert made["livemode"] is False
    assert made["terms"]["debit_time"] == "09:00"
    assert made["metadata"] == {"plan": "gold"}
    async with database.transaction() as session:
        agreement = await session.get_one(Agreement, made["id"])
        asked = (await session.exec(select(Authorization).where(Authorization.agreement_id == agreement.id))).one()
    assert (agreement.started, agreement.version) == (True, 1)
    assert asked.status == "requested"
    description = await temporal.get_workflow_handle(agreement_workflow_id(made["id"])).describe()
    assert description.run_id
    assert (await shop.get(f"/v1/agreements/{made['id']}")).json() == made


async def test_an_agreement_is_answered_201_once_the_provider_s_page_is_there(
    shop: Shop, settings: Settings, database: Database, vault: Vault, temporal: Client
) -> None:
    async def provider() -> None:
        while True:
            async with database.transaction() as session:
                query = select(Authorization).join(Agreement).where(Agreement.merchant_id == shop.principal.merchant_id)
                if asked := (await session.exec(query)).first():
                    asked.status, asked.url = "open", "https://wallet.example/agree"
                    return
            await asyncio.sleep(0.01)

    patient = replace(QUICK, authorization=timedelta(minutes=1))
    app = create_app(settings, database, vault, temporal, patient)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://pay.example") as http:
        creating = replace(shop, http=http).post("/v1/agreements", body())
        async with asyncio.timeout(60):
            answer, _ = await asyncio.gather(creating, provider())
    assert answer.status_code == 201
    assert answer.json()["authorization"]["url"] == "https://wallet.example/agree"


async def test_a_reference_is_taken_once_per_merchant(shop: Shop, database: Database) -> None:
    await shop.create()
    assert_problem(await shop.post("/v1/agreements", body()), 409, "reference_taken")
    assert (await rows(database, shop))["Agreement"] == 1


async def test_lists_are_filtered_and_newest_first(shop: Shop) -> None:
    ids = [(await shop.create(reference=f"sub-{n}"))["id"] for n in range(3)]
    listed = (await shop.get("/v1/agreements")).json()
    assert [found["id"] for found in listed["data"]] == ids[::-1]
    assert listed["has_more"] is False
    assert listed["next_cursor"] is None
    assert [a["id"] for a in (await shop.get("/v1/agreements", reference="sub-1")).json()["data"]] == [ids[1]]
    assert (await shop.get("/v1/agreements", status="active")).json()["data"] == []


async def test_a_cursor_is_stable_while_agreements_are_added(shop: Shop) -> None:
    ids = [(await shop.create(reference=f"sub-{n}"))["id"] for n in range(4)]
    first = (await shop.get("/v1/agreements", limit=2)).json()
    await shop.create(reference="newcomer")
    second = (await shop.get("/v1/agreements", limit=2, cursor=first["next_cursor"])).json()
    assert [found["id"] for found in first["data"] + second["data"]] == ids[::-1]
    assert second["has_more"] is False


async def test_schedule_names_dates_and_rules(shop: Shop) -> None:
    made = await shop.create()
    found = (await shop.get(f"/v1/agreements/{made['id']}/schedule", count=2)).json()
    assert [(cycle["date"], cycle["due_at"]) for cycle in found["data"]] == [
        ("2055-01-31", "2055-01-31T01:00:00Z"),
        ("2055-02-28", "2055-02-28T01:00:00Z"),
    ]
    assert found["data"][1]["rules"] == ["anchor", "short_month"]
    assert found["data"][1]["amount"] == {"currency": "PHP", "value": 49900}
    rest = (await shop.get(f"/v1/agreements/{made['id']}/schedule", cursor=found["next_cursor"])).json()
    assert [cycle["cycle"] for cycle in rest["data"]] == list(range(3, 13))
    assert rest["has_more"] is False


async def test_schedule_shows_rolled_dates_the_calendar_and_the_agreements_own_second(shop: Shop) -> None:
    """31 January and 28 February 2055 are Sundays, 31 March is a Wednesday."""
    terms = {"business_days": {"calendar": "PH", "roll": "following"}, "debit_window_minutes": 30}
    path = f"/v1/agreements/{(await shop.create(terms=terms))['id']}/schedule"
    first = (await shop.get(path, count=2)).json()
    rest = (await shop.get(path, count=500, cursor=first["next_cursor"])).json()
    cycles = first["data"] + rest["data"]
    assert [cycle["cycle"] for cycle in cycles] == list(range(1, 13))
    assert [cycle["date"] for cycle in cycles[:3]] == ["2055-02-01", "2055-03-01", "2055-03-31"]
    assert [cycle["calendar"] for cycle in cycles[:3]] == [f"PH, holidays {version('holidays')}"] * 2 + [None]
    assert cycles[1]["rules"] == ["anchor", "short_month", "roll_following", "jitter"]
    [second] = {cycle["due_at"].partition("T")[2] for cycle in cycles}
    assert "01:00:00Z" <= second < "01:30:00Z"
    assert (await shop.get(path, count=2)).content == (await shop.get(path, count=2)).content


async def test_pause_resume_and_revoke_are_on_the_row_when_they_are_answered(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement_id = (await shop.create())["id"]
    await activate(database, vault, agreement_id, "at_secret")
    path = f"/v1/agreements/{agreement_id}"

    assert (await shop.post(f"{path}/pause")).json()["status"] == "paused"
    assert (await shop.get(path)).json()["status"] == "paused"
    assert_problem(await shop.post(f"{path}/pause"), 409, "state_conflict")
    assert (await shop.post(f"{path}/resume", {"missed_cycles": "collect"})).json()["status"] == "active"
    assert_problem(
        await shop.post(f"{path}/resume", {"missed_cycles": "keep"}), 422, "invalid_request", "/missed_cycles"
    )

    revoked = (await shop.post(f"{path}/revoke", {"reason": "moved away", "initiator": "customer"})).json()
    assert revoked["status"] == "revoked"
    assert revoked["revocation"]["initiator"] == "customer"
    assert revoked["revocation"]["provider_status"] == "pending"
    assert (await shop.post(f"{path}/revoke")).json()["status"] == "revoked", "repeatable"
    assert_problem(await shop.post(f"{path}/pause"), 409, "state_conflict")
    assert (await shop.get(f"{path}/schedule")).json()["data"] == []

    entries = (await shop.get(f"{path}/timeline")).json()["data"]
    assert [entry["type"] for entry in entries] == [
        "agreement.activated",
        "agreement.paused",
        "agreement.resumed",
        "charge.canceled",
        "agreement.revoked",
    ]
    assert [entry["sequence"] for entry in entries] == [1, 2, 3, 4, 5]


async def test_commands_that_come_at_once_queue_on_the_row(shop: Shop, database: Database, vault: Vault) -> None:
    agreement_id = (await shop.create())["id"]
    await activate(database, vault, agreement_id, "at_secret")
    path = f"/v1/agreements/{agreement_id}"
    commands = [f"{path}/{name}" for name in ("pause", "resume", "pause", "resume", "revoke", "pause", "revoke")]
    answers = await asyncio.gather(*(shop.post(command) for command in commands * 3))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert (await shop.get(path)).json()["status"] == "revoked"
    events = (await shop.get("/v1/events", agreement=agreement_id)).json()["data"]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert sum(event["type"] == "agreement.revoked" for event in events) == 1


@pytest.mark.parametrize("path", ["", "/schedule", "/timeline"])
async def test_what_is_another_s_is_not_there(shop: Shop, live_shop: Shop, path: str) -> None:
    made = await shop.create()
    assert_problem(await live_shop.get(f"/v1/agreements/{made['id']}{path}"), 404, "not_found")


async def test_another_s_agreement_cannot_be_commanded(shop: Shop, live_shop: Shop) -> None:
    made = await shop.create()
    for command in ("pause", "resume", "revoke"):
        assert_problem(await live_shop.post(f"/v1/agreements/{made['id']}/{command}"), 404, "not_found")
    assert (await shop.get(f"/v1/agreements/{made['id']}")).json()["status"] == "pending_authorization"
