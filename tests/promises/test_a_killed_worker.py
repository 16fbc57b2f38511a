"""Promises 4 and 9 with real processes: the worker is killed in the middle of debits, stopped, or not there at all."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from temporalio.client import WorkflowHistory

from agreements.status import AttemptStatus
from settings import Settings
from tests.promises.support import START, attempts, audited, faults, until, workflow_closed
from tests.sandbox.support import free_port
from tests.support.house import House, Shop, agreement_body
from tests.support.house import house as a_house
from workflows.messages import agreement_workflow_id

AGREEMENTS = 4


@pytest.fixture(scope="module")
async def idle() -> AsyncIterator[House]:
    """A house in which nobody works."""
    async with a_house(working=False) as found:
        yield found


def environment(settings: Settings, health_port: int) -> dict[str, str]:
    """The settings as a process reads them."""
    return os.environ | {
        "AUTODEBIT_DATABASE_URL": settings.database_url,
        "AUTODEBIT_TEMPORAL_ADDRESS": settings.temporal_address,
        "AUTODEBIT_PUBLIC_URL": settings.public_url,
        "AUTODEBIT_VAULT_KEYS": ",".join(key.get_secret_value() for key in settings.vault_keys),
        "AUTODEBIT_VAULT_HASH_KEY": settings.vault_hash_key.get_secret_value(),
        "AUTODEBIT_WORKER_HEALTH_PORT": str(health_port),
    }


@asynccontextmanager
async def a_worker(house: House) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker of its own, killed at the end if it still runs."""
    port = free_port()
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.main",
        "worker",
        env=environment(house.settings, port),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: healthy(house, port), 120)
        yield worker
    finally:
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()


async def healthy(house: House, port: int) -> bool:
    with suppress(httpx.TransportError):
        return (await house.outside.get(f"http://127.0.0.1:{port}/readyz")).is_success
    return False


def due_today() -> dict[str, Any]:
    """Terms in real time whose first cycle is due a minute ago; the second one is a month away. Where it is not about
    midnight: no agreement begins yesterday.
    """
    due = datetime.now(UTC) - timedelta(minutes=1)
    zone = "UTC" if 1 <= due.hour < 23 else "Asia/Tokyo"
    local = due.astimezone(ZoneInfo(zone))
    return {
        "start_date": local.date().isoformat(),
        "debit_time": f"{local:%H:%M}",
        "payment_processing_day": local.day,
        "expiry_date": (local.date() + timedelta(days=700)).isoformat(),
        "timezone": zone,
    }


async def in_flight(house: House, agreements: list[str]) -> bool:
    """Every debit has been sent, and one at least not been answered; on a busy machine the first may have been."""
    found = [attempt.status for agreement in agreements for attempt in await attempts(house, agreement)]
    return len(found) == len(agreements) and AttemptStatus.PREPARED not in found and AttemptStatus.SENT in found


async def test_kill_9_during_debits(idle: House) -> None:
    """Some debits reach the provider after the worker is dead; a new worker asks first and debits nobody twice."""
    shop = await idle.shop()
    async with a_worker(idle) as first:
        made = [
            await shop.call("POST", "/v1/agreements", agreement_body(None, terms=due_today()), expect=201)
            for _ in range(AGREEMENTS)
        ]
        agreements = [str(agreement["id"]) for agreement in made]
        urls = [agreement["authorization"]["url"] for agreement in made]
        async with faults(idle, latency_ms=[2500, 2500]):
            await asyncio.gather(*(shop.decide(url, decision="approve") for url in urls))
            await until(lambda: in_flight(idle, agreements), 60)
            first.kill()
            await first.wait()
    async with a_worker(idle):
        await until(lambda: all_paid(shop, agreements), 90)
    for agreement in agreements:
        assert [row["request_id"] for row in await shop.ledger(agreement)] == [f"{agreement}-c1-a1"]
        await audited(shop, agreement)


async def test_a_stop_finishes_the_debits_under_way(idle: House) -> None:
    """A deployment sends SIGTERM: each answer is recorded before the process ends, and no call repeated."""
    shop = await idle.shop()
    async with a_worker(idle) as first:
        made = await shop.call("POST", "/v1/agreements", agreement_body(None, terms=due_today()), expect=201)
        agreement = str(made["id"])
        async with faults(idle, latency_ms=[2500, 2500]):
            await shop.decide(made["authorization"]["url"], decision="approve")
            await until(lambda: in_flight(idle, [agreement]), 60)
            first.terminate()
            assert await first.wait() == 0
    assert [attempt.status for attempt in await attempts(idle, agreement)] == [AttemptStatus.SUCCEEDED]
    history = await idle.temporal.get_workflow_handle(agreement_workflow_id(agreement)).fetch_history()
    scheduled, started, completed = activities_of(history, "charge")
    assert (scheduled, started, completed) == (1, [1], 1), "done at the first try, and Temporal knows"
    async with a_worker(idle):
        await until(lambda: all_paid(shop, [agreement]), 90)
    assert [row["request_id"] for row in await shop.ledger(agreement)] == [f"{agreement}-c1-a1"]
    await audited(shop, agreement)


def activities_of(history: WorkflowHistory, kind: str) -> tuple[int, list[int], int]:
    """Of this kind: how many were asked for, at which try each was answered, and how many answers came."""
    asked = {
        event.event_id
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == kind
    }
    starts = [event.activity_task_started_event_attributes for event in history.events]
    ends = [event.activity_task_completed_event_attributes.scheduled_event_id for event in history.events]
    return len(asked), [each.attempt for each in starts if each.scheduled_event_id in asked], len(asked & set(ends))


async def all_paid(shop: Shop, agreements: list[str]) -> bool:
    cycles = [charge for agreement in agreements for charge in await shop.charges(agreement) if charge["cycle"] == 1]
    return [charge["status"] for charge in cycles] == ["succeeded"] * len(agreements)


async def test_a_revocation_while_nobody_works(idle: House) -> None:
    """It is committed on the row: the worker that comes later debits nothing, and brings the revocation to its end."""
    shop = await idle.shop()
    async with a_worker(idle):
        clock = await shop.clock(START)
        agreement = await shop.agree(clock)
    assert (await shop.call("POST", f"/v1/agreements/{agreement}/revoke", expect=200))["status"] == "revoked"
    assert (await shop.read(agreement))["revocation"]["provider_status"] == "pending"
    async with a_worker(idle):
        await shop.advance(clock, "2027-03-01T00:00:00Z")
        await workflow_closed(shop, agreement)
    assert await shop.ledger(agreement) == []
    assert (await shop.read(agreement))["revocation"]["provider_status"] == "done"
    await audited(shop, agreement)
