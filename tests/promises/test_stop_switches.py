"""Promise 4 for stop switches: who stopped a provider or a merchant sees no debit of theirs start any more."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import select
from typer.testing import CliRunner

from activities.stopping import telling
from agreements.standing import Standing
from agreements.status import AttemptStatus
from api.app import create_app
from api.services import Patience
from cli import in_words
from cli.main import app as command_line
from store import stops
from store.changes import change
from store.tables import Agreement, StopSwitch, TrailEntry
from store.tables.stops import Scope
from tests.promises.support import (
    START,
    agreement_row,
    attempts,
    audited,
    by_hand,
    charge_step,
    types,
    until,
    unwatched,
)
from tests.support.house import House, Shop
from workflows import client as workflows
from workflows.agreement import AgreementWorkflow
from workflows.messages import agreement_workflow_id

DUE = "2027-01-31T01:00:00Z"


async def stopped(shop: Shop, reason: str = "double debits reported", by: str = "ann") -> StopSwitch:
    """A merchant's own switch: other tests share the gateway."""
    async with shop.house.database.transaction() as session:
        switch, _ = await stops.stop(
            session, Scope.MERCHANT, shop.merchant_id, livemode=False, reason=reason, by=by, at=datetime.now(UTC)
        )
    assert await stops.drained(shop.house.database)
    return switch


async def gone(shop: Shop) -> None:
    async with shop.house.database.transaction() as session:
        assert await stops.go(session, Scope.MERCHANT, shop.merchant_id, livemode=False, at=datetime.now(UTC))


async def tell(house: House) -> None:
    """What a sweep does about switches, until nobody is left to be told."""
    chore = telling(house.database, partial(workflows.look, house.temporal))
    await chore(datetime.now(UTC))
    async with house.database.transaction() as session:
        assert await stops.untold(session) == []


async def snapshot(shop: Shop, agreement: str) -> Any:
    handle = shop.house.temporal.get_workflow_handle(agreement_workflow_id(agreement))
    return await handle.query(AgreementWorkflow.snapshot)


async def test_a_stop_that_comes_while_a_debit_begins_stops_and_go_collects_once(shop: Shop) -> None:
    """The gate reads the switch again, under the lock that sends; the charge waits without being tried in vain.

    The debit has begun before the stop: it waits for the agreement's row, and its first look saw no switch.
    """
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    at = await unwatched(shop.house, clock, DUE)
    step = await charge_step(shop.house, agreement, at)
    async with by_hand(shop.house) as hand:
        async with change(shop.house.database, agreement):
            charging = asyncio.create_task(hand.charge(step))
            await until(partial(_locked_out, shop, agreement))
            await stopped(shop)
        standing = await charging
        assert hand.gateway.calls == []
    assert standing.held.startswith(f"stopped for {shop.merchant_id} by ann since ")
    assert standing.held.endswith(": double debits reported")
    assert [attempt.status for attempt in await attempts(shop.house, agreement)] == [AttemptStatus.PREPARED]
    await tell(shop.house)
    await until(partial(_shows, shop, agreement, held=True))
    await shop.advance(clock, "2027-01-31T02:00:00Z")
    assert await shop.ledger(agreement) == []
    assert (await shop.read(agreement))["next_charge_at"] is None
    await gone(shop)
    await tell(shop.house)
    await shop.advance(clock, "2027-01-31T03:00:00Z")
    [debit] = await shop.ledger(agreement)
    assert (debit["request_id"], debit["status"]) == (f"{agreement}-c1-a1", "succeeded")
    timeline = (await shop.call("GET", f"/v1/agreements/{agreement}/timeline"))["data"]
    told = [entry["decision"] for entry in timeline if entry["kind"] == "decision"]
    assert [decision["action"] for decision in told] == ["stop", "go"]
    assert {decision["inputs"]["reason"] for decision in told} == {"double debits reported"}
    assert "ann" not in str(timeline)
    said = [in_words.happened(entry, {}) for entry in timeline if entry["kind"] == "decision"]
    assert said[0] == f"the engine's operator stopped debits, of {shop.merchant_id}: double debits reported"
    await audited(shop, agreement)


async def _shows(shop: Shop, agreement: str, *, held: bool) -> bool:
    return bool((await snapshot(shop, agreement)).held) is held


async def test_who_stops_waits_for_a_debit_that_passed_the_gate_before(shop: Shop) -> None:
    """The stop is in force at once, for others; its answer waits until nothing is under way that had not seen it."""
    agreement = await shop.agree(await shop.clock(START))
    row = await agreement_row(shop.house, agreement)
    async with shop.house.database.transaction() as gate:
        assert await stops.at_the_gate(gate, row) == ""
        stopping = asyncio.create_task(stopped(shop))
        await until(partial(_held, shop, row))
        await until(partial(_waited_for, shop))
        assert not stopping.done()
    await stopping


async def _locked_out(shop: Shop, agreement: str) -> bool:
    """Whether somebody is next in line for an agreement's row that somebody else holds."""
    asked = text(
        "select true from pg_locks where locktype = 'tuple' and relation = 'agreements'::regclass"
        " and format('(%s,%s)', page, tuple) = (select ctid::text from agreements where id = :agreement) limit 1"
    )
    async with shop.house.database.transaction() as session:
        return bool(await (await session.connection()).scalar(asked, {"agreement": agreement}))


async def _held(shop: Shop, row: Agreement) -> bool:
    async with shop.house.database.transaction() as session:
        return bool((await session.exec(select(stops.on(Agreement)).where(Agreement.id == row.id))).one())


async def _waited_for(shop: Shop) -> bool:
    asked = text("select true from pg_locks where relation = 'stop_switches'::regclass and not granted limit 1")
    async with shop.house.database.transaction() as session:
        return bool(await (await session.connection()).scalar(asked))


async def test_what_a_stop_does_not_touch_and_what_became_too_late(shop: Shop) -> None:
    """An unknown is found out, charges on demand are refused, a retry overtaken by its successor is missed, and what
    was never tried goes by the catch-up limit; the cycle after that is collected as if nothing had been.
    """
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "lost_answer_success,insufficient_funds,success")
    await shop.advance(clock, DUE)
    await stopped(shop)
    await tell(shop.house)
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    assert next(charge["status"] for charge in await shop.charges(agreement)) == "succeeded"
    refused = await shop.call("POST", f"/v1/agreements/{agreement}/charges", {"cycle": 1}, expect=409)
    assert "stopped" in refused["detail"]
    await gone(shop)
    await tell(shop.house)
    await shop.advance(clock, "2027-03-01T00:00:00Z")  # cycle 2 is declined on 28 February
    await stopped(shop)
    await tell(shop.house)
    await shop.advance(clock, "2027-05-05T00:00:00Z")  # cycle 3, 31 March, is too late; cycle 4, 30 April, as well
    assert len(await shop.ledger(agreement)) == 2
    await gone(shop)
    await tell(shop.house)
    await shop.advance(clock, "2027-06-01T00:00:00Z")
    paid = [row["request_id"].split("-")[-2] for row in await shop.ledger(agreement) if row["status"] == "succeeded"]
    assert paid == ["c1", "c5"]
    statuses = {charge["cycle"]: charge["status"] for charge in await audited(shop, agreement)}
    assert [statuses[cycle] for cycle in (2, 3, 4, 5)] == ["skipped", "skipped", "skipped", "succeeded"]
    assert (await types(shop, agreement, "cycle.")) == ["cycle.skipped"] * 3


async def test_no_page_on_which_the_customer_pays_is_opened_while_stopped(house: House) -> None:
    shop = await house.shop("ottu")
    await stopped(shop)
    clock = await shop.clock(START)
    made = await _not_waited_for(shop, shop.body(clock))
    assert (await snapshot(shop, made["id"])).authorize_at is None
    assert made["id"] not in str((await shop.sandbox("ledger"))["data"])
    await gone(shop)
    await tell(house)
    await until(partial(_has_page, shop, made["id"]))


async def _not_waited_for(shop: Shop, body: dict[str, Any]) -> dict[str, Any]:
    """An agreement made at an API that does not wait for the provider's page."""
    house, headers = shop.house, {"Authorization": f"Bearer {shop.secret_key}", "Idempotency-Key": "impatient"}
    hasty = Patience(authorization=timedelta(0))
    app = create_app(house.settings, house.database, house.vault, house.temporal, hasty)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as http:
        answer = await http.post("/v1/agreements", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def _has_page(shop: Shop, agreement: str) -> bool:
    return bool((await shop.read(agreement))["authorization"]["url"])


async def test_what_dies_while_agreements_are_told_is_gone_on_with_and_nobody_is_told_twice(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreements = [(await shop.call("POST", "/v1/agreements", shop.body(clock), expect=201))["id"] for _ in range(3)]
    await stopped(shop)
    told: list[str] = []

    async def look(standing: Standing) -> None:
        if standing.agreement.merchant_id != shop.merchant_id:
            return  # another test's switch
        told.append(standing.agreement.id)
        if len(told) == 2:
            raise ConnectionError

    chore = telling(shop.house.database, look)
    with pytest.raises(ConnectionError):
        await chore(datetime.now(UTC))
    await chore(datetime.now(UTC))
    assert told == sorted(agreements)


async def test_the_commands(shop: Shop) -> None:
    """Who stops says why and is kept in the audit trail; what is stopped already stays as it is; go needs a stop."""
    name = shop.merchant_id
    stop = await said(shop, "stop", "merchant", name, "--test", "--reason", "a ticket", "--by", "ann")
    assert stop == (0, f"{name} (test): debits are stopped\n")
    again = await said(shop, "stop", "merchant", name, "--test", "--reason", "another", "--by", "bob")
    assert again[0] == 0
    assert again[1].endswith(", by ann: a ticket\n")
    _, listed = await said(shop, "stops", "--json")
    [found] = [row for row in json.loads(listed) if row["name"] == name]
    assert (found["by"], found["reason"], found["livemode"], found["lifted_at"]) == ("ann", "a ticket", False, None)
    assert (await said(shop, "go", "merchant", name, "--by", "bob"))[0] == 0
    assert (await said(shop, "go", "merchant", name))[0] == 1
    assert (await said(shop, "stop", "merchant", "mer_nobody", "--reason", "none"))[0] == 1
    assert (await said(shop, "stop", "gateway", "paypal", "--reason", "none"))[0] == 2
    async with shop.house.database.transaction() as session:
        query = select(TrailEntry).where(TrailEntry.object_id == name).order_by(TrailEntry.id)
        kept = [(entry.call, entry.who, entry.reason) for entry in await session.exec(query)]
    assert kept == [("autodebit stop merchant", "ann", "a ticket"), ("autodebit go merchant", "bob", None)]


async def said(shop: Shop, *words: str) -> tuple[int, str]:
    """A command's exit code and what it printed, with the settings of the house."""
    settings = shop.house.settings
    environment = {
        "AUTODEBIT_DATABASE_URL": settings.database_url,
        "AUTODEBIT_TEMPORAL_ADDRESS": settings.temporal_address,
        "AUTODEBIT_VAULT_KEYS": ",".join(key.get_secret_value() for key in settings.vault_keys),
        "AUTODEBIT_VAULT_HASH_KEY": settings.vault_hash_key.get_secret_value(),
        "AUTODEBIT_PUBLIC_URL": settings.public_url,
        "AUTODEBIT_ENVIRONMENT": "dev",
    }
    result = await asyncio.to_thread(CliRunner().invoke, command_line, words, env=environment)
    return result.exit_code, result.stdout
