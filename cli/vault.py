"""`autodebit vault`: the keys under which secrets are kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer
from rich.console import Console

if TYPE_CHECKING:
    from store.rotation import Counts

app = typer.Typer(help="The keys under which secrets are kept.", no_args_is_help=True)

_console = Console(highlight=False)


@app.command("new-key")
def new_key() -> None:
    """Print a fresh key, to be put in front of AUTODEBIT_VAULT_KEYS."""
    from cryptography.fernet import Fernet

    typer.echo(Fernet.generate_key().decode())


@app.command()
def rotate() -> None:
    """Seal everything again with the newest key of AUTODEBIT_VAULT_KEYS. Safe to repeat, and while the engine runs.

    Once it is through, the older keys may be dropped. Ends with code 1 when something opens with none of the keys.
    """
    counts = asyncio.run(_rotate())
    for column, found in counts.items():
        said = f"{found['resealed']} sealed again, {found['current']} current already, {found['unreadable']} unreadable"
        _console.print(f"{column}: {said}", soft_wrap=True)
    unreadable = sum(found["unreadable"] for found in counts.values())
    if unreadable:
        _console.print(
            f"{unreadable} sealed values open with none of the keys; keep the old ones and look for more.",
            soft_wrap=True,
        )
        raise typer.Exit(1)
    _console.print("Everything is sealed with the newest key; older ones may be dropped.", soft_wrap=True)


async def _rotate() -> dict[str, Counts]:
    from settings import Settings
    from store import rotation
    from store.database import Database
    from store.vault import Vault

    settings = Settings()
    database = Database(settings.database_url, pool_size=1)
    try:
        return await rotation.rotate(database, Vault(settings.vault_keys, settings.vault_hash_key))
    finally:
        await database.close()
