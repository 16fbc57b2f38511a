"""Promise 8: what the vault seals opens with the right key and for the right purpose only, and keys can be changed."""

from __future__ import annotations

import asyncio
import os
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator

import asyncpg
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from settings import Settings
from store import ids, journal, merchants, rotation, tables
from store.database import Database
from store.journal import JournalledMessage
from store.merchants import Principal
from store.migrate import migrate
from store.tables import Credential, GatewayAccount, Notification, WebhookEndpoint
from store.tables.columns import utcnow
from store.vault import Vault, VaultError
from tests.support.house import House

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


def vault(*keys: str, hash_key: str = "hash key") -> Vault:
    return Vault([SecretStr(key) for key in keys], SecretStr(hash_key))


secrets_ = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
purposes = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=20)


@given(purposes, secrets_)
def test_what_was_sealed_opens_again(purpose: str, secret: str) -> None:
    sealed = vault(OLD).seal(purpose, secret)
    assert vault(OLD).open(purpose, sealed) == secret
    assert vault(NEW, OLD).open(purpose, sealed) == secret
    assert len(secret) < 8 or secret not in sealed, "shorter ones are in any text of letters by chance"
    assert sealed != vault(OLD).seal(purpose, secret), "equal secrets must not be seen to be equal"


@given(purposes, purposes, secrets_)
def test_it_opens_for_its_purpose_only(purpose: str, other: str, secret: str) -> None:
    sealed = vault(OLD).seal(purpose, secret)
    if other != purpose:
        with pytest.raises(VaultError):
            vault(OLD).open(other, sealed)


@given(secrets_, st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_is_noticed(secret: str, place: int, change: int) -> None:
    """One of those that the letters stand for: not every bit of the last letter stands for something."""
    sealed = bytearray(urlsafe_b64decode(vault(OLD).seal("token", secret)))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(VaultError) as raised:
        vault(OLD).open("token", urlsafe_b64encode(sealed).decode())
    assert str(raised.value) == "a sealed token does not open with this key ring", "whatever the secret is"


@given(st.text(max_size=300))
def test_whatever_is_no_sealed_text_is_refused_as_such(text: str) -> None:
    with pytest.raises(VaultError):
        vault(OLD).open("token", text)
    with pytest.raises(VaultError):
        vault(OLD).rotate(text)
    assert not vault(OLD).is_current(text)


@given(secrets_)
def test_another_key_does_not_open_it(secret: str) -> None:
    with pytest.raises(VaultError):
        vault(OTHER).open("token", vault(OLD).seal("token", secret))


@given(secrets_)
def test_rotation_moves_a_secret_to_the_newest_key(secret: str) -> None:
    before = vault(OLD).seal("token", secret)
    ring = vault(NEW, OLD)
    after = ring.rotate(before)
    assert (ring.is_current(before), ring.is_current(after)) == (False, True)
    assert vault(NEW).open("token", after) == secret
    with pytest.raises(VaultError):
        vault(OLD).open("token", after)


@given(secrets_, secrets_)
def test_a_fingerprint_tells_secrets_apart_and_needs_its_key(one: str, other: str) -> None:
    assert (vault(OLD).fingerprint(one) == vault(NEW).fingerprint(other)) is (one == other)
    assert vault(OLD).fingerprint(one) != vault(OLD, hash_key="another").fingerprint(one)


@pytest.fixture
async def settings(house: House) -> AsyncIterator[Settings]:
    """A database of its own on the shared server, with the old key first in the ring."""
    name = f"rotation_{ids.new('db')[3:]}"
    plain = house.settings.database_url.replace("+asyncpg", "")
    server = await asyncpg.connect(plain)
    await server.execute(f"create database {name}")
    url = f"{house.settings.database_url.rsplit('/', 1)[0]}/{name}"
    await migrate(url)
    yield house.settings.model_copy(update={"database_url": url, "vault_keys": (SecretStr(OLD),)})
    await server.execute(f"drop database {name} with (force)")
    await server.close()


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    found = Database(settings.database_url, pool_size=5)
    yield found
    await found.close()


async def fill(database: Database, old: Vault, credentials: int = 1) -> str:
    """One row, or more, for every sealed column; the account's id."""
    async with database.transaction() as session:
        merchant = await merchants.create(session, "Example Store")
        principal = Principal(merchant.id, livemode=False)
        account = await merchants.connect_account(
            session, old, principal, gateway="antom", base_url="https://antom.example", keys={"client_id": "mine"}
        )
        session.add(WebhookEndpoint(
            id=ids.new("whe"), merchant_id=merchant.id, livemode=False, url="https://m.example/", event_types=["*"],
            sealed_secret=old.seal("webhook_secret", "whsec_1"),
        ))  # fmt: skip
        session.add(Notification(
            id=ids.new("ntf"), account_id=account, source="notification",
            sealed_message=journal.seal(old, JournalledMessage(query={"authCode": "ac_1"})),
        ))  # fmt: skip
        for number in range(credentials):
            session.add(credential(old, merchant.id, account, number))
    return account


def credential(old: Vault, merchant: str, account: str, number: int) -> Credential:
    return Credential(
        id=ids.new("crd"), merchant_id=merchant, livemode=False, customer_id="cus-7", gateway="antom",
        account_id=account, kind="wallet", brand="GCASH", issued_at=utcnow(),
        sealed_access_token=old.seal("access_token", f"at_{number}"),
        sealed_refresh_token=old.seal("refresh_token", f"rt_{number}") if number % 2 == 0 else None,
        token_hash=old.fingerprint(f"at_{number}"),
    )  # fmt: skip


async def rotate_command(settings: Settings, *keys: str) -> tuple[int, str]:
    """`autodebit vault rotate` as a program: its exit code and what it printed."""
    environment = os.environ | {
        "AUTODEBIT_DATABASE_URL": settings.database_url,
        "AUTODEBIT_TEMPORAL_ADDRESS": settings.temporal_address,
        "AUTODEBIT_VAULT_KEYS": ",".join(keys),
        "AUTODEBIT_VAULT_HASH_KEY": "hash key",
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "cli.main", "vault", "rotate",
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await program.communicate()
    assert program.returncode is not None
    return program.returncode, output.decode()


async def opened(session: AsyncSession, by: Vault) -> list[str]:
    """Every secret in the database, opened with these keys alone."""
    account = (await session.exec(select(GatewayAccount))).one()
    endpoint = (await session.exec(select(WebhookEndpoint))).one()
    message = (await session.exec(select(Notification))).one()
    found = [
        merchants.opened_keys(by, account)["client_id"],
        by.open("webhook_secret", endpoint.sealed_secret),
        journal.unseal(by, message.sealed_message).query["authCode"],
    ]
    for row in await session.exec(select(Credential).order_by(col(Credential.id))):
        found.append(by.open("access_token", row.sealed_access_token or ""))
        if row.sealed_refresh_token:
            found.append(by.open("refresh_token", row.sealed_refresh_token))
    return sorted(found)


async def test_after_a_rotation_the_old_key_may_be_dropped(settings: Settings, database: Database) -> None:
    old = vault(OLD)
    await fill(database, old, credentials=230)
    async with database.transaction() as session:
        before = await opened(session, old)
    code, output = await rotate_command(settings, NEW, OLD)
    assert code == 0, output
    filled = {
        "credentials.sealed_access_token": 230,
        "credentials.sealed_refresh_token": 115,
        "gateway_accounts.sealed_keys": 1,
        "notifications.sealed_message": 1,
        "webhook_endpoints.sealed_secret": 1,
    }
    everywhere = (f"{column.table.name}.{column.name}" for column in rotation.sealed_columns())
    assert sorted(line for line in output.splitlines() if "sealed_" in line) == sorted(
        f"{name}: {filled.get(name, 0)} sealed again, 0 current already, 0 unreadable" for name in everywhere
    )
    async with database.transaction() as session:
        assert await opened(session, vault(NEW)) == before
        found = await session.exec(select(Credential).where(Credential.token_hash == vault(NEW).fingerprint("at_7")))
        assert vault(NEW).open("access_token", found.one().sealed_access_token or "") == "at_7"

    again = await rotation.rotate(database, vault(NEW))
    assert sum(counts["resealed"] for counts in again.values()) == 0
    assert sum(counts["current"] for counts in again.values()) == 348


async def test_what_opens_with_no_key_is_told_and_left_as_it_is(settings: Settings, database: Database) -> None:
    await fill(database, vault(OTHER))
    code, output = await rotate_command(settings, NEW, OLD)
    assert code == 1
    assert "5 sealed values open with none of the keys" in output
    async with database.transaction() as session:
        assert len(await opened(session, vault(OTHER))) == 5


async def test_a_secret_written_while_the_rotation_runs_is_not_overwritten(database: Database) -> None:
    old = vault(OLD)
    await fill(database, old)
    async with database.transaction() as session:
        row = (await session.exec(select(Credential).with_for_update())).one()
        rotating = asyncio.create_task(rotation.rotate(database, vault(NEW, OLD)))
        async with database.transaction() as watching, asyncio.timeout(60):
            locked = "select count(*) from pg_locks where not granted"
            while not await _count(watching, locked):
                await asyncio.sleep(0.02)
        row.sealed_access_token = old.seal("access_token", "refreshed")
    await rotating
    async with database.transaction() as session:
        row = (await session.exec(select(Credential))).one()
        assert vault(NEW).open("access_token", row.sealed_access_token or "") == "refreshed"


async def _count(session: AsyncSession, query: str) -> int:
    return int((await (await session.connection()).exec_driver_sql(query)).scalar_one())


def test_every_column_that_names_itself_sealed_is_rotated_and_no_other_holds_secrets() -> None:
    known = {f"{column.table.name}.{column.name}" for column in rotation.sealed_columns()}
    everywhere = {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if column.name.startswith("sealed")
    }
    assert known == everywhere
    assert {getattr(tables, name).__tablename__ for name in tables.__all__} == set(SQLModel.metadata.tables)
