"""`autodebit notifications`: the journal of what providers, and customers who came back, told us."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from cli.database import in_transaction, operator

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from api.services import Services
    from store.database import Database
    from store.tables import GatewayAccount, Notification

app = typer.Typer(help="What providers told us, and what became of it.", no_args_is_help=True)


class Status(StrEnum):
    """What became of a message."""

    RECEIVED = "received"
    REFUSED = "refused"
    UNMATCHED = "unmatched"
    IGNORED = "ignored"
    DUPLICATE = "duplicate"
    SIGNALLED = "signalled"
    SETTLED = "settled"


_WHY = {
    "received": "not judged yet; a sweep takes it up",
    "unmatched": "the account has nothing it could be about",
    "signalled": "its workflow knows, and has not settled it",
    "duplicate": "another message said the same",
    "ignored": "nothing new in it",
    "settled": "done",
}
_REFUSED = {
    "unsigned": "it bears no signature",
    "bad_signature": "its signature is not the provider's: forged, or the account's keys are wrong",
    "wrong_client": "it names another merchant than the account's keys",
    "account_keys": "the account's own keys cannot be used",
    "unreadable": "it cannot be read",
    "no_code": "the customer came back without a code",
    "wrong_state": "it is about another page than the one it came to",
}

_NOT_TAKEN_IN = ("received", "refused", "unmatched")

Account = Annotated[str | None, typer.Option(help="Only messages to this account (gwa_…).")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


@app.command("list")
def list_(
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what was dealt with.")] = False,
    account: Account = None,
    limit: Annotated[int, typer.Option(min=1, help="The last so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List messages that need somebody's attention: refused, unmatched, or stuck on their way. Newest first."""
    from store import journal

    wanted = journal.Wanted(status, everything, account)

    async def work(session: AsyncSession) -> tuple[Sequence[tuple[Notification, GatewayAccount]], dict[str, int]]:
        now = datetime.now(UTC)
        last = await journal.listed(session, now, wanted, limit)
        cut = len(last) == limit and not everything  # to count the whole journal may take long
        return last, await journal.counted(session, now, wanted) if cut else {}

    found, counts = in_transaction(work)
    rows = [_shown(*each) for each in found]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    _print(rows)
    if sum(counts.values()) > len(rows):
        typer.echo("In all: " + ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))


@app.command()
def show(
    notification: Annotated[str, typer.Argument(help="Its id (ntf_…).")],
    message: Annotated[
        bool, typer.Option("--message", help="Open the sealed message, too. It may hold codes and tokens.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one message: what it was about, what became of it, and why."""
    from cli import tables
    from store import journal

    async def work(session: AsyncSession) -> tuple[Notification, GatewayAccount] | None:
        return await journal.found(session, notification)

    found = in_transaction(work)
    if found is None:
        _fail(f"there is no message {notification} in the journal; `autodebit notifications list --all` lists them")
    shown = _shown(*found) | (_opened(found[0]) if message else {})
    if as_json:
        typer.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        typer.echo(tables.visible(f"{name + ':':12} {'' if value is None else value}".rstrip()))


@app.command()
def replay(
    notifications: Annotated[list[str] | None, typer.Argument(help="Their ids (ntf_…).")] = None,
    status: Annotated[Status | None, typer.Option(help="Instead: every message of this status, oldest first.")] = None,
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Take messages in again, as if they had just come: verified, matched, told to their workflows.

    Harmless when repeated; what was settled stays so. Ends with code 1 if any is refused or unmatched again.
    """
    if bool(notifications) == bool(status) or (account and not status):
        raise typer.BadParameter("name messages, or a status and maybe an account")
    rows, missing = asyncio.run(_replay(notifications or [], status, account))
    if as_json:
        typer.echo(json.dumps(rows))
    elif rows or not missing:
        _print(rows)
    for said in missing:
        typer.echo(said, err=True)
    if missing or any(row["status"] in _NOT_TAKEN_IN for row in rows):
        raise typer.Exit(1)


async def _replay(
    wanted: Sequence[str], status: str | None, account_id: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """The messages as they are afterwards, and what is to be said of those that could not be taken in."""
    from api import outages, replay
    from store import journal

    rows: list[dict[str, Any]] = []
    missing: list[str] = []
    try:
        async with _inside() as inside:
            async with inside.database.transaction() as session:
                ids = wanted if status is None else await journal.of_status(session, status, account_id)
            for notification_id in ids:
                try:
                    await replay.take_up(inside, notification_id)
                except replay.NotReplayable as error:
                    missing.append(str(error))
                if row := await _replayed(inside.database, notification_id):
                    rows.append(row)
        return rows, missing
    except Exception as error:
        if outages.what_is_away(error) != "Temporal":
            raise
        typer.echo(f"Temporal does not answer ({error}); replay again when it does", err=True)
        raise typer.Exit(3) from None


@asynccontextmanager
async def _inside() -> AsyncIterator[Services]:
    """The parts that take messages in, as the API has them."""
    from api.limits import Limits
    from api.services import Patience, Services
    from settings import Settings
    from store.database import Database
    from store.vault import Vault
    from workflows import client as workflows

    settings = Settings()
    database = Database(settings.database_url, pool_size=2)
    try:
        temporal = await workflows.connect(settings)
        vault = Vault(settings.vault_keys, settings.vault_hash_key)
        yield Services(settings, database, vault, temporal, Patience(), Limits(settings))
    finally:
        await database.close()


async def _replayed(database: Database, notification_id: str) -> dict[str, Any] | None:
    """A message as it is now, and who had it taken in again in the trail; None if there is none."""
    from store import journal, trail

    async with database.transaction() as session:
        found = await journal.found(session, notification_id)
        if found is None:
            return None
        row, account = found
        trail.note(
            session,
            operator("notifications replay"),
            merchant_id=account.merchant_id,
            livemode=account.livemode,
            object_id=row.id,
            agreement_id=row.agreement_id,
        )
        return _shown(row, account)


def _shown(row: Notification, account: GatewayAccount) -> dict[str, Any]:
    """A message without its content."""
    return {
        "id": row.id,
        "received_at": row.created_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "gateway": account.gateway,
        "account": account.id,
        "merchant": account.merchant_id,
        "source": row.source,
        "status": row.status,
        "kind": row.kind,
        "agreement": row.agreement_id,
        "refund": row.refund_id,
        "why": _why(row),
    }


def _why(row: Notification) -> str:
    if row.status == "refused":
        return _REFUSED.get(row.detail or "", row.detail or "")
    said = _WHY[row.status]
    return f"{said}: {row.detail}" if row.detail else said


def _opened(row: Notification) -> dict[str, Any]:
    from settings import Settings
    from store import journal
    from store.vault import Vault, VaultError

    settings = Settings()
    try:
        message = journal.unseal(Vault(settings.vault_keys, settings.vault_hash_key), row.sealed_message)
    except VaultError as error:
        _fail(f"the message does not open: {error}")
    return {
        "request": f"{message.method} {message.path}",
        "headers": message.headers,
        "query": message.query,
        "body": message.body.decode(errors="replace"),
    }


def _print(rows: Sequence[dict[str, Any]]) -> None:
    from cli import tables

    shown = ("id", "received_at", "gateway", "status", "kind", "agreement", "why")
    names = ("message", "received (UTC)", "gateway", "status", "about", "agreement", "why")
    tables.plain(names, [[row[name] or "" for name in shown] for row in rows])


def _fail(said: str) -> NoReturn:
    typer.echo(said, err=True)
    raise typer.Exit(1)
