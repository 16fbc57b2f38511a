"""`autodebit stop`, `go` and `stops`: the switches that halt every debit of a provider or of a merchant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.database import operator
from cli.gateway_names import Gateway

if TYPE_CHECKING:
    from store.database import Database
    from store.tables.stops import Scope, StopSwitch

Reason = Annotated[str, typer.Option(help="Why; merchants read it in the timelines of their agreements.")]
By = Annotated[str | None, typer.Option("--by", help="Who stops; by default the user's name on this machine.")]
Live = Annotated[
    bool | None, typer.Option("--live/--test", help="Of this mode only; by default of both.", show_default=False)
]
Merchant = Annotated[str, typer.Argument(help="The merchant's id (mer_…).")]

stop = typer.Typer(help="Make no debit of a provider or a merchant, from this moment on.", no_args_is_help=True)
go = typer.Typer(help="Let debits go on that were stopped.", no_args_is_help=True)


@stop.command("gateway")
def stop_gateway(name: Gateway, reason: Reason, by: By = None, live: Live = None) -> None:
    """Make no debit through a provider, whoever's it is."""
    from store.tables.stops import Scope

    _stop(Scope.GATEWAY, name, reason, by, live)


@stop.command("merchant")
def stop_merchant(merchant: Merchant, reason: Reason, by: By = None, live: Live = None) -> None:
    """Make no debit for a merchant, through whichever provider."""
    from store.tables.stops import Scope

    _stop(Scope.MERCHANT, merchant, reason, by, live)


@go.command("gateway")
def go_gateway(
    name: Gateway,
    reason: Annotated[str | None, typer.Option(help="Why, for the audit trail.")] = None,
    by: By = None,
    live: Live = None,
) -> None:
    """Let a provider's debits go on."""
    from store.tables.stops import Scope

    _go(Scope.GATEWAY, name, reason, by, live)


@go.command("merchant")
def go_merchant(
    merchant: Merchant,
    reason: Annotated[str | None, typer.Option(help="Why, for the audit trail.")] = None,
    by: By = None,
    live: Live = None,
) -> None:
    """Let a merchant's debits go on."""
    from store.tables.stops import Scope

    _go(Scope.MERCHANT, merchant, reason, by, live)


def stops(
    every: Annotated[bool, typer.Option("--all", help="Those of the past, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List what is stopped, by whom and why."""
    from store import stops as switches

    async def work(database: Database) -> Sequence[StopSwitch]:
        async with database.transaction() as session:
            return await switches.listed(session, every=every)

    found = _with_database(work)
    if as_json:
        typer.echo(json.dumps([switch.model_dump(mode="json", exclude={"told_to"}) for switch in found]))
    elif not found:
        typer.echo("Nothing is stopped.")
    else:
        _print(found)


def _stop(scope: Scope, name: str, reason: str, by: str | None, live: bool | None) -> None:
    from store import stops as switches
    from store import trail

    if not reason.strip():
        raise typer.BadParameter("merchants are told it: say why", param_hint="--reason")
    actor, now = operator(f"stop {scope.value}", reason, by), datetime.now(UTC)

    async def work(database: Database) -> tuple[list[tuple[StopSwitch, bool]], bool]:
        made = []
        async with database.transaction() as session:
            for livemode in _modes(live):
                switch, ours = await switches.stop(
                    session, scope, name, livemode=livemode, reason=reason, by=actor.who or "an operator", at=now
                )
                made.append((switch, ours))
                if ours:
                    merchant_id = name if scope is scope.MERCHANT else None
                    trail.note(session, actor, merchant_id=merchant_id, livemode=livemode, object_id=name)
        return made, await switches.drained(database)

    made, drained = _with_database(work)
    for switch, ours in made:
        already = "" if ours else f" since {switch.at:%Y-%m-%d %H:%M} UTC, by {switch.by}: {switch.reason}"
        typer.echo(f"{name} ({_mode(switch.livemode)}): debits are stopped{already}")
    if not drained:
        typer.echo("A transaction that began before the stop is still open: it may send one more debit.", err=True)
    _hurry()


def _go(scope: Scope, name: str, reason: str | None, by: str | None, live: bool | None) -> None:
    from store import stops as switches
    from store import trail

    actor, now = operator(f"go {scope.value}", reason, by), datetime.now(UTC)

    async def work(database: Database) -> list[StopSwitch]:
        lifted = []
        async with database.transaction() as session:
            for livemode in _modes(live):
                switch = await switches.go(session, scope, name, livemode=livemode, at=now)
                if switch is not None:
                    lifted.append(switch)
                    merchant_id = name if scope is scope.MERCHANT else None
                    trail.note(session, actor, merchant_id=merchant_id, livemode=livemode, object_id=name)
        return lifted

    lifted = _with_database(work)
    if not lifted:
        typer.echo(f"{name} is not stopped: see `autodebit stops`", err=True)
        raise typer.Exit(1)
    for switch in lifted:
        typer.echo(f"{name} ({_mode(switch.livemode)}): debits go on, one agreement after the other")
    _hurry()


def _with_database(work: Callable[[Database], Coroutine[Any, Any, Any]]) -> Any:
    """What the work returns; a LookupError is told in one line."""
    from settings import Settings
    from store.database import Database

    async def inside() -> Any:
        database = Database(Settings().database_url, pool_size=1)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(inside())
    except LookupError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _hurry() -> None:
    """Has running agreements told at once. The switch is turned whether or not Temporal can be reached: a sweep tells
    them within half a minute.
    """
    from settings import Settings
    from workflows import client

    async def inside() -> None:
        await client.sweep_now(await client.connect(Settings()))

    try:
        asyncio.run(inside())
    except Exception as error:  # of whatever kind: what was said above stands
        typer.echo(f"Running agreements are told by the next sweep ({type(error).__name__}: no Temporal).", err=True)


def _modes(live: bool | None) -> tuple[bool, ...]:
    return (True, False) if live is None else (live,)


def _mode(livemode: bool) -> str:
    return "live" if livemode else "test"


def _print(found: Sequence[StopSwitch]) -> None:
    from cli import tables

    rows = []
    for row in found:
        until = f"{row.lifted_at:%Y-%m-%d %H:%M}" if row.lifted_at else "now"
        until += "" if row.told or row.lifted_at is None else ", agreements are being told"
        rows.append((row.name, _mode(row.livemode), f"{row.at:%Y-%m-%d %H:%M}", row.by, row.reason, until))
    tables.plain(("what", "mode", "since (UTC)", "by", "why", "until (UTC)"), rows)
