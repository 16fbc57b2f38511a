"""`autodebit merchants`: who uses the engine, and with which accounts at providers."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import merchant_keys, merchant_methods
from cli.database import in_transaction, operator
from cli.gateway_names import Gateway

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from settings import Settings
    from store.api_keys import Issued
    from store.merchants import Principal

app = typer.Typer(help="Merchants, their keys, and their accounts at providers.", no_args_is_help=True)
app.command("list")(merchant_keys.list_)
app.command("rotate-key")(merchant_keys.rotate_key)
app.command("disable")(merchant_keys.disable)
app.command("methods")(merchant_methods.methods)


_LONGEST_NAME = 128


def _readable(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise typer.BadParameter(f"a name is 1 to {_LONGEST_NAME} printable characters")
    return name


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The merchant's name, for people.", callback=_readable)],
    live: Annotated[bool, typer.Option("--live", help="Issue a live key instead of a test key.")] = False,
    as_json: merchant_keys.AsJson = False,
) -> None:
    """Make a merchant and its first key, which is shown this once."""
    from store import api_keys, merchants, trail

    async def work(session: AsyncSession) -> tuple[str, Issued]:
        merchant = await merchants.create(session, name)
        actor = operator("merchants create")
        trail.note(session, actor, merchant_id=merchant.id, livemode=live, object_id=merchant.id)
        return merchant.id, await api_keys.issue(session, merchant.id, livemode=live)

    merchant_id, issued = in_transaction(work)
    if as_json:
        typer.echo(json.dumps(merchant_keys.shown(merchant_id, issued, livemode=live)))
        return
    typer.echo(f"merchant: {merchant_id}")
    typer.echo(f"key:      {issued.key}")
    typer.echo("The key is not stored and cannot be shown again.")


@app.command()
def connect(
    merchant: Annotated[str, typer.Argument(help="The merchant's id (mer_…).")],
    gateway: Gateway,
    base_url: Annotated[str, typer.Option(help="The provider's address.")],
    live: Annotated[bool, typer.Option("--live/--test", help="The mode the account is for.")],
    key: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="One of the account's keys.")] = None,
    key_file: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="The same from a file, which is safer for a secret.")
    ] = None,
    client_id: Annotated[str | None, typer.Option(help="Short for --key client_id=…")] = None,
    private_key_file: Annotated[str | None, typer.Option(help="Short for --key-file private_key=…")] = None,
    public_key_file: Annotated[str | None, typer.Option(help="Short for --key-file public_key=…")] = None,
    sandbox: Annotated[bool, typer.Option(help="Our own sandbox stands behind the address.")] = False,
) -> None:
    """Connect a merchant to a provider; connecting again replaces address and keys.

    Keys of antom: client_id, private_key, public_key; of ottu: api_key, hmac_key; of pivot: client_id, client_secret,
    callback_api_key. What else a provider's account may need is in docs/accounts.md.
    """
    from settings import Settings
    from store.merchants import Principal

    _check(base_url, live=live, sandbox=sandbox)
    given = [*(key or ()), *([f"client_id={client_id}"] if client_id else ())]
    short = {"private_key": private_key_file, "public_key": public_key_file}
    files = [*(key_file or ()), *(f"{name}={path}" for name, path in short.items() if path)]
    keys = _keys(given, files)
    _check_keys(gateway, keys)
    settings, owner = Settings(), Principal(merchant, live)
    account = in_transaction(partial(_connected, settings, owner, gateway, base_url, keys, sandbox))
    typer.echo(f"account:          {account}")
    typer.echo(f"notification URL: {settings.notification_url(gateway, account)}")


async def _connected(
    settings: Settings,
    owner: Principal,
    gateway: str,
    base_url: str,
    keys: dict[str, str],
    sandbox: bool,
    session: AsyncSession,
) -> str:
    from store import merchants, trail
    from store.tables import Merchant
    from store.vault import Vault

    if await session.get(Merchant, owner.merchant_id) is None:
        raise typer.BadParameter(f"there is no merchant {owner.merchant_id}")
    vault = Vault(settings.vault_keys, settings.vault_hash_key)
    made = await merchants.connect_account(
        session, vault, owner, gateway=gateway, base_url=base_url, keys=keys, sandbox=sandbox
    )
    actor = operator("merchants connect")
    trail.note(session, actor, merchant_id=owner.merchant_id, livemode=owner.livemode, object_id=made)
    return made


def _check(base_url: str, *, live: bool, sandbox: bool) -> None:
    """Raises typer.BadParameter for an account that cannot be reached, or must not."""
    if not re.match(r"https?://[^/?#\s]+", base_url):
        raise typer.BadParameter("an address begins with https:// (or http:// in test mode) and names a host")
    if live and sandbox:
        raise typer.BadParameter("the sandbox is for test mode")
    if live and not base_url.startswith("https://"):
        raise typer.BadParameter("a live account is reached over https only")


def _keys(given: list[str], files: list[str]) -> dict[str, str]:
    """By name. Raises typer.BadParameter for what is not NAME=…, is given twice or cannot be read."""
    keys: dict[str, str] = {}
    for text in (*given, *files):
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter("a key is given as NAME=VALUE, or NAME=PATH from a file")
        if name in keys:
            raise typer.BadParameter(f"{name} is given twice")
        keys[name] = value
    for name in (text.partition("=")[0] for text in files):
        try:
            keys[name] = Path(keys[name]).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{name}: the file cannot be read") from error
    return keys


def _check_keys(gateway: str, keys: dict[str, str]) -> None:
    from gateways import accounts
    from gateways.port import Account

    try:
        accounts.check(gateway, Account(id="", livemode=False, base_url="", keys=keys))
    except accounts.Unusable as error:
        raise typer.BadParameter(f"{gateway}: {error}") from error
