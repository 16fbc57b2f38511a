"""The command line. Commands import what they need when they run: `--help` stays quick and needs no settings."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from pydantic import ValidationError

from cli import (
    agreements,
    audit_trail,
    bench,
    charge_views,
    charges,
    codec,
    customers,
    deployments,
    events,
    invariants,
    merchants,
    notifications,
    rates,
    reconcile,
    replay,
    rulebook,
    stops,
    vault,
)
from settings import Settings

app = typer.Typer(name="autodebit", no_args_is_help=True)
app.add_typer(bench.app, name="bench")
app.add_typer(merchants.app, name="merchants")
app.add_typer(agreements.app, name="agreements")
app.add_typer(customers.app, name="customers")
charges.app.command("list")(charge_views.list_)
charges.app.command("show")(charge_views.show)
app.add_typer(charges.app, name="charges")
app.add_typer(events.app, name="events")
rulebook.app.command()(replay.replay)
app.add_typer(rulebook.app, name="rulebook")
app.add_typer(notifications.app, name="notifications")
app.add_typer(reconcile.app, name="reconcile")
app.command("audit-trail")(audit_trail.audit_trail)
app.command("audit")(invariants.audit)
app.add_typer(vault.app, name="vault")
app.add_typer(codec.app, name="codec")
app.add_typer(deployments.app, name="deployments")
app.add_typer(stops.stop, name="stop")
app.add_typer(stops.go, name="go")
app.command("stops")(stops.stops)
app.add_typer(rates.app, name="rates")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"autodebit {version('autodebit')}")
        raise typer.Exit


@app.callback()
def autodebit(
    _: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")] = False,
) -> None:
    """Recurring payments: one durable workflow per agreement."""


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the API; 0 picks free ports for everything.")] = 8000,
    data: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path(".autodebit"),
    ready_file: Annotated[Path | None, typer.Option(help="Written as JSON when all is ready.")] = None,
) -> None:
    """Run everything on this machine: PostgreSQL, Temporal, worker, API and the sandbox."""
    from cli.dev import dev as run

    raise typer.Exit(asyncio.run(run(port, data, ready_file)))


@app.command()
def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end, with the Temporal UI.")
    ] = False,
) -> None:
    """Collect a year of three subscriptions on this machine, through the public API, and audit it."""
    from cli.demo.run import demo as run

    raise typer.Exit(asyncio.run(run(keep)))


@app.command()
def migrate() -> None:
    """Bring the database to the current schema, and register our search attributes at Temporal."""
    from cli.migrate import migrate as run

    asyncio.run(run())


@app.command()
def recover(
    stopped_at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%SZ"],
            help="When the engine stopped that the restored backup is of, in UTC: what fell due by then is asked for"
            " before it is debited. By default now.",
        ),
    ] = None,
    only_temporal: Annotated[
        bool,
        typer.Option("--only-temporal", help="Temporal was lost, PostgreSQL was not: nothing has to be asked for."),
    ] = False,
    go_on: Annotated[bool, typer.Option("--go-on", help="Go on where an earlier call was interrupted.")] = False,
) -> None:
    """Start every workflow again from PostgreSQL, after a restore or a loss of Temporal; before any worker runs."""
    from cli import recover as recovery

    try:
        if go_on:
            asyncio.run(recovery.go_on())
        else:
            stopped = stopped_at.replace(tzinfo=UTC) if stopped_at else datetime.now(UTC)
            asyncio.run(recovery.recover(None if only_temporal else stopped))
    except (recovery.NotFresh, recovery.NotStarted) as error:
        typer.echo(f"autodebit: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def secrets(
    file: Annotated[Path, typer.Argument(help="Where Docker Compose reads them.")] = Path(".env"),
) -> None:
    """Draw the secrets a deployment needs that are not in the file yet; what is there is never changed."""
    from cli.secrets import TooOpen, write_secrets

    try:
        made = write_secrets(file)
    except TooOpen as error:
        typer.echo(f"autodebit: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{file}: {', '.join(made)} drawn" if made else f"{file}: everything is there")


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve the HTTP API."""
    from api.main import serve

    serve(host, port)


@app.command()
def worker(
    only: Annotated[
        Literal["webhooks", "debits"] | None,
        typer.Option(help="Only webhooks, or everything but these; another process does the rest."),
    ] = None,
) -> None:
    """Run workflows and activities."""
    import uvloop

    from worker import main

    uvloop.run(main(only))


@app.command()
def sandbox(
    data: Annotated[Path, typer.Option(help="Where the sandbox keeps its state.")],
    antom_port: Annotated[int | None, typer.Option(help="Port of the Antom sandbox; without it there is none.")] = None,
    ottu_port: Annotated[int | None, typer.Option(help="Port of the Ottu sandbox; without it there is none.")] = None,
    pivot_port: Annotated[int | None, typer.Option(help="Port of the Pivot sandbox; without it there is none.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Stand in for the payment providers, speaking their real protocols."""
    import logs
    from sandbox.main import serve

    logs.set_up(os.environ.get("AUTODEBIT_ENVIRONMENT", "production"))
    wanted = {"antom": antom_port, "ottu": ottu_port, "pivot": pivot_port}
    ports = {name: port for name, port in wanted.items() if port is not None}
    if not ports:
        raise typer.BadParameter("give at least one sandbox a port")
    asyncio.run(serve(data, ports, host))


@app.command("sandbox-merchant")
def sandbox_merchant(
    data: Annotated[Path, typer.Option(help="Where its key is kept, so that a second call finds the same merchant.")],
    antom: Annotated[str | None, typer.Option(help="Address of the Antom sandbox.")] = None,
    ottu: Annotated[str | None, typer.Option(help="Address of the Ottu sandbox.")] = None,
    pivot: Annotated[str | None, typer.Option(help="Address of the Pivot sandbox.")] = None,
) -> None:
    """Make a merchant in test mode with accounts at running sandboxes, and print its key."""
    from cli.demo_merchant import ensure

    given = {"antom": antom, "ottu": ottu, "pivot": pivot}
    sandboxes = {gateway: url for gateway, url in given.items() if url}
    made = asyncio.run(ensure(data, sandboxes, dict(os.environ)))
    typer.echo(f"merchant: {made.merchant}")
    typer.echo(f"key:      {made.secret_key}")
    for gateway, account in made.accounts.items():
        typer.echo(f"{gateway + ':':<9} {account}")


_NOT_REACHABLE = 3
"""As docs/cli.md tells; 1 is what `audit` and `reconcile` say of the ledger."""
_AWAY = {"PostgreSQL": "PostgreSQL cannot be reached", "Temporal": "Temporal does not answer"}


def main() -> None:
    """The entry point."""
    try:
        _in_one_line()
    except SystemExit as ended:
        leave(ended)


def _in_one_line() -> None:
    """Runs the command: what is missing, wrong or away is named in one line, be it a setting, a rule or a server."""
    from agreements.rulebook import RulebookError

    try:
        app()
    except RulebookError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except ValidationError as error:
        if not error.title.endswith(Settings.__name__):
            raise
        for problem in error.errors():
            typer.echo(f"AUTODEBIT_{str(problem['loc'][0]).upper()}: {problem['msg']} (docs/settings.md)", err=True)
        sys.exit(2)
    except Exception as error:
        if (away := _away(error)) is None:
            raise
        said = next(iter(str(error).splitlines()), type(error).__name__)  # a time-out says nothing of itself
        typer.echo(f"autodebit: {away}: {said}", err=True)
        sys.exit(_NOT_REACHABLE)


def _away(error: Exception) -> str | None:
    """What does not answer."""
    from api import outages

    if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return None  # about a file of the command's, most likely
    return _AWAY.get(outages.what_is_away(error) or "")


def leave(ended: SystemExit) -> NoReturn:
    """Ends the process, at once if it has talked to Temporal.

    The threads of Temporal's client outlive the event loop, and now and then Python aborts on them while it takes
    itself apart: code 134 for a command that did its work (temporalio/sdk-python#300, open).
    """
    if "temporalio.bridge.temporal_sdk_bridge" in sys.modules and isinstance(ended.code, int | None):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code or 0)
    raise ended


if __name__ == "__main__":
    main()
