"""`autodebit merchants`: who uses the engine, and with which accounts at providers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

app = typer.Typer(help="Merchants, their keys, and their accounts at providers.", no_args_is_help=True)

_T = TypeVar("_T")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The merchant's name, for people.")],
    live: Annotated[bool, typer.Option("--live", help="Issue a live key instead of a test key.")] = False,
) -> None:
    """Make a merchant and its first key, which is shown this once."""
    from store import merchants

    async def work(session: AsyncSession) -> tuple[str, str]:
        merchant = await merchants.create(session, name)
        return merchant.id, await merchants.issue_key(session, merchant.id, livemode=live)

    merchant_id, key = _run(work)
    typer.echo(f"merchant: {merchant_id}")
    typer.echo(f"key:      {key}")
    typer.echo("The key is not stored and cannot be shown again.")


@app.command()
def connect(
    merchant: Annotated[str, typer.Argument(help="The merchant's id (mer_…).")],
    gateway: Annotated[str, typer.Argument(help="The provider, for example antom.")],
    base_url: Annotated[str, typer.Option(help="The provider's address.")],
    client_id: Annotated[str, typer.Option(help="The id the provider knows the merchant by.")],
    private_key_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The merchant's own key.")],
    public_key_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The provider's key.")],
    live: Annotated[bool, typer.Option("--live/--test", help="The mode the account is for.")],
    sandbox: Annotated[bool, typer.Option(help="Our own sandbox stands behind the address.")] = False,
) -> None:
    """Connect a merchant to a provider; connecting again replaces address and keys."""
    from agreements.catalog import GATEWAYS
    from settings import Settings
    from store import merchants
    from store.merchants import Principal
    from store.tables import Merchant
    from store.vault import Vault

    if gateway not in GATEWAYS:
        raise typer.BadParameter(f"must be one of: {', '.join(GATEWAYS)}")
    if live and sandbox:
        raise typer.BadParameter("the sandbox is for test mode")
    if live and not base_url.startswith("https://"):
        raise typer.BadParameter("a live account is reached over https only")
    settings = Settings()
    vault = Vault(settings.vault_keys, settings.vault_hash_key)
    keys = {
        "client_id": client_id,
        "private_key": private_key_file.read_text(),
        "public_key": public_key_file.read_text(),
    }
    _check_keys(gateway, keys)

    async def work(session: AsyncSession) -> str:
        if await session.get(Merchant, merchant) is None:
            raise typer.BadParameter(f"there is no merchant {merchant}")
        return await merchants.connect_account(
            session, vault, Principal(merchant, live), gateway=gateway, base_url=base_url, keys=keys, sandbox=sandbox
        )

    account = _run(work)
    typer.echo(f"account:          {account}")
    typer.echo(f"notification URL: {settings.notification_url(gateway, account)}")


def _check_keys(gateway: str, keys: dict[str, str]) -> None:
    """Tells now what would otherwise only fail with the first call."""
    from gateways.antom import keys as antom
    from gateways.port import Account

    account = Account(id="", livemode=False, base_url="", keys=keys)
    try:
        antom.private_key(account)
        antom.public_key(account)
    except antom.BadKeys as error:
        raise typer.BadParameter(f"{gateway}: {error}") from error


def _run(work: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
    """One transaction on the database of the settings."""
    from settings import Settings
    from store.database import Database

    async def inside() -> _T:
        database = Database(Settings().database_url, pool_size=1)
        try:
            async with database.transaction() as session:
                return await work(session)
        finally:
            await database.close()

    return asyncio.run(inside())
