"""`autodebit charges`: what an operator does about a charge."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession
    from temporalio.client import Client

    from store.card_changes import Links
    from store.database import Database
    from store.tables import Attempt

_NO_TIME = timedelta(0)

app = typer.Typer(help="What is owed, and charges that wait for a person.", no_args_is_help=True)


class Outcome(StrEnum):
    """What an operator found out at the provider."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@app.command()
def resolve(
    attempt: Annotated[str, typer.Argument(help="The attempt's gateway_request_id, as GET /v1/charges/{id} shows it.")],
    outcome: Annotated[Outcome, typer.Argument(help="What the provider says became of it.")],
    note: Annotated[str, typer.Option(help="Where you found out: a ticket, a statement. Kept as evidence.")],
) -> None:
    """Say what became of an attempt whose result stayed unknown; the rest follows as if the provider had said so."""
    try:
        status = asyncio.run(_resolve(attempt, outcome, note))
    except LookupError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"the charge is {status} now")


async def _resolve(request_id: str, outcome: Outcome, note: str) -> str:
    from settings import Settings
    from store.card_changes import Links
    from store.database import Database
    from store.vault import Vault
    from workflows import client as workflows

    settings = Settings()
    temporal = await workflows.connect(settings)
    database = Database(settings.database_url, pool_size=1)
    try:
        links = Links(Vault(settings.vault_keys, settings.vault_hash_key), settings.public_url)
        return await settle(database, temporal, request_id, outcome, note, links)
    finally:
        await database.close()


async def settle(
    database: Database, temporal: Client, request_id: str, outcome: Outcome, note: str, links: Links
) -> str:
    """The charge's status once the attempt has the outcome a person found. Raises LookupError if none is open."""
    from activities import outcomes
    from agreements.attempts import ChargeAnswer, Verdict
    from agreements.guarantees import Traits
    from cli.database import operator
    from store import trail
    from store.changes import change
    from store.tables import Charge
    from workflows import client as workflows

    actor = operator("charges resolve", f"{outcome}: {note}")
    verdict = Verdict.SUCCEEDED if outcome is Outcome.SUCCEEDED else Verdict.DECLINED
    async with database.transaction() as session:
        agreement_id = (await _attempt(session, request_id)).agreement_id
    async with change(database, agreement_id) as locked:
        attempt = await _attempt(locked.session, request_id)
        if not attempt.status.open:
            raise LookupError(f"{request_id} is {attempt.status} already: nothing to resolve")
        answer = ChargeAnswer(verdict, evidence=f"operator: {note}")
        await outcomes.record(locked, attempt, answer, Traits(None, _NO_TIME, None, _NO_TIME), links)
        charge = await locked.session.get_one(Charge, attempt.charge_id)
        trail.note(
            locked.session,
            actor,
            merchant_id=charge.merchant_id,
            livemode=charge.livemode,
            object_id=charge.id,
            agreement_id=agreement_id,
        )
    await workflows.look(temporal, locked.standing)
    return charge.status.value


async def _attempt(session: AsyncSession, request_id: str) -> Attempt:
    from sqlmodel import select

    from store.tables import Attempt

    found = (await session.exec(select(Attempt).where(Attempt.gateway_request_id == request_id))).first()
    if found is None:
        raise LookupError(f"there is no attempt {request_id}")
    return found
