"""`autodebit events`: the feed, followed as it grows, through the HTTP API."""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import suppress
from typing import Annotated, Any

import typer

app = typer.Typer(help="What happens, as it happens.", no_args_is_help=True)

_EVERY = 1.0  # seconds

Json = dict[str, Any]


@app.callback()
def _events() -> None:
    """Keeps `tail` a command of its own."""


@app.command()
def tail(
    agreement: Annotated[str | None, typer.Option(help="Of this agreement only (agr_…).")] = None,
    after: Annotated[str | None, typer.Option(help="Begin after this event (evt_…), not with the last ones.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last events.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One event per line, as webhooks bring it.")] = False,
) -> None:
    """Show the last events, oldest first. The feed is read from its beginning, or from `--after` on."""
    from cli import front_door

    with front_door.opened() as door:
        found = door.all("/v1/events", agreement=agreement, after=after)
        last = found[-1]["id"] if found else after
        for event in found if after else deque(found, maxlen=lines):
            _show(event, as_json)
        with suppress(KeyboardInterrupt):
            while follow:
                time.sleep(_EVERY)
                for event in door.all("/v1/events", agreement=agreement, after=last):
                    _show(event, as_json)
                    last = event["id"]


def _show(event: Json, as_json: bool) -> None:
    from cli import in_words, tables

    if as_json:
        typer.echo(json.dumps(event, ensure_ascii=False))
        return
    agreement, charge = event["data"]["agreement"], event["data"].get("charge") or {}
    entry = {
        "kind": "event",
        "charge": charge.get("id"),
        "cycle": charge.get("cycle"),
        "type": event["type"],
        "details": event["data"],
    }
    amounts = {charge["id"]: in_words.owed(charge)} if charge else {}
    tables.console().print(
        f"[dim]{in_words.instant(event['created_at'])}  {event['id']}[/dim]  {agreement['id']} "
        f"{tables.text(agreement['reference'])}  {tables.text(in_words.happened(entry, amounts))}",
        soft_wrap=True,
    )
