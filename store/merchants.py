"""Merchants, the keys they call us with, and their accounts at providers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store import api_keys, ids
from store.actors import Actor
from store.tables import GatewayAccount, Merchant
from store.vault import Vault

_KEYS_PURPOSE = "gateway_account"


@dataclass(frozen=True)
class Principal:
    """On whose behalf a call is made, and in which mode; everything it may see belongs to both."""

    merchant_id: str
    livemode: bool
    by: Actor | None = field(default=None, compare=False)
    """Who makes the call, for the trail; None inside of the engine."""


async def create(session: AsyncSession, name: str) -> Merchant:
    """A new merchant, without keys."""
    merchant = Merchant(id=ids.new("mer"), name=name)
    session.add(merchant)
    await session.flush()
    return merchant


async def issue_key(session: AsyncSession, merchant_id: str, *, livemode: bool) -> str:
    """A new API key; `store.api_keys` has everything else about keys."""
    return (await api_keys.issue(session, merchant_id, livemode=livemode)).key


async def principal_for(session: AsyncSession, key: str) -> Principal | None:
    """Whose calls the key opens; None where it opens nothing."""
    try:
        row = await api_keys.recognise(session, key, datetime.now(UTC))
    except api_keys.KeyRefused:
        return None
    return Principal(row.merchant_id, row.livemode)


async def connect_account(
    session: AsyncSession,
    vault: Vault,
    principal: Principal,
    *,
    gateway: str,
    base_url: str,
    keys: Mapping[str, str],
    sandbox: bool = False,
) -> str:
    """The id of the merchant's account at this gateway in this mode; connecting again replaces address and keys."""
    given: dict[str, Any] = {"base_url": base_url, "sandbox": sandbox, "sealed_keys": sealed_keys(vault, keys)}
    account = GatewayAccount(
        id=ids.new("gwa"), merchant_id=principal.merchant_id, livemode=principal.livemode, gateway=gateway, **given
    )
    statement = (
        insert(GatewayAccount)
        .values(**account.model_dump())
        .on_conflict_do_update(index_elements=["merchant_id", "livemode", "gateway"], set_=given)
        .returning(col(GatewayAccount.id))
    )
    return str((await session.exec(statement)).scalar_one())


async def account_for(session: AsyncSession, principal: Principal, gateway: str) -> GatewayAccount | None:
    """The merchant's account at this gateway in this mode; None if it was never connected."""
    query = select(GatewayAccount).where(
        GatewayAccount.merchant_id == principal.merchant_id,
        GatewayAccount.livemode == principal.livemode,
        GatewayAccount.gateway == gateway,
    )
    return (await session.exec(query)).first()


def sealed_keys(vault: Vault, keys: Mapping[str, str]) -> str:
    """A gateway account's keys for its row."""
    return vault.seal(_KEYS_PURPOSE, json.dumps(dict(keys)))


def opened_keys(vault: Vault, account: GatewayAccount) -> dict[str, str]:
    """A gateway account's keys, for the length of one call. Raises VaultError."""
    keys: dict[str, str] = json.loads(vault.open(_KEYS_PURPOSE, account.sealed_keys))
    return keys
