"""The front door against a real PostgreSQL and a real Temporal server; activities are nobody's business here."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from sqlalchemy import func
from sqlmodel import select
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.contract import AGREEMENTS_QUEUE
from api.app import create_app
from api.services import Patience
from cli.embedded.engines import Engines
from settings import Settings
from store import merchants
from store.changes import change
from store.database import Database
from store.merchants import Principal
from store.migrate import migrate
from store.tables import Agreement, Charge, Credential, Event, IdempotencyKey, TestClock, WebhookEndpoint
from store.vault import Vault
from tests.gateways.antom_fixtures import ANTOM_KEY, CLIENT_ID, MERCHANT_KEY, private_text, public_text
from tests.support.description import Description
from tests.support.folders import data_folder
from tests.support.one_connection import OneEach
from workflows.agreement import AgreementWorkflow
from workflows.client import connect
from workflows.declaration import DeclarationWorkflow
from workflows.refund import RefundWorkflow

QUICK = Patience(
    authorization=timedelta(milliseconds=100),
    same_key=timedelta(minutes=1),
    abandoned=timedelta(minutes=1),
)
"""Nobody answers for the provider here, so waiting for it is time lost; not so for a busy machine."""

# They live in real time, and none may begin in the past: 28 years after 2027, which had the same days of the week.
BODY: dict[str, Any] = {
    "reference": "sub-1001",
    "gateway": "antom",
    "payment_method": {"type": "GCASH"},
    "customer": {"id": "cus-7", "name": "Ana Cruz", "email": "ana@example.com", "region": "PH"},
    "terms": {
        "type": "recurring",
        "amount": {"currency": "PHP", "value": 49900},
        "amount_variability": "fixed",
        "frequency": "monthly",
        "cycle_interval_days": 25,
        "payment_processing_day": 31,
        "start_date": "2055-01-31",
        "expiry_date": "2056-12-31",
        "total_cycles": 12,
        "timezone": "Asia/Manila",
    },
    "return_url": "https://merchant.example/return?from=wallet",
    "metadata": {"plan": "gold"},
}


def body(**changes: Any) -> dict[str, Any]:
    """A sound create body, with members replaced; `terms` are merged."""
    made = copy.deepcopy(BODY)
    made["terms"] |= changes.pop("terms", {})
    return made | changes


@dataclass
class Shop:
    """A merchant with a key in one mode and an Antom account, and an HTTP client that calls on its behalf."""

    principal: Principal
    key: str
    account: str
    http: httpx.AsyncClient
    _calls: int = field(default=0)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(path, params=query, headers=self.bearer)

    async def post(self, path: str, json: Any = None, key: str | None = None, **options: Any) -> httpx.Response:
        """A POST under its own idempotency key unless one is given."""
        self._calls += 1
        headers = self.bearer | {"Idempotency-Key": key or f"key-{self._calls}"}
        return await self.http.post(path, json=json, headers=headers, **options)

    async def create(self, **changes: Any) -> dict[str, Any]:
        """An agreement; the test fails if it is refused."""
        answer = await self.post("/v1/agreements", body(**changes))
        assert answer.status_code in (201, 202), answer.text
        made: dict[str, Any] = answer.json()
        return made

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@pytest.fixture(scope="session")
async def engines() -> AsyncIterator[Engines]:
    """PostgreSQL and Temporal, embedded."""
    with data_folder() as folder:
        running = Engines(folder, durable=False)
        try:
            await running.start()
            await migrate(running.database_url)
            yield running
        finally:
            await running.stop()


@pytest.fixture(scope="session")
def settings(engines: Engines) -> Settings:
    return Settings(
        database_url=engines.database_url,
        temporal_address=engines.temporal_address,
        public_url="https://pay.example",
        vault_keys=Fernet.generate_key().decode(),
        vault_hash_key="hash key of the tests",
        database_pool=10,
        failed_authentication_limit=0,
    )


@pytest.fixture(scope="session")
async def database(settings: Settings) -> AsyncIterator[Database]:
    found = Database(settings.database_url, settings.database_pool)
    yield found
    await found.close()


@pytest.fixture(scope="session")
def vault(settings: Settings) -> Vault:
    return Vault(settings.vault_keys, settings.vault_hash_key)


@pytest.fixture(scope="session")
async def temporal(settings: Settings) -> Client:
    return await connect(settings)


@pytest.fixture(scope="session", autouse=True)
async def workflows_only(temporal: Client) -> AsyncIterator[None]:
    """Workflows take up commands and news; nobody runs their activities, so nothing is ever done about them."""
    async with Worker(
        temporal,
        task_queue=AGREEMENTS_QUEUE,
        workflows=[AgreementWorkflow, RefundWorkflow, DeclarationWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield


@pytest.fixture(scope="session")
async def app(settings: Settings, vault: Vault, temporal: Client) -> AsyncIterator[FastAPI]:
    database = OneEach(settings.database_url, settings.database_pool)
    yield create_app(settings, database, vault, temporal, QUICK)
    await database.close()


@pytest.fixture(scope="session")
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Every answer any test gets is held to the API's description."""
    hooks = {"response": [Description(app.openapi()).of_response]}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://pay.example", event_hooks=hooks) as client:
        yield client


async def open_shop(database: Database, vault: Vault, http: httpx.AsyncClient, *, livemode: bool) -> Shop:
    """A merchant of its own for a test."""
    async with database.transaction() as session:
        merchant = await merchants.create(session, "Example Store")
        principal = Principal(merchant.id, livemode)
        key = await merchants.issue_key(session, merchant.id, livemode=livemode)
        keys = {
            "client_id": CLIENT_ID,
            "private_key": private_text(MERCHANT_KEY),
            "public_key": public_text(ANTOM_KEY),
        }
        account = await merchants.connect_account(
            session, vault, principal, gateway="antom", base_url="https://antom.example", keys=keys
        )
    return Shop(principal, key, account, http)


@pytest.fixture
async def shop(database: Database, vault: Vault, http: httpx.AsyncClient) -> Shop:
    return await open_shop(database, vault, http, livemode=False)


@pytest.fixture
async def live_shop(database: Database, vault: Vault, http: httpx.AsyncClient) -> Shop:
    return await open_shop(database, vault, http, livemode=True)


_MADE = (Agreement, IdempotencyKey, Event, Charge, WebhookEndpoint, TestClock)


async def rows(database: Database, shop: Shop) -> dict[str, int]:
    """How many rows of each kind the merchant has."""
    async with database.transaction() as session:
        return {
            table.__name__: (
                await session.exec(
                    select(func.count()).select_from(table).where(table.merchant_id == shop.principal.merchant_id)
                )
            ).one()
            for table in _MADE
        }


async def activate(database: Database, vault: Vault, agreement_id: str, token: str) -> None:
    """The customer has agreed; the provider gave `token`."""
    async with change(database, agreement_id) as locked:
        agreement = locked.agreement
        credential = Credential(
            id=f"crd_{agreement_id[4:]}",
            merchant_id=agreement.merchant_id,
            livemode=agreement.livemode,
            customer_id=agreement.customer_id,
            gateway=agreement.gateway,
            account_id=agreement.account_id,
            kind="wallet",
            brand="GCASH",
            payment_method="GCASH",
            sealed_access_token=vault.seal("access_token", token),
            token_hash=vault.fingerprint(token),
            issued_at=locked.now,
        )
        locked.session.add(credential)
        agreement.credential_id = credential.id
        locked.event("agreement.activated")


def assert_problem(answer: httpx.Response, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    """The answer is a problem document that names what is at fault."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert problem["status"] == status
    assert problem["type"] == f"https://pay.example/problems/{code}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["next"]
    if pointer is not None:
        assert pointer in [found["pointer"] for found in problem["errors"]], problem
    return problem


async def assert_ready(http: httpx.AsyncClient, **told: str) -> None:
    """`/readyz` says so of PostgreSQL and Temporal; what took longer than its few seconds is asked again."""
    async with asyncio.timeout(60):
        while (await http.get("/readyz")).json() != told:
            await asyncio.sleep(0.1)
