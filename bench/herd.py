"""A herd: agreements by the hundred that fall due at one instant.

One agreement is lived through the API, authorized by its customer and waiting for its first debit. The herd is that
agreement's rows many times over, with the due instant brought near, and the workflow of each is started as the engine
starts it. From there on nothing is staged: timers, activities, debits and events are the engine's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from temporalio.client import Client

from agreements.attempts import order_id
from bench.clones import clone
from store import standings
from store.database import Database
from workflows import client as workflows
from workflows.messages import agreement_workflow_id

_AT_ONCE = 16
_DIGITS = 26
"""Of an id, behind its prefix."""

_OWNERS = {
    "merchants": (
        "jsonb_build_object('id', '{owner}')",
        "r.id = (select merchant_id from agreements where id = :like)",
    ),
    "gateway_accounts": (
        "jsonb_build_object('id', '{account}', 'merchant_id', '{owner}')",
        "r.id = (select account_id from agreements where id = :like)",
    ),
}
_ROWS = {
    "credentials": (
        "jsonb_build_object('id', {id}, 'token_hash', {id}, 'customer_id', 'cus-' || {id})",
        "r.id = (select credential_id from agreements where id = :like)",
    ),
    "agreements": (
        "jsonb_build_object('id', {id}, 'reference', {id}, 'credential_id', {credential},"
        " 'customer_id', 'cus-' || {id}, 'sequence', 0,"
        " 'next_charge_at', cast(:due as text), 'next_step_at', cast(:due as text))",
        "r.id = :like",
    ),
    "charges": (
        "jsonb_build_object('id', {id}, 'agreement_id', {agreement}, 'due_at', cast(:due as text),"
        " 'next_attempt_at', cast(:due as text))",
        "r.agreement_id = :like and r.cycle = 1",
    ),
}
_OWNED = " || jsonb_build_object('merchant_id', '{owner}', 'account_id', '{account}')"
_PREFIXES = {"credentials": "crd", "agreements": "agr", "charges": "chg"}


@dataclass(frozen=True)
class Herd:
    """`count` agreements due at `due_at` (UTC). `name` is at most 16 letters and digits, and used once."""

    name: str
    count: int
    due_at: datetime

    @property
    def ids(self) -> list[str]:
        """Of the agreements."""
        return [f"agr_{self._number(n)}" for n in range(1, self.count + 1)]

    @property
    def orders(self) -> list[str]:
        """What the provider knows their first debits by."""
        numbers = (self._number(n) for n in range(1, self.count + 1))
        return [order_id(f"agr_{number}", 1, f"chg_{number}") for number in numbers]

    @property
    def workflows(self) -> list[str]:
        return [agreement_workflow_id(id_) for id_ in self.ids]

    def _number(self, n: int) -> str:
        return self.name + str(n).zfill(_DIGITS - len(self.name))


async def own(database: Database, like: str, owner: str) -> None:
    """A merchant of this id, with an account at the provider like that of the agreement `like`."""
    async with database.transaction() as session:
        connection = await session.connection()
        for table, (changes, which) in _OWNERS.items():
            made = changes.format(owner=owner, account=_account(owner))
            await clone(connection, table, made, which, count=1, like=like)


async def gather(database: Database, like: str, herd: Herd, owner: str | None = None) -> None:
    """Writes the herd's rows after those of the agreement `like`, for its merchant or for another `owner`."""
    given = {"count": herd.count, "like": like}
    ids = {
        row: f"'{prefix}_{herd.name}' || lpad(n::text, {_DIGITS - len(herd.name)}, '0')"
        for row, prefix in _PREFIXES.items()
    }
    async with database.transaction() as session:
        connection = await session.connection()
        for table, (changes, which) in _ROWS.items():
            made = changes.format(id=ids[table], credential=ids["credentials"], agreement=ids["agreements"])
            if owner is not None:
                made += _OWNED.format(owner=owner, account=_account(owner))
            due = {"due": herd.due_at.isoformat()} if ":due" in made else {}
            await clone(connection, table, made, which, **given, **due)


def _account(owner: str) -> str:
    return f"gwa_{owner}"


async def start(temporal: Client, database: Database, herd: Herd) -> None:
    """Starts the workflow of each."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(id_: str) -> None:
        async with places:
            await workflows.start_agreement(temporal, await standings.current(database, id_))

    await asyncio.gather(*(one(id_) for id_ in herd.ids))


async def settled(database: Database, ids: Sequence[str]) -> int:
    """How many of these have been collected."""
    query = text("select count(*) from charges where agreement_id = any(:ids) and cycle = 1 and status = 'succeeded'")
    async with database.transaction() as session:
        return int((await (await session.connection()).execute(query, {"ids": list(ids)})).scalar_one())
