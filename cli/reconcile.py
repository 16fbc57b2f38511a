"""`autodebit reconcile`: providers' settlement files held against the ledger, and what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from cli import reconcile_sandbox
from cli.database import in_transaction, operator

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from activities.reconciliation import Reconciled, Reconciliation, TakenIn
    from store.tables import SettlementDifference

DIFFERENT, BAD = 1, 2
"""How the command ends when something differs, and when a file cannot be taken in."""


class _FilesFirst(TyperGroup):
    """`reconcile FILE` is `reconcile files FILE`: what is no command's name is a file's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["files", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_FilesFirst,
    help="Hold providers' settlement files against the ledger: `autodebit reconcile FILE…`.",
    no_args_is_help=True,
)
app.command()(reconcile_sandbox.sandbox)


class Status(StrEnum):
    """What became of a difference."""

    OPEN = "open"
    PENDING = "pending"
    RESOLVED = "resolved"


AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


@app.command()
def files(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files as the provider delivers them.")],
    account: Annotated[
        str | None, typer.Option(help="The account (gwa_…) they belong to, where they do not tell.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the differences as a table, for a spreadsheet.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page for people.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take files in and say what differs. Ends with 0 if nothing is open, 1 if something is, 2 for a bad file.

    The same file twice changes nothing; one of the same name with other contents takes its place.
    """
    from cli import reconcile_report

    results, problems = asyncio.run(_reconcile(paths, account))
    if csv is not None:
        csv.write_text(reconcile_report.table(results), encoding="utf-8-sig", newline="")
    if html is not None:
        html.write_text(reconcile_report.page(results, datetime.now(UTC)), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps([reconcile_report.as_json(each) for each in results]))
    else:
        for each in results:
            reconcile_report.tell(each)
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(BAD)
    raise typer.Exit(DIFFERENT if any(each.open for each in results) else 0)


async def _reconcile(paths: Sequence[Path], account: str | None) -> tuple[list[Reconciled], list[str]]:
    from activities.reconciliation import Reconciliation
    from settings import Settings
    from store.database import Database
    from store.vault import Vault

    settings = Settings()
    database = Database(settings.database_url, pool_size=1)
    vault = Vault(settings.vault_keys, settings.vault_hash_key)
    try:
        return await reconcile(
            Reconciliation(database, vault, fees_apart=settings.settlement_fees == "apart"), paths, account
        )
    finally:
        await database.close()


async def reconcile(
    work: Reconciliation, paths: Sequence[Path], account: str | None = None
) -> tuple[list[Reconciled], list[str]]:
    """Takes all files in, then looks at every statement they are part of: one result each, and what is wrong with
    files that could not be taken in.
    """
    from agreements.reconciliation.reports import BadReport
    from store.settlement_files import WrongAccount

    taken: list[TakenIn] = []
    problems: list[str] = []
    for path in paths:
        try:
            found = await work.take_in(path, account=account)
        except (BadReport, WrongAccount) as error:
            problems.append(f"{path}: {error}")
            continue
        taken.append(found)
        if found.file.superseded_by is not None:
            problems.append(f"{path}: it was taken in before and corrected since; it does not come back")
    named = {(each.file.account_id, each.file.statement) for each in taken}
    others = await work.due({account_id for account_id, _ in named}) if named else []
    results = [await work.reconcile(*each) for each in sorted({*named, *others})]
    return [each for each in results if (each.account_id, each.statement) in named], problems


@app.command("list")
def list_(
    status: Annotated[list[Status] | None, typer.Option(help="In this status; may be given more than once.")] = None,
    account: Annotated[str | None, typer.Option(help="Of this account (gwa_…) only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The last so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List differences, newest first: those that are open, unless another status is asked for."""
    from agreements.reconciliation import DifferenceStatus
    from cli import reconcile_report
    from store import reconciliation

    statuses = [DifferenceStatus(each.value) for each in status or [Status.OPEN]]

    async def work(session: AsyncSession) -> Sequence[SettlementDifference]:
        return await reconciliation.listed(session, account_id=account, statuses=statuses, limit=limit)

    found = in_transaction(work)
    if as_json:
        typer.echo(json.dumps([reconcile_report.difference_as_json(each) for each in found]))
    else:
        reconcile_report.differences(found)


@app.command()
def show(
    difference: Annotated[str, typer.Argument(help="Its id (dif_…).")],
    as_json: AsJson = False,
) -> None:
    """Show one difference: what ledger, file and notification say, and what to do."""
    from cli import reconcile_report, tables
    from store.tables import SettlementDifference

    async def work(session: AsyncSession) -> SettlementDifference | None:
        return await session.get(SettlementDifference, difference)

    found = in_transaction(work)
    if found is None:
        _fail(f"there is no difference {difference}; `autodebit reconcile list` lists them")
    shown: dict[str, Any] = reconcile_report.difference_as_json(found)
    if as_json:
        typer.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        if not isinstance(value, dict):
            typer.echo(tables.visible(f"{name + ':':15} {'' if value is None else value}".rstrip()))


@app.command()
def resolve(
    difference: Annotated[str, typer.Argument(help="Its id (dif_…).")],
    note: Annotated[str, typer.Option(help="What was found out or done. Kept with it.")],
) -> None:
    """Close a difference that was put right, or turned out to be none."""
    from store import reconciliation, trail
    from store.tables import GatewayAccount

    actor = operator("reconcile resolve", note)

    async def work(session: AsyncSession) -> None:
        by = actor.who or "operator"
        row = await reconciliation.resolve(session, difference, note, by, datetime.now(UTC))
        account = await session.get_one(GatewayAccount, row.account_id)
        trail.note(
            session,
            actor,
            merchant_id=account.merchant_id,
            livemode=account.livemode,
            object_id=row.id,
            agreement_id=row.agreement_id,
        )

    try:
        in_transaction(work)
    except reconciliation.NoSuchDifference as error:
        _fail(str(error))
    typer.echo(f"{difference} is resolved")


def _fail(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(1)
