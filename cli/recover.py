"""`autodebit recover`: starts every workflow again from PostgreSQL (docs/deploy.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import typer
from temporalio.client import Client

from settings import Settings
from store import recovery, standings
from store.database import Database
from workflows import client as workflows

_BATCH = 500
_AT_ONCE = 50


class NotFresh(Exception):
    """The namespace holds workflows from before the restore, which know more than the database."""


class NotStarted(Exception):
    """Some are left, and why."""


async def recover(stopped_at: datetime | None) -> None:
    """Marks what is unfinished and starts it. `stopped_at` as for `recovery.forget_workflows`. Raises NotFresh."""
    settings = Settings()
    temporal = await workflows.connect(settings)
    database = Database(settings.database_url, pool_size=_AT_ONCE)
    try:
        if stopped_at is not None:
            await refuse_old_workflows(temporal)
        found = await recovery.forget_workflows(database, stopped_at)
        typer.echo(f"to be started: {found.agreements} agreements, {found.refunds} refunds, ", nl=False)
        typer.echo(f"{found.declarations} declarations, {found.deliveries} deliveries")
        await _start_all(settings, database, temporal)
    finally:
        await database.close()


async def refuse_old_workflows(temporal: Client) -> None:
    """Raises NotFresh. The restored rows are older than what such workflows saw, and they would ignore them."""
    found = await temporal.count_workflows("WorkflowType = 'AgreementWorkflow'")
    if found.count:
        raise NotFresh(
            f"namespace {temporal.namespace} holds {found.count} agreement workflows: a restored database needs a"
            " namespace without any; --go-on goes on with a recovery that was interrupted"
        )


async def start_agreements(database: Database, temporal: Client) -> None:
    """Those that are marked, the soonest due first. Refunds and the rest are the sweeper's, as after any crash; so is
    an agreement that cannot be started now, which must not hold up the others. Raises NotStarted when only such are
    left.
    """
    count = 0
    while batch := await recovery.unstarted(database, _BATCH):
        reasons = Counter[str]()
        started = await _start(database, temporal, batch, reasons)
        count += len(started)
        typer.echo(f"{count} agreements started")
        if not started:
            why = "; ".join(f"{reason} ({number})" for reason, number in reasons.most_common(5))
            raise NotStarted(
                f"{len(batch)} or more agreements could not be started, such as {', '.join(batch[:3])}: {why}."
                " Go on with --go-on once that is mended; running workers try again by themselves"
            )


async def _start(database: Database, temporal: Client, batch: Sequence[str], reasons: Counter[str]) -> list[str]:
    """Answers those that were started, and counts why the others were not."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(agreement_id: str) -> bool:
        async with slots:
            try:
                await workflows.start_agreement(temporal, await standings.current(database, agreement_id))
            except Exception as error:
                reasons[f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"] += 1
                return False
            return True

    done = await asyncio.gather(*(one(agreement_id) for agreement_id in batch))
    started = [agreement_id for agreement_id, well in zip(batch, done, strict=True) if well]
    await recovery.mark_started(database, started)
    return started


async def go_on() -> None:
    """Starts what an interrupted recovery has marked already."""
    settings = Settings()
    database = Database(settings.database_url, pool_size=_AT_ONCE)
    try:
        await _start_all(settings, database, await workflows.connect(settings))
    finally:
        await database.close()


async def _start_all(settings: Settings, database: Database, temporal: Client) -> None:
    """The sweeper first: by it a worker sees that the namespace is this database's."""
    await workflows.start_sweeper(temporal, settings.sweep_interval)
    await start_agreements(database, temporal)
