"""An engine on a database and a namespace of its own, beside the shared house: it lives, ends, and lives again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import asyncpg
from google.protobuf.duration_pb2 import Duration
from sqlalchemy.engine import URL, make_url
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from agreements.catalog import GATEWAYS
from api.app import create_app
from cli.embedded.unprivileged import binaries
from gateways import http
from gateways.connectors import connectors
from store.database import Database
from tests.sandbox.support import serving
from tests.support.house import PATIENCE, House
from worker import Parts, workers
from workflows import client as workflows
from workflows.namespace import prepare


async def register(house: House, *namespaces: str) -> None:
    """Makes namespaces, with search attributes, and waits until the server knows them everywhere."""
    for name in namespaces:
        await register_bare(house, name)
    async with asyncio.timeout(60):
        for name in namespaces:
            await _known(await workflows.connect(house.settings.model_copy(update={"temporal_namespace": name})))


async def register_bare(house: House, namespace: str) -> None:
    """Makes a namespace and nothing in it."""
    kept = Duration()
    kept.FromTimedelta(timedelta(days=1))
    request = RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=kept)
    await house.temporal.workflow_service.register_namespace(request)


async def _known(temporal: Client) -> None:
    while True:
        try:
            await prepare(temporal)
            await temporal.count_workflows("WorkflowType = 'AgreementWorkflow' and PastDue = true")
        except RPCError:
            await asyncio.sleep(0.2)
        else:
            return


@asynccontextmanager
async def life(house: House, database_url: str, namespace: str, port: int) -> AsyncIterator[House]:
    """API and worker for as long as the block lasts, with the house's keys and sandboxes."""
    given = {"database_url": database_url, "temporal_namespace": namespace, "public_url": f"http://127.0.0.1:{port}"}
    settings = house.settings.model_copy(update=given)
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url, settings.database_pool)
        stack.push_async_callback(database.close)
        temporal = await workflows.connect(settings)
        client = await stack.enter_async_context(http.client())
        pools = await stack.enter_async_context(http.pools(GATEWAYS, settings.charge_concurrency))
        parts = Parts(settings, temporal, database, house.vault, client, connectors(pools))
        stack.push_async_callback(parts.webhooks.close)
        app = create_app(settings, database, house.vault, temporal, PATIENCE)
        await stack.enter_async_context(serving(app, port))
        for worker in workers(parts):
            await stack.enter_async_context(worker)
        yield replace(house, settings=settings, temporal=temporal, database=database, parts=parts)


async def backup(database_url: str, path: str) -> None:
    """As docs/deploy.md has it."""
    await _postgres("pg_dump", "--format=custom", f"--file={path}", _plain(database_url))


async def restore(database_url: str, path: str) -> None:
    """Into a database that was dropped, with whatever it held."""
    url = make_url(database_url)
    connection = await asyncpg.connect(_plain(url.set(database="postgres")), ssl=False)
    await connection.execute(f'drop database if exists "{url.database}" with (force)')
    await connection.execute(f'create database "{url.database}"')
    await connection.close()
    await _postgres("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={_plain(url)}", path)


def _plain(url: str | URL) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


async def _postgres(program: str, *options: str) -> None:
    ran = await asyncio.create_subprocess_exec(
        str(binaries(None) / program), *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await ran.communicate()
    assert ran.returncode == 0, output.decode()
