"""`autodebit audit-trail`: who changed what, from where, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.database import in_transaction

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from store.tables import TrailEntry


def audit_trail(
    agreement: Annotated[str | None, typer.Option(help="Only what concerns this agreement (agr_…).")] = None,
    merchant: Annotated[str | None, typer.Option(help="Only what concerns this merchant (mer_…).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The last so many entries.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show who changed what, oldest first: calls of the API, commands, and customers on our pages."""
    from store import trail

    async def work(session: AsyncSession) -> Sequence[TrailEntry]:
        return await trail.read(session, agreement_id=agreement, merchant_id=merchant, limit=limit)

    found = in_transaction(work)
    if as_json:
        typer.echo(json.dumps([entry.model_dump(mode="json") for entry in found]))
    else:
        _print(found)


def _print(found: Sequence[TrailEntry]) -> None:
    from cli import tables

    rows = []
    for entry in found:
        who = entry.actor if entry.who is None else f"{entry.actor} {entry.who}"
        told = (entry.ip, entry.call, entry.object_id, entry.reason)
        rows.append((f"{entry.at:%Y-%m-%d %H:%M:%S}", who, *(each or "" for each in told)))
    tables.plain(("when (UTC)", "who", "from", "did", "to", "why"), rows)
