"""`autodebit customers erase`: who a customer is, forgotten at their request (docs/security.md)."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.database import in_transaction, operator

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from store.actors import Actor
    from store.erasure import Erased
    from store.merchants import Principal

app = typer.Typer(help="Customers of merchants.", no_args_is_help=True)


class Mode(StrEnum):
    """Which of a merchant's two worlds."""

    LIVE = "live"
    TEST = "test"


@app.callback()
def customers() -> None:
    """Customers of merchants."""


@app.command()
def erase(
    customer: Annotated[str, typer.Argument(help="The customer's id, which is the merchant's own.")],
    merchant: Annotated[str, typer.Option(help="The merchant's id (mer_…).")],
    mode: Annotated[Mode, typer.Option(help="Live or test.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit trail: the request it answers.")],
    by: Annotated[str | None, typer.Option("--by", help="Who erases; by default the user's name here.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Forget who a customer is, for good: name, e-mail address, phone number, addresses and browsers they were seen
    with, and the merchant's notes. What was agreed, debited and given back stays.

    Refused, with every reason, while one of their agreements has not ended or money is on its way.
    """
    from store.merchants import Principal

    if not reason.strip():
        raise typer.BadParameter("the audit trail keeps it: say why", param_hint="--reason")
    actor = operator("customers erase", reason, by)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("cannot be taken back: say --yes where nobody can be asked", param_hint="erase")
        typer.confirm(f"Forget for good who {customer} of {merchant} ({mode}) is?", abort=True)
    done = _erased(Principal(merchant, livemode=mode is Mode.LIVE), customer, actor)
    if as_json:
        typer.echo(json.dumps({"customer": customer} | asdict(done)))
    else:
        typer.echo(
            f"{customer} is erased from {len(done.agreements)} agreements, {done.events} events,"
            f" {done.answers} kept answers and {done.messages} messages of providers and browsers."
        )


def _erased(owner: Principal, customer: str, actor: Actor) -> Erased:
    """What is gone; where nothing may go the reasons are told, and the command ends."""
    from settings import Settings
    from store import erasure
    from store.vault import Vault

    settings, now = Settings(), datetime.now(UTC)
    vault = Vault(settings.vault_keys, settings.vault_hash_key)

    async def work(session: AsyncSession) -> Erased:
        return await erasure.erase(session, vault, owner, customer, actor, now)

    try:
        return in_transaction(work)
    except erasure.NoSuchCustomer as error:
        typer.echo(f"autodebit: {error}", err=True)
        raise typer.Exit(1) from error
    except erasure.NotYet as error:
        typer.echo(f"autodebit: {customer} cannot be erased yet", err=True)
        for each in error.reasons:
            typer.echo(f"  {each}", err=True)
        raise typer.Exit(1) from error
