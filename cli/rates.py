"""`autodebit rates`: how fast providers may be called, kept by the Temporal server for all workers together."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.database import operator
from cli.gateway_names import Gateway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from temporalio.client import Client

    from workflows.rates import Limit

app = typer.Typer(help="Limit how fast providers are called, over all workers.", no_args_is_help=True)

By = Annotated[str | None, typer.Option("--by", help="Who; by default the user's name on this machine.")]


@app.command("list")
def list_() -> None:
    """Show the limits in force."""
    from cli import tables
    from gateways.connectors import calls_per_charge
    from workflows import rates

    rows = []
    for gateway in calls_per_charge():
        found = _at_temporal(partial(rates.limits, gateway=gateway))
        rows.append((gateway, "all", *_cells(found.total)))
        rows.append((gateway, "each merchant", *_cells(found.each_merchant)))
    tables.plain(("gateway", "for", "charges a second", "why", "by", "since (UTC)"), rows)


@app.command("set")
def set_(
    gateway: Gateway,
    rate: Annotated[str, typer.Argument(help="Calls in any stretch of time: 50/s, 1800/min, 9000/h, 90000/day.")],
    each_merchant: Annotated[
        bool, typer.Option("--each-merchant", help="For each merchant by itself, not for all together.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; `rates list` shows it.")] = "",
    by: By = None,
) -> None:
    """Limit a provider's calls, within seconds and until it is set again; nothing is restarted.

    A rate in the settings comes back when a worker starts.
    """
    from agreements.rates import Rate
    from gateways.connectors import calls_per_charge
    from workflows import rates

    try:
        wanted = Rate.parse(rate)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="RATE") from error
    calls = calls_per_charge()[gateway]
    tasks = {"each_merchant" if each_merchant else "total": wanted.tasks_per_second(calls)}
    who, why = operator("rates set", reason, by).who or "an operator", ": ".join(filter(None, (str(wanted), reason)))
    _at_temporal(lambda client: rates.limit(client, gateway, **tasks, reason=why, by=who))
    each = " for each merchant" if each_merchant else ""
    typer.echo(
        f"{gateway}: never more than {wanted}{each}, which is {wanted.tasks_per_second(calls):.4g} charges a second"
    )


@app.command()
def clear(gateway: Gateway, by: By = None) -> None:
    """Take a provider's limits away."""
    from workflows import rates

    who = operator("rates clear", None, by).who or "an operator"
    _at_temporal(lambda client: rates.unlimit(client, gateway, by=who))
    typer.echo(f"{gateway}: no limit")


def _at_temporal(work: Callable[[Client], Awaitable[Any]]) -> Any:
    from settings import Settings
    from workflows.client import connect

    async def inside() -> Any:
        return await work(await connect(Settings()))

    return asyncio.run(inside())


def _cells(found: Limit) -> tuple[str, ...]:
    rate = "no limit" if found.tasks_per_second is None else f"{found.tasks_per_second:.4g}"
    since = f"{found.since:%Y-%m-%d %H:%M}" if found.since else ""
    return rate, found.reason, found.by, since
