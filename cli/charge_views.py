"""`autodebit charges list|show`: what is owed, and what was done to collect it, through the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from agreements.status import ChargeStatus
from cli.agreements import AsJson, Limit


def list_(
    agreement: Annotated[str | None, typer.Option(help="Of this agreement only (agr_…).")] = None,
    status: Annotated[ChargeStatus | None, typer.Option(help="In this status only.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List charges, newest first."""
    from cli import front_door, tables

    with front_door.opened() as door:
        found = door.all("/v1/charges", limit, agreement=agreement, status=status)
        front_door.as_json(found) if as_json else tables.charges(found)


def show(
    charge: Annotated[str, typer.Argument(help="The charge's id (chg_…).", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show a charge with its attempts, decisions and refunds."""
    from cli import front_door, in_words, tables

    with front_door.opened() as door:
        found = door.get(front_door.path("charges", charge))
    if as_json:
        front_door.as_json(found)
        return
    console = tables.console()
    due = in_words.instant(found["due_at"])
    console.print(
        f"[bold]{found['id']}[/bold]  {tables.status(found['status'])}\n\n"
        f"{in_words.amount(found['amount'])} for {tables.purpose(found)} of {found['agreement']}, due {due}.\n"
    )
    tables.attempts(found)
    for decision in found["decisions"]:
        entry = {"kind": "decision", "charge": found["id"], "cycle": found["cycle"], "decision": decision}
        line = tables.text(in_words.happened(entry, {}))
        console.print(f"[dim]{in_words.instant(decision['at'])}  {line}[/dim]", soft_wrap=True)
    if found["refunds"]:
        console.print()
        tables.refunds(found)
