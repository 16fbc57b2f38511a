"""`autodebit merchants methods`: which of an Ottu account's gateways can collect, so that keys can name them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateways.port import Account

_PATIENCE = timedelta(seconds=15)


def methods(account: Annotated[str, typer.Argument(help="The account's id (gwa_…), at Ottu.")]) -> None:
    """Ask Ottu which gateways of an account save cards and debit them, by the codes its keys `pg_code` take."""
    from gateways import http
    from gateways.ottu.methods import Method, Unanswered, auto_debit
    from gateways.port import Call

    async def ask(opened: Account) -> list[Method]:
        async with http.client() as client:
            return await auto_debit(client, opened, Call(_PATIENCE))

    try:
        found = asyncio.run(ask(_opened(account)))
    except (LookupError, Unanswered) as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(1) from error
    for method in found:
        typer.echo(f"{method.code:<24} {method.name:<32} {' '.join(method.currencies)}")


def _opened(account_id: str) -> Account:
    """The account with its keys. Raises LookupError."""
    from sqlmodel.ext.asyncio.session import AsyncSession

    from cli.database import in_transaction
    from gateways.port import Account
    from settings import Settings
    from store import merchants
    from store.tables import GatewayAccount
    from store.vault import Vault

    settings = Settings()
    vault = Vault(settings.vault_keys, settings.vault_hash_key)

    async def read(session: AsyncSession) -> Account:
        row = await session.get(GatewayAccount, account_id)
        if row is None or row.gateway != "ottu":
            raise LookupError(f"there is no account {account_id} at Ottu")
        return Account.of(row, merchants.opened_keys(vault, row))

    return in_transaction(read)
