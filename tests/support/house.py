"""The whole engine in one process, with real parts: PostgreSQL, Temporal, the sandboxes and the API over HTTP, a
worker.

Tests reach it as a merchant does, through the HTTP API and the provider's page; audits read the sandbox's ledger.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import httpx
from cryptography.fernet import Fernet
from fastapi import FastAPI
from temporalio.client import Client, Interceptor

from agreements.catalog import GATEWAYS
from api.app import create_app
from api.services import Patience
from cli.embedded.engines import Engines
from cli.sandbox_accounts import fresh_keys, private_key, register
from gateways import http
from gateways.connectors import connectors
from sandbox.antom.app import create_app as antom_sandbox
from sandbox.ottu.app import create_app as ottu_sandbox
from sandbox.pivot.app import create_app as pivot_sandbox
from settings import Settings
from store import merchants
from store.database import Database
from store.merchants import Principal
from store.migrate import migrate
from store.vault import Vault
from tests.sandbox import ottu_support, pivot_support
from tests.sandbox.support import FAST, free_port, serving
from tests.support.folders import data_folder
from tests.support.one_connection import OneEach
from tests.support.shops import Shop as Shop
from tests.support.shops import agreement_body as agreement_body
from tests.support.tap import Tap
from worker import Parts, workers
from workflows import client as workflows

_NAME = "Example Store"
_names = itertools.count(1)


_PROVIDER_TIMEOUT = timedelta(seconds=4)
"""Everything runs in one process beside other tests: less may pass before a provider that answers has been heard."""
_NEWS_WITHIN = 30.0
"""Seconds the providers' pages wait for the engine to take their news before they send the customer on."""


def _sandbox(gateway: str, data: Path) -> FastAPI:
    """A quick one, which says nothing for a little longer than the engine waits."""
    silence = _PROVIDER_TIMEOUT.total_seconds() + 0.5
    antom = replace(FAST, hold=silence, acknowledge_within=_NEWS_WITHIN)
    ottu = replace(ottu_support.FAST, answer_within=_NEWS_WITHIN)
    pivot = replace(pivot_support.FAST, acknowledge_within=_NEWS_WITHIN)
    makers: dict[str, Callable[[], FastAPI]] = {
        "antom": lambda: antom_sandbox(data, settings=antom),
        "ottu": lambda: ottu_sandbox(data, settings=ottu),
        "pivot": lambda: pivot_sandbox(data, settings=pivot),
    }
    return makers[gateway]()


_private_key = cache(private_key)
"""One for all merchants: to make and to read it takes as long as a small life of an agreement."""


@dataclass
class Sandboxes:
    """One sandbox per gateway, each started when it is first asked for."""

    stack: AsyncExitStack
    data: Path
    _urls: dict[str, str] = field(default_factory=dict)

    async def url(self, gateway: str) -> str:
        if gateway not in self._urls:
            app = _sandbox(gateway, self.data / f"{gateway}.sqlite3")
            self._urls[gateway] = await self.stack.enter_async_context(serving(app))
        return self._urls[gateway]


@dataclass
class House:
    """What stands; `shop` adds a merchant with an account at a sandbox. `sandbox_url` is Antom's."""

    settings: Settings
    temporal: Client
    database: Database
    vault: Vault
    sandbox_url: str
    outside: httpx.AsyncClient
    sandboxes: Sandboxes
    tap: Tap
    parts: Parts

    async def shop(self, gateway: str = "antom") -> Shop:
        """A merchant in test mode with an account of its own at a gateway's sandbox.

        Antom is told with every request where to send its messages, the others need to know an address beforehand.
        """
        url, name = await self.sandboxes.url(gateway), f"{next(_names):014d}"
        async with self.database.transaction() as session:
            merchant = await merchants.create(session, _NAME)
            secret_key = await merchants.issue_key(session, merchant.id, livemode=False)
        principal, keys = Principal(merchant.id, livemode=False), fresh_keys(gateway, name, _private_key)
        account = await self._connect(principal, gateway, url, keys)
        notify_url = None if gateway == "antom" else self.settings.notification_url(gateway, account)
        known = await register(self.outside, gateway, url, keys, name, _NAME, notify_url)
        await self._connect(principal, gateway, url, known)
        return Shop(self, merchant.id, secret_key, account, keys.get("client_id", name), gateway, url, known)

    async def _connect(self, principal: Principal, gateway: str, url: str, keys: dict[str, str]) -> str:
        async with self.database.transaction() as session:
            return await merchants.connect_account(
                session, self.vault, principal, gateway=gateway, base_url=url, keys=keys, sandbox=True
            )


PATIENCE = Patience(authorization=timedelta(seconds=12))
"""A busy machine may not answer a create within the five seconds that merchants wait."""


@asynccontextmanager
async def house(*, working: bool = True, interceptors: Sequence[Interceptor] = ()) -> AsyncIterator[House]:
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
            test_clock_provider_timeout=_PROVIDER_TIMEOUT,
            webhook_backoff_scale=0.001,
            rate_limit_test=0,
            failed_authentication_limit=0,
            # tests/workflows run every workflow in the sandbox, which costs each life its share here.
            workflow_sandbox=False,
        )
        client = await stack.enter_async_context(http.client())
        pools = await stack.enter_async_context(http.pools(GATEWAYS, settings.charge_concurrency))
        database = Database(settings.database_url, settings.database_pool)
        stack.push_async_callback(database.close)
        engines_own = OneEach(settings.database_url, settings.database_pool)
        stack.push_async_callback(engines_own.close)
        vault = Vault(settings.vault_keys, settings.vault_hash_key)
        temporal = await workflows.connect(settings, interceptors=interceptors)
        folder = stack.enter_context(data_folder())
        sandboxes = Sandboxes(await stack.enter_async_context(AsyncExitStack()), folder)
        tap = Tap()
        app = create_app(settings, engines_own, vault, temporal, PATIENCE)
        app.add_middleware(tap.into)
        await stack.enter_async_context(serving(app, port))
        parts = Parts(settings, temporal, engines_own, vault, client, connectors(pools))
        stack.push_async_callback(parts.webhooks.close)
        for worker in workers(parts) if working else ():
            await stack.enter_async_context(worker)
        outside = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False))
        sandbox_url = await sandboxes.url("antom")
        yield House(settings, temporal, database, vault, sandbox_url, outside, sandboxes, tap, parts)
