"""One key and several API processes: one result, also when the process that has the call dies over it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlmodel import select
from temporalio.client import Client
from temporalio.service import RPCError

from api.app import create_app
from api.services import Patience
from settings import Settings
from store.database import Database
from store.tables import Agreement
from store.vault import Vault
from tests.api.conftest import Shop, assert_problem, body, rows
from tests.api.test_merchants import environment
from tests.sandbox.support import free_port, serving
from workflows.messages import agreement_workflow_id

__all__ = ["environment"]

HASTY = Patience(
    authorization=timedelta(milliseconds=100),
    same_key=timedelta(milliseconds=300),
    abandoned=timedelta(seconds=1),
)
"""Of the process that goes on: gives up waiting soon, and takes over from the dead soon."""
SLOW = replace(HASTY, authorization=timedelta(seconds=2), abandoned=timedelta(minutes=1))
"""Holds its key while it waits for a provider that does not answer here."""


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes calls and answers none, however long its callers wait."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        yield f"127.0.0.1:{nobody.getsockname()[1]}"


@asynccontextmanager
async def a_process(environment: dict[str, str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`autodebit api` as a process of its own; killed at the end if it still runs."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.main",
        "api",
        "--port",
        str(port),
        env=os.environ | environment,
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
            while True:
                with suppress(httpx.TransportError):
                    await http.get(f"http://127.0.0.1:{port}/healthz")
                    break
                await asyncio.sleep(0.05)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
async def outside() -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(trust_env=False, timeout=120, limits=limits) as http:
        yield http


async def test_a_hundred_identical_creates_at_two_processes_make_one_agreement(
    shop: Shop, settings: Settings, database: Database, vault: Vault, temporal: Client, outside: httpx.AsyncClient
) -> None:
    one, other = Database(settings.database_url, 50), Database(settings.database_url, 50)  # nobody waits for another's
    one_app = create_app(settings, one, vault, temporal, SLOW)
    other_app = create_app(settings, other, vault, temporal, SLOW)
    async with serving(one_app) as one_url, serving(other_app) as other_url:
        doors = (one_url, other_url)

        async def create(number: int, key: str | None = "k", reference: str = "sub-1001") -> httpx.Response:
            headers = shop.bearer | ({} if key is None else {"Idempotency-Key": key})
            url = f"{doors[number % 2]}/v1/agreements"
            return await outside.post(url, json=body(reference=reference), headers=headers)

        answers = await asyncio.gather(*(create(number) for number in range(100)))
        assert {answer.status_code for answer in answers} == {202, 409}
        early = [answer for answer in answers if answer.status_code == 409]
        assert {answer.json()["code"] for answer in early} == {"idempotency_key_in_use"}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in early)
        results = [answer for answer in answers if answer.status_code != 409]
        results += await asyncio.gather(*(create(number) for number in range(len(early))))
        (result,) = {(answer.status_code, answer.text) for answer in results}
        assert sum("idempotency-replayed" not in answer.headers for answer in results) == 1
        assert (await create(1, reference="sub-1002")).json()["code"] == "idempotency_key_reused"
        assert (await create(0, key=None)).json()["code"] == "idempotency_key_missing"
    await one.close()
    await other.close()
    assert result[0] == 202
    counted = await rows(database, shop)
    assert (counted["Agreement"], counted["IdempotencyKey"]) == (1, 1)
    found = [row async for row in temporal.list_workflows(f"Merchant = '{shop.principal.merchant_id}'")]
    assert len(found) <= 1, "the list lags behind, but never shows what is not there"
    assert (await temporal.get_workflow_handle(agreement_workflow_id(results[0].json()["id"])).describe()).run_id


@pytest.mark.parametrize("reaches_temporal", [True, False])
async def test_a_create_whose_process_is_killed_is_finished_by_its_repeat(
    shop: Shop,
    settings: Settings,
    database: Database,
    vault: Vault,
    temporal: Client,
    environment: dict[str, str],
    outside: httpx.AsyncClient,
    silent: str,
    reaches_temporal: bool,
) -> None:
    """Killed after its workflow was started, and before; the answer was never given either way."""
    given = environment | ({} if reaches_temporal else {"AUTODEBIT_TEMPORAL_ADDRESS": silent})
    app = create_app(settings, database, vault, temporal, HASTY)

    async def committed() -> Agreement | None:
        async with database.transaction() as session:
            query = select(Agreement).where(Agreement.merchant_id == shop.principal.merchant_id)
            return (await session.exec(query)).first()

    async with a_process(given) as (process, url), serving(app) as living_url:

        async def create(at: str) -> httpx.Response:
            return await outside.post(
                f"{at}/v1/agreements", json=body(), headers=shop.bearer | {"Idempotency-Key": "k"}
            )

        lost = asyncio.create_task(create(url))
        async with asyncio.timeout(60):
            while (made := await committed()) is None or made.started != reaches_temporal:
                await asyncio.sleep(0.005)
        process.kill()
        with pytest.raises(httpx.TransportError):
            await lost
        if not reaches_temporal:
            with pytest.raises(RPCError):
                await temporal.get_workflow_handle(agreement_workflow_id(made.id)).describe()
        answers = [await create(living_url)]
        async with asyncio.timeout(60):
            while answers[-1].status_code == 409:
                answers.append(await create(living_url))
        again = await create(living_url)
    assert answers[-1].status_code == 202
    assert answers[-1].json()["id"] == made.id
    assert (again.text, again.headers["idempotency-replayed"]) == (answers[-1].text, "true")
    counted = await rows(database, shop)
    assert (counted["Agreement"], counted["IdempotencyKey"]) == (1, 1)
    found = await temporal.get_workflow_handle(agreement_workflow_id(made.id)).describe()
    assert found.status is not None
    assert found.status.name == "RUNNING"
    assert_problem(await shop.post("/v1/agreements", body(), key="another"), 409, "reference_taken")
