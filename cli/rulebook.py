"""`autodebit rulebook`: what the rules are on a day, what differs between two rulebooks, whether one can be used."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from agreements.rulebook import Rulebook
    from agreements.rulebook.model import Rule

app = typer.Typer(help="The rules retries, notices and debits go by.", no_args_is_help=True)


AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def _print(what: Any, **options: Any) -> None:
    """As wide as the terminal is now."""
    Console(highlight=False).print(what, **options)


class Change(NamedTuple):
    """What became of a rule. `fields` holds old and new value of each field that differs."""

    id: str
    change: str
    fields: dict[str, tuple[Any, Any]]


@app.command()
def show(
    section: Annotated[str | None, typer.Argument(help="Only this part, such as `networks` or `declines`.")] = None,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The rules of this day; today by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the rules in force, of the folder in AUTODEBIT_RULEBOOK or the shipped ones."""
    chosen = os.environ.get("AUTODEBIT_RULEBOOK")
    rulebook = _loaded(Path(chosen) if chosen else None)
    day = on.date() if on else datetime.now(UTC).date()
    parts = {
        name: [rule for rule in rules if rule.in_force(day)]
        for name, rules in rulebook.sections().items()
        if section is None or section in (name, name.partition(".")[0])
    }
    if not parts:
        raise typer.BadParameter(f"must be one of: {', '.join(rulebook.sections())}", param_hint="section")
    if as_json:
        rules = {name: [_fields(rule) for rule in found] for name, found in parts.items()}
        typer.echo(json.dumps({"version": rulebook.version, "on": day.isoformat(), "rules": rules}))
        return
    _print(f"rulebook {rulebook.version}, rules in force on {day}")
    for name, found in parts.items():
        _print(_table(name, found))


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The folder to compare with.")],
    new: Annotated[
        Path | None, typer.Argument(help="The folder that is compared; the shipped rulebook by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell which rules were added, removed or changed, field by field."""
    before, after = _loaded(old), _loaded(new)
    found = list(changes(before, after))
    if as_json:
        said = [change._asdict() for change in found]
        typer.echo(json.dumps({"old": before.version, "new": after.version, "changes": said}))
        return
    _print(f"{before.version} -> {after.version}", soft_wrap=True)
    for change in found:
        _print(f"{change.change} {change.id}", soft_wrap=True, markup=False)
        for field, (was, now) in change.fields.items():
            _print(f"    {field}: {json.dumps(was)} -> {json.dumps(now)}", soft_wrap=True, markup=False)
    if not found:
        _print("No rule differs.")


@app.command()
def check(
    folder: Annotated[Path | None, typer.Argument(help="The folder to check; the shipped rulebook by default.")] = None,
) -> None:
    """Say whether a rulebook can be used. Each flaw is named by file, line and reason, and the code is 1."""
    rulebook = _loaded(folder)
    count = sum(map(len, rulebook.sections().values()))
    _print(f"rulebook {rulebook.version}: {count} rules, nothing wrong", soft_wrap=True)


def changes(old: Rulebook, new: Rulebook) -> Iterator[Change]:
    """What differs between two rulebooks, by rule id."""
    before, after = _by_id(old), _by_id(new)
    for rule_id in sorted(before.keys() | after.keys()):
        was, now = before.get(rule_id), after.get(rule_id)
        if was is None or now is None:
            yield Change(rule_id, "added" if was is None else "removed", {})
        elif was != now:
            differing = [field for field in was.keys() | now.keys() if was.get(field) != now.get(field)]
            yield Change(rule_id, "changed", {field: (was.get(field), now.get(field)) for field in sorted(differing)})


def _by_id(rulebook: Rulebook) -> dict[str, dict[str, Any]]:
    sections = rulebook.sections().items()
    return {rule.id: {"section": name, **_fields(rule)} for name, rules in sections for rule in rules}


def _fields(rule: Rule) -> dict[str, Any]:
    return rule.model_dump(mode="json", by_alias=True, exclude_none=True)


def _table(name: str, rules: list[Rule]) -> Table:
    table = Table(title=name, title_justify="left", expand=True)
    table.add_column("id", ratio=3, overflow="fold")
    table.add_column("what", ratio=5, overflow="fold")
    table.add_column("in force", width=10)
    table.add_column("source", ratio=3, overflow="fold")
    table.add_column("confidence", width=10)
    for rule in rules:
        table.add_row(rule.id, rule.what, _period(rule.from_, rule.until), rule.source, rule.confidence)
    return table


def _period(start: date, end: date | None) -> str:
    return f"{start}" if end is None else f"{start} to {end}"


def _loaded(folder: Path | None) -> Rulebook:
    from agreements.rulebook import RulebookError, load

    try:
        return load(folder)
    except RulebookError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
