"""`autodebit reconcile sandbox`: has our own sandbox write the settlement files of some days, to try things out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from cli.database import in_transaction

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from store.tables import GatewayAccount

_SECONDS = 30
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first of several days.")]
Wrong = Annotated[int, typer.Option(min=0, help="Payments the files are wrong about.")]


def sandbox(
    date: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="A day of the provider's (GMT+8).")],
    into: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(),
    since: Day = None,
    account: Annotated[str | None, typer.Option(help="Of this account (gwa_…) at the sandbox.")] = None,
    missing: Wrong = 0,
    altered: Wrong = 0,
    unknown: Wrong = 0,
    reversed_: Annotated[int, typer.Option("--reversed", min=0, help="Failed payments, booked and given back.")] = 0,
) -> None:
    """Have our sandbox write Antom's three settlement files of a day, right or with something wrong in them."""
    import httpx

    from settings import Settings
    from store import merchants
    from store.vault import Vault

    settings = Settings()
    row = in_transaction(lambda session: _account(session, account))
    keys = merchants.opened_keys(Vault(settings.vault_keys, settings.vault_hash_key), row)
    first = since or date
    wanted: dict[str, str | int] = {
        "date": f"{date:%Y-%m-%d}",
        "since": f"{first:%Y-%m-%d}",
        "client_id": keys["client_id"],
        "missing": missing,
        "altered": altered,
        "unknown": unknown,
        "reversed": reversed_,
    }
    answer = httpx.get(f"{row.base_url}/_sandbox/settlements", params=wanted, timeout=_SECONDS, trust_env=False)
    if not answer.is_success:
        typer.echo(f"the sandbox refused: {answer.text}", err=True)
        raise typer.Exit(1)
    into.mkdir(parents=True, exist_ok=True)
    for each in answer.json()["data"]:
        path = into / PurePosixPath(each["name"]).name
        path.write_text(each["content"], encoding="utf-8", newline="")
        typer.echo(str(path))


async def _account(session: AsyncSession, named: str | None) -> GatewayAccount:
    from sqlmodel import col, select

    from store.tables import GatewayAccount

    query = select(GatewayAccount).where(GatewayAccount.gateway == "antom", col(GatewayAccount.sandbox))
    if named is not None:
        query = query.where(GatewayAccount.id == named)
    found = (await session.exec(query.limit(2))).all()
    if len(found) != 1:
        raise typer.BadParameter(
            "name the account with --account" if found else "there is no such account at a sandbox"
        )
    return found[0]
