"""`autodebit migrate`: what a deployment runs before the new processes start."""

from __future__ import annotations

from settings import Settings
from store.migrate import migrate as migrate_database
from workflows.client import connect
from workflows.namespace import prepare


async def migrate() -> None:
    """Temporal, then the database; both may run at every deployment, and several times at once.

    In this order because a process that ends right after a Temporal call can be aborted by the client's own thread,
    which is still handing back the interpreter's lock (seen with temporalio 1.35).
    """
    settings = Settings()
    await prepare(await connect(settings))
    await migrate_database(settings.database_url)
