"""Serving the API: settings, connections, logs, uvicorn."""

from __future__ import annotations

import uvicorn
import uvloop
from temporalio.client import Client
from temporalio.service import RetryConfig

import logs
from agreements import rulebook
from api.app import create_app
from api.server import Server
from settings import Settings
from store.database import Database
from store.vault import Vault
from telemetry import temporal as telemetry
from telemetry import tracing
from telemetry.exposition import Exposition
from workflows import client

# A caller is told after two seconds that Temporal is away, not after the client's usual ten.
_SOON = RetryConfig(max_elapsed_time_millis=2000)


def serve(host: str, port: int) -> None:
    """Serves until SIGTERM or Ctrl-C. Starts also while PostgreSQL or Temporal is away; `/readyz` tells.

    Raises RulebookError when the rulebook cannot be used.
    """
    settings = Settings()
    rulebook.use(settings.rulebook)
    uvloop.run(_serve(settings, host, port))


async def connect(settings: Settings) -> Client:
    """Temporal's client, which connects at its first call: the API starts also while Temporal is away."""
    return await client.connect(settings, retry_config=_SOON, lazy=True, **telemetry.options(settings))


async def _serve(settings: Settings, host: str, port: int) -> None:
    logs.set_up(settings.environment)
    database = Database(settings.database_url, settings.database_pool)
    temporal = await connect(settings)
    app = create_app(settings, database, Vault(settings.vault_keys, settings.vault_hash_key), temporal)
    config = uvicorn.Config(
        app, host, port, access_log=False, log_config=None, server_header=False, proxy_headers=False
    )
    try:
        with tracing.exporting(settings, "api"), Exposition(database).listening(settings.metrics_address):
            await Server(config).serve()
    finally:
        await database.close()
