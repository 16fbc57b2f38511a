"""`autodebit migrate`: what a deployment runs before the new processes start."""

from __future__ import annotations

from settings import Settings
from store.migrate import migrate as migrate_database
from workflows.client import connect
from workflows.namespace import prepare


async def migrate() -> None:
    """Database first, then Temporal; both may run at every deployment, and several times at once."""
    settings = Settings()
    await migrate_database(settings.database_url)
    await prepare(await connect(settings.temporal_address, settings.temporal_namespace))
