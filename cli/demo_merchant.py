"""The merchant of `dev` and `demo`: a test key, and an account at every sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel

from cli.private_files import write_private
from cli.sandbox_accounts import fresh_keys, register
from settings import Settings
from store import merchants
from store.database import Database
from store.merchants import Principal
from store.tables import Merchant
from store.vault import Vault

_FILE = "demo-merchant.json"
_SANDBOX_ID = "DEMO0000000001"
_NAME = "Demo Store"


class DemoMerchant(BaseModel):
    """What a program needs to act as this merchant. `accounts` are ids per gateway."""

    secret_key: str
    merchant: str
    accounts: dict[str, str] = {}
    keys: dict[str, dict[str, str]] = {}
    """Of its account per gateway: the same at every start, as a sandbox signs what it still has to send with them."""


async def ensure(data: Path, sandboxes: dict[str, str], env: dict[str, str]) -> DemoMerchant:
    """The demo merchant of a data folder, made at the first call and connected to the sandboxes at every call.

    `sandboxes` are addresses per gateway, `env` holds the engine's settings. Raises httpx.HTTPError.
    """
    settings = _settings(env)
    vault = Vault(settings.vault_keys, settings.vault_hash_key)
    database = Database(settings.database_url, pool_size=1)
    try:
        demo = await _remembered(data / _FILE, database) or await _made(database)
        demo.keys |= {gateway: fresh_keys(gateway, _SANDBOX_ID) for gateway in sandboxes if gateway not in demo.keys}
        # Written before it is connected: a crash in between repeats the connecting, not the merchant.
        write_private(data / _FILE, demo.model_dump_json(indent=2))
        for gateway, url in sandboxes.items():
            demo.accounts[gateway] = await _connect(database, vault, demo, gateway, url, settings)
        write_private(data / _FILE, demo.model_dump_json(indent=2))
        return demo
    finally:
        await database.close()


def _settings(env: dict[str, str]) -> Settings:
    """From the environment meant for the engine's processes, which is not ours."""
    given: dict[str, Any] = {
        name: env[variable] for name in Settings.model_fields if (variable := f"AUTODEBIT_{name.upper()}") in env
    }
    return Settings(**given)


async def _remembered(path: Path, database: Database) -> DemoMerchant | None:
    """The merchant of the last start, unless the database has been replaced since."""
    if not path.exists():
        return None
    demo = DemoMerchant.model_validate_json(path.read_text())
    async with database.transaction() as session:
        known = await merchants.principal_for(session, demo.secret_key)
    return demo if known == Principal(demo.merchant, livemode=False) else None


async def _made(database: Database) -> DemoMerchant:
    async with database.transaction() as session:
        merchant: Merchant = await merchants.create(session, _NAME)
        secret_key = await merchants.issue_key(session, merchant.id, livemode=False)
    return DemoMerchant(secret_key=secret_key, merchant=merchant.id)


async def _connect(
    database: Database, vault: Vault, demo: DemoMerchant, gateway: str, url: str, settings: Settings
) -> str:
    """Connects before and after registering: the notify URL names the account, the account holds the sandbox's key."""
    principal = Principal(demo.merchant, livemode=False)

    async def connect(keys: dict[str, str]) -> str:
        async with database.transaction() as session:
            return await merchants.connect_account(
                session, vault, principal, gateway=gateway, base_url=url, keys=keys, sandbox=True
            )

    keys = demo.keys[gateway]
    account = demo.accounts.get(gateway) or await connect(keys)
    notify_url = settings.notification_url(gateway, account)
    async with httpx.AsyncClient(timeout=10) as client:
        return await connect(await register(client, gateway, url, keys, _SANDBOX_ID, _NAME, notify_url))
