"""`autodebit agreements`: looked at, paused, resumed and ended, through the HTTP API."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agreements.status import AgreementStatus

if TYPE_CHECKING:
    from cli.front_door import FrontDoor

app = typer.Typer(help="Agreements: look at them, pause, resume and end them.", no_args_is_help=True)

Agreement = Annotated[str, typer.Argument(help="The agreement's id (agr_…).", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="What the API answered, for scripts.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]

Json = dict[str, Any]


class Initiator(StrEnum):
    """Who ends an agreement."""

    MERCHANT = "merchant"
    CUSTOMER = "customer"


@app.command("list")
def list_(
    status: Annotated[AgreementStatus | None, typer.Option(help="In this status only.")] = None,
    customer: Annotated[str | None, typer.Option(help="Of this customer, by the merchant's own id.")] = None,
    reference: Annotated[str | None, typer.Option(help="With this reference of the merchant's.")] = None,
    gateway: Annotated[str | None, typer.Option(help="Through this provider.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List agreements, newest first."""
    from cli import front_door, tables

    with front_door.opened() as door:
        wanted = {"status": status, "customer_id": customer, "reference": reference, "gateway": gateway}
        found = door.all("/v1/agreements", limit, **wanted)
        front_door.as_json(found) if as_json else tables.agreements(found)


@app.command()
def show(agreement: Agreement, as_json: AsJson = False) -> None:
    """Tell an agreement in plain words, with everything that happened and why."""
    from cli import front_door

    with front_door.opened() as door:
        found = door.get(front_door.path("agreements", agreement))
        timeline = door.all(front_door.path("agreements", agreement, "timeline"))
        if as_json:
            front_door.as_json(found | {"timeline": timeline})
        else:
            _tell(door, found, timeline)


@app.command()
def pause(agreement: Agreement, as_json: AsJson = False) -> None:
    """Make no debit until the agreement is resumed."""
    _change(agreement, "pause", {}, as_json)


@app.command()
def resume(
    agreement: Agreement,
    collect_missed: Annotated[
        bool, typer.Option("--collect-missed", help="Collect the cycles that fell due meanwhile.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End a pause; what fell due meanwhile is let go unless it is to be collected."""
    _change(agreement, "resume", {"missed_cycles": "collect" if collect_missed else "drop"}, as_json)


@app.command()
def revoke(
    agreement: Agreement,
    reason: Annotated[str | None, typer.Option(help="Why, kept with the agreement.")] = None,
    initiator: Annotated[Initiator, typer.Option(help="Who ends it.")] = Initiator.MERCHANT,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    as_json: AsJson = False,
) -> None:
    """End an agreement for good: no debit can start any more, and the provider is told."""
    if not yes:
        if not sys.stdin.isatty():
            typer.echo("autodebit: revoking cannot be taken back: say --yes where nobody can be asked", err=True)
            raise typer.Exit(2)
        typer.confirm(f"End {agreement} for good?", abort=True)
    body = {"initiator": initiator.value} | ({"reason": reason} if reason else {})
    _change(agreement, "revoke", body, as_json)


def _change(agreement: str, command: str, body: Json, as_json: bool) -> None:
    from cli import front_door, tables

    with front_door.opened() as door:
        found = door.post(front_door.path("agreements", agreement, command), body)
        if as_json:
            front_door.as_json(found)
        else:
            tables.console().print(f"{found['id']} is {tables.status(found['status'])}")


def _tell(door: FrontDoor, found: Json, timeline: list[Json]) -> None:
    from cli import in_words, tables

    console, zone = tables.console(), in_words.zone_of(found)
    mode = "" if found["livemode"] else " [dim](test mode)[/dim]"
    console.print(
        f"[bold]{found['id']}[/bold]  {tables.text(found['reference'])}  {tables.status(found['status'])}{mode}\n"
    )
    for line in in_words.summary(found):
        console.print(tables.text(line), soft_wrap=True)
    charges = door.all("/v1/charges", agreement=found["id"])
    amounts = {each["id"]: in_words.owed(each) for each in charges}
    console.print(f"\n[bold]What happened[/bold] [dim](times in {zone})[/dim]")
    if purged := in_words.purged(timeline):
        console.print(f"[dim]{purged}[/dim]", soft_wrap=True)
    for entry in timeline:
        line = tables.text(in_words.happened(entry, amounts, zone))
        at = in_words.instant(entry["at"], zone)
        console.print(f"[dim]{at}[/dim]  " + (f"[dim]{line}[/dim]" if entry["kind"] == "decision" else line))
