"""`autodebit merchants list|rotate-key|disable`: the keys merchants call us with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.database import in_transaction, operator

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from store.api_keys import Issued
    from store.tables import ApiKey, Merchant

Reason = Annotated[str | None, typer.Option(help="Why; kept in the audit trail.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def list_(as_json: AsJson = False) -> None:
    """Show every merchant and its keys, and when each was last used. Keys themselves are not stored."""
    found = in_transaction(_everything)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _print(found)


def rotate_key(
    merchant: Annotated[str, typer.Argument(help="The merchant's id (mer_…).")],
    live: Annotated[bool, typer.Option("--live/--test", help="The mode of the key.")] = False,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=24 * 90, help="How long the mode's present keys go on working.")
    ] = 0,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Issue a new key, shown this once, in the place of the mode's present ones; its first one if there is none."""
    from store import api_keys, trail
    from store.tables import Merchant

    until = datetime.now(UTC) + timedelta(hours=overlap_hours)
    actor = operator("merchants rotate-key", reason)

    async def work(session: AsyncSession) -> tuple[api_keys.Issued, list[str]]:
        row = await session.get(Merchant, merchant, with_for_update=True)
        if row is None or row.disabled_at is not None:
            raise LookupError(f"{merchant} is disabled" if row else f"there is no merchant {merchant}")
        issued, ended = await api_keys.rotate(session, merchant, livemode=live, until=until)
        for key_id in (issued.id, *ended):
            trail.note(session, actor, merchant_id=merchant, livemode=live, object_id=key_id)
        return issued, ended

    issued, ended = _found(work)
    if as_json:
        others = [{"id": key_id, "works_until": until.isoformat()} for key_id in ended]
        typer.echo(json.dumps(shown(merchant, issued, livemode=live) | {"ended": others}))
        return
    typer.echo(f"key id: {issued.id}")
    typer.echo(f"key:    {issued.key}")
    for key_id in ended:
        typer.echo(f"{key_id} works until {until:%Y-%m-%d %H:%M:%S} UTC")
    typer.echo("The key is not stored and cannot be shown again.")


def disable(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A merchant (mer_…) or one of its keys (key_…).")],
    reason: Reason = None,
) -> None:
    """Let a key, or all keys of a merchant, open nothing from now on.

    Agreements go on: `autodebit stop merchant` halts their debits, where they should not.
    """
    from store import api_keys, trail

    actor, now = operator("merchants disable", reason), datetime.now(UTC)

    async def work(session: AsyncSession) -> None:
        if id_.startswith("key_"):
            key = await api_keys.end(session, id_, now)
            trail.note(session, actor, merchant_id=key.merchant_id, livemode=key.livemode, object_id=id_)
        else:
            await api_keys.disable_merchant(session, id_, now)
            trail.note(session, actor, merchant_id=id_, livemode=None, object_id=id_)

    _found(work)
    typer.echo(f"{id_} is disabled")


def shown(merchant_id: str, issued: Issued, *, livemode: bool) -> dict[str, Any]:
    """A key just made, for programs: this once with the key itself."""
    return {"merchant": merchant_id, "livemode": livemode, "key_id": issued.id, "key": issued.key}


def _found(work: Any) -> Any:
    """What the work returns; a LookupError is told in one line."""
    try:
        return in_transaction(work)
    except LookupError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


async def _everything(session: AsyncSession) -> list[dict[str, Any]]:
    from store import api_keys

    now = datetime.now(UTC)
    return [_merchant(merchant, keys, now) for merchant, keys in await api_keys.of_everybody(session)]


def _merchant(row: Merchant, keys: Sequence[ApiKey], now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "created_at": row.created_at.isoformat(),
        "disabled_at": row.disabled_at and row.disabled_at.isoformat(),
        "keys": [_key(key, works=row.disabled_at is None and key.works(now)) for key in keys],
    }


def _key(row: ApiKey, *, works: bool) -> dict[str, Any]:
    return {
        "id": row.id,
        "livemode": row.livemode,
        "ending": row.ending,
        "works": works,
        "works_until": row.works_until and row.works_until.isoformat(),
        "last_used_at": row.last_used_at and row.last_used_at.isoformat(),
    }


def _print(found: list[dict[str, Any]]) -> None:
    from cli import tables

    rows = [
        (merchant["id"], merchant["name"], *_cells(key)) for merchant in found for key in merchant["keys"] or [None]
    ]
    tables.plain(("merchant", "name", "key", "mode", "ends in", "works", "last used"), rows)


def _cells(key: dict[str, Any] | None) -> Sequence[str]:
    if key is None:
        return ("",) * 5
    until = key["works_until"]
    works = ("until " + until[:16] if until else "yes") if key["works"] else "no"
    last = (key["last_used_at"] or "never")[:16]
    return key["id"], "live" if key["livemode"] else "test", f"…{key['ending']}", works, last
