"""`autodebit deployments`: builds of the worker side by side, and moving running agreements between them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from temporalio.client import Client

    from workflows.deployments import Deployment

app = typer.Typer(help="Builds of the worker side by side (docs/upgrades.md).", no_args_is_help=True)

_console = Console(highlight=False)
_T = TypeVar("_T")
_EVERY = 0.5


@app.command()
def show(as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False) -> None:
    """Show the builds, where new runs begin, and how many workflows run on each."""
    from workflows import deployments

    found = _run(deployments.describe)
    if as_json:
        typer.echo(json.dumps(_as_dict(found)))
        return
    table = Table("build", "status", "running", "since (UTC)")
    for build in found.builds:
        share = f" {found.percent:g} %" if build.build_id == found.ramping else ""
        table.add_row(build.build_id, build.status + share, str(build.running), f"{build.since:%Y-%m-%d %H:%M}")
    _console.print(table)


@app.command()
def promote(
    build: Annotated[str, typer.Argument(help="The build id; its workers must run.")],
    percent: Annotated[
        float | None, typer.Option(min=0, max=100, help="Only this share of new runs; 0 takes it back.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for its workers.")] = 60,
) -> None:
    """Let new runs begin on this build, which may be an older one. Running workflows stay, until they are drained."""

    async def work(client: Client, name: str) -> None:
        from workflows import deployments

        await _until_there(lambda: deployments.promote(client, name, build, percent), wait)
        async with asyncio.timeout(max(wait, 1)):
            while not (await deployments.describe(client, name)).settled:
                await asyncio.sleep(_EVERY)

    _run(work)
    share = "" if percent is None else f"{percent:g} % of the "
    _console.print(f"{share}new runs begin on build {build}", soft_wrap=True)


@app.command()
def drain(
    rate: Annotated[float, typer.Option(min=0.1, help="Nudges a second.")] = 20,
    within: Annotated[float, typer.Option(min=0, help="Seconds after which to give up; 0: one round.")] = 600,
) -> None:
    """Move running workflows to the build that is wanted now. Safe to repeat and to interrupt.

    Ends with code 1 while some are left on other builds: keep the workers of those builds.
    """

    async def work(client: Client, name: str) -> int:
        from workflows import deployments

        until = time.monotonic() + within
        while left := await deployments.left(client, name):
            _console.print(f"{left} on other builds: nudging {rate:g} a second", soft_wrap=True)
            nudged, failed = await deployments.nudge(client, name, rate)
            if failed:
                _console.print(f"{failed} of {nudged + failed} could not be told", soft_wrap=True)
            left = await _settled(client, name, left)
            if time.monotonic() >= until:
                break
        return left

    left = _run(work)
    if left:
        _console.print(f"{left} left on other builds: keep their workers, and drain again", soft_wrap=True)
        raise typer.Exit(1)
    _console.print("none left: workers of other builds may stop once `deployments show` has 0 running", soft_wrap=True)


async def _settled(client: Client, name: str, before: int) -> int:
    """How many are left once that stands still: a nudged workflow needs a moment to go over, and to be seen."""
    from workflows import deployments

    still, left = 0, before
    while left and still < 4:
        await asyncio.sleep(_EVERY)
        now = await deployments.left(client, name)
        still, left = (still + 1 if now >= left else 0), now
    return left


async def _until_there(attempt: Callable[[], Awaitable[None]], seconds: float) -> None:
    from workflows.deployments import NotThere

    until = time.monotonic() + seconds
    while True:
        try:
            return await attempt()
        except NotThere:
            if time.monotonic() >= until:
                raise
            await asyncio.sleep(_EVERY)


def _as_dict(found: Deployment) -> dict[str, object]:
    builds = [
        {"build_id": each.build_id, "status": each.status, "running": each.running, "since": f"{each.since:%FT%TZ}"}
        for each in found.builds
    ]
    return {
        "deployment": found.name,
        "current": found.current,
        "ramping": found.ramping,
        "percent": found.percent,
        "builds": builds,
    }


def _run(work: Callable[[Client, str], Awaitable[_T]]) -> _T:
    """With a client, and the deployment of the settings."""
    from temporalio.service import RPCError

    from settings import Settings
    from workflows import client as workflows
    from workflows.deployments import NotThere

    settings = Settings()
    if settings.deployment is None:
        typer.echo("AUTODEBIT_DEPLOYMENT is not set: workers have no versions (docs/upgrades.md)", err=True)
        raise typer.Exit(2)
    name = settings.deployment

    async def inside() -> _T:
        return await work(await workflows.connect(settings), name)

    try:
        return asyncio.run(inside())
    except (NotThere, RPCError, TimeoutError) as error:
        typer.echo(f"autodebit: {str(error) or 'Temporal did not come to rest in time'}", err=True)
        raise typer.Exit(1) from error
