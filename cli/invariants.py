"""`autodebit audit`: what the background audit found, or a full one now."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from store.tables import AuditFinding


def audit(
    full: Annotated[bool, typer.Option("--full", help="Look at every agreement now: minutes per million.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List what breaks an invariant of the ledger and is still there; code 1 if anything does."""
    found = asyncio.run(_found(full))
    if as_json:
        shown = ("invariant", "subject", "agreement_id", "detail", "found_at")
        typer.echo(json.dumps([row.model_dump(mode="json", include=set(shown)) for row in found]))
    elif found:
        _print(found)
    else:
        typer.echo("No invariant is violated.")
    raise typer.Exit(1 if found else 0)


async def _found(full: bool) -> Sequence[AuditFinding]:
    from activities import audit as auditing
    from settings import Settings
    from store import audit_log
    from store.database import Database

    database = Database(Settings().database_url, pool_size=1)
    try:
        await (auditing.everything(database) if full else auditing.of_all(database))
        async with database.transaction() as session:
            return await audit_log.unresolved(session)
    finally:
        await database.close()


def _print(found: Sequence[AuditFinding]) -> None:
    from cli import tables

    rows = [
        (f"{row.found_at:%Y-%m-%d %H:%M:%S}", row.invariant.value, row.subject, row.agreement_id or "", row.detail)
        for row in found
    ]
    tables.plain(("since (UTC)", "invariant", "row", "agreement", "what is wrong"), rows)
