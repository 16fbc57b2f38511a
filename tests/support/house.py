"""The whole engine in one process, with real parts: PostgreSQL, Temporal, the sandbox and the API over HTTP, a worker.

Tests reach it as a merchant does, through the HTTP API and the wallet's page; audits read the sandbox's ledger.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from temporalio.client import Client

from api.app import create_app
from cli.demo.year import AGREEMENT
from cli.embedded.engines import Engines
from gateways import http
from gateways.antom import connector as antom
from sandbox.antom.app import create_app as antom_sandbox
from settings import Settings
from store import merchants
from store.database import Database
from store.merchants import Principal
from store.migrate import migrate
from store.vault import Vault
from tests.gateways.antom_fixtures import private_text, public_text
from tests.sandbox.support import FAST, free_port, serving
from tests.support.folders import data_folder
from worker import Parts, workers
from workflows import client as workflows

_ADVANCED_WITHIN = 60.0
_names = itertools.count(1)


@dataclass
class House:
    """What stands; `shop` adds a merchant with an account at the sandbox."""

    settings: Settings
    temporal: Client
    database: Database
    vault: Vault
    sandbox_url: str
    outside: httpx.AsyncClient

    async def shop(self) -> Shop:
        """A merchant in test mode whose sandbox client is its own."""
        client_id = f"SANDBOX_5Y{next(_names):014d}"
        key = generate_private_key(public_exponent=65537, key_size=2048)
        async with self.database.transaction() as session:
            merchant = await merchants.create(session, "Example Store")
            principal = Principal(merchant.id, livemode=False)
            secret_key = await merchants.issue_key(session, merchant.id, livemode=False)
        registration = {"client_id": client_id, "public_key": public_text(key), "notify_url": None}
        answer = await self.outside.post(f"{self.sandbox_url}/_sandbox/clients", json=registration)
        keys = {"client_id": client_id, "private_key": private_text(key), "public_key": answer.json()["public_key"]}
        async with self.database.transaction() as session:
            account = await merchants.connect_account(
                session,
                self.vault,
                principal,
                gateway="antom",
                base_url=self.sandbox_url,
                keys=keys,
                sandbox=True,
            )
        return Shop(self, merchant.id, secret_key, account, client_id)


@dataclass
class Shop:
    """A merchant's backend."""

    house: House
    merchant_id: str
    secret_key: str
    account: str
    client_id: str
    _calls: Any = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, path: str, json: Any = None, expect: int | None = None) -> dict[str, Any]:
        """One API call; fails the test on an unexpected status."""
        headers = {"Authorization": f"Bearer {self.secret_key}", "Idempotency-Key": f"k{next(self._calls)}"}
        answer = await self.house.outside.request(
            method, self.house.settings.public_url + path, json=json, headers=headers
        )
        assert answer.is_success if expect is None else answer.status_code == expect, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def clock(self, now: str) -> str:
        """A test clock standing at `now`."""
        return str((await self.call("POST", "/v1/test-clocks", {"now": now}))["id"])

    async def advance(self, clock: str, to: str) -> None:
        """Advances and waits until the clock is ready."""
        await self.call("POST", f"/v1/test-clocks/{clock}/advance", {"to": to}, expect=202)
        await self.ready(clock)

    async def ready(self, clock: str) -> dict[str, Any]:
        """The clock once it stands still."""
        async with asyncio.timeout(_ADVANCED_WITHIN):
            while (read := await self.call("GET", f"/v1/test-clocks/{clock}"))["status"] != "ready":
                await asyncio.sleep(0.05)
        return read

    async def agree(self, clock: str | None, script: str = "success", **changes: Any) -> str:
        """An agreement the customer has approved; active when this returns."""
        made = await self.call("POST", "/v1/agreements", agreement_body(clock, **changes), expect=201)
        await self.decide(made["authorization"]["url"], decision="approve", script=script)
        return await self.until_status(str(made["id"]), "active")

    async def decide(self, url: str, **form: str) -> httpx.Response:
        """What the customer does on the wallet's page, and the browser's way back."""
        answer = await self.house.outside.post(url, data=form)
        assert answer.status_code == 303, answer.text
        if urlsplit(answer.headers["location"]).path.startswith("/returns/"):
            answer = await self.house.outside.get(answer.headers["location"])
        return answer

    async def until_status(self, agreement: str, status: str) -> str:
        async with asyncio.timeout(10):
            while (await self.read(agreement))["status"] != status:
                await asyncio.sleep(0.03)
        return agreement

    async def read(self, agreement: str) -> dict[str, Any]:
        return await self.call("GET", f"/v1/agreements/{agreement}")

    async def charges(self, agreement: str) -> list[dict[str, Any]]:
        """Every charge of an agreement, oldest first."""
        found = await self.call("GET", f"/v1/charges?agreement={agreement}&limit=200")
        return list(reversed(found["data"]))

    async def events(self, agreement: str) -> list[dict[str, Any]]:
        found = await self.call("GET", f"/v1/events?agreement={agreement}&limit=200")
        return list(found["data"])

    async def ledger(self, agreement: str) -> list[dict[str, Any]]:
        """Every movement of money the provider saw for an agreement, oldest first."""
        answer = await self.house.outside.get(f"{self.house.sandbox_url}/_sandbox/ledger")
        on_demand = [charge["id"] for charge in await self.charges(agreement) if charge["cycle"] is None]
        return [
            row
            for row in answer.json()["data"]
            if any(name in f"{row['request_id']} {row['merchant_reference']}" for name in (agreement, *on_demand))
        ]


def agreement_body(clock: str | None, **changes: Any) -> dict[str, Any]:
    """The demo's agreement: PHP 499.00 on the 31st, 13 times, in Manila; `terms` are merged."""
    terms = AGREEMENT["terms"] | changes.pop("terms", {})
    return {
        **AGREEMENT,
        "reference": f"sub-{next(_names)}",
        "terms": terms,
        "test_clock": clock,
    } | changes


@asynccontextmanager
async def house(*, working: bool = True) -> AsyncIterator[House]:
    """Everything started, and stopped again; without the worker unless `working`."""
    async with AsyncExitStack() as stack:
        engines = Engines(stack.enter_context(data_folder()), durable=False)
        stack.push_async_callback(engines.stop)
        await engines.start()
        await migrate(engines.database_url)
        port = free_port()
        settings = Settings(
            database_url=engines.database_url,
            temporal_address=engines.temporal_address,
            public_url=f"http://127.0.0.1:{port}",
            vault_keys=Fernet.generate_key().decode(),
            vault_hash_key="hash key of the tests",
            test_clock_provider_timeout=timedelta(milliseconds=700),
            webhook_backoff_scale=0.001,
        )
        client = await stack.enter_async_context(http.client())
        database = Database(settings.database_url, settings.database_pool)
        stack.push_async_callback(database.close)
        vault = Vault(settings.vault_keys, settings.vault_hash_key)
        temporal = await workflows.connect(settings.temporal_address, settings.temporal_namespace)
        sandbox_data = stack.enter_context(data_folder())
        sandbox_url = await stack.enter_async_context(
            serving(antom_sandbox(sandbox_data / "antom.sqlite3", settings=FAST))
        )
        app = create_app(settings, database, vault, temporal)
        await stack.enter_async_context(serving(app, port))
        parts = Parts(settings, temporal, database, vault, client, {"antom": antom.gateway(client)})
        for worker in workers(parts) if working else ():
            await stack.enter_async_context(worker)
        outside = await stack.enter_async_context(httpx.AsyncClient(timeout=20, trust_env=False))
        yield House(settings, temporal, database, vault, sandbox_url, outside)
