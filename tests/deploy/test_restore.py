"""The disaster drill: PostgreSQL comes back from a backup, Temporal does not come back at all (docs/deploy.md).

What the sandboxes' ledgers say is what customers paid.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from agreements.recovery import NEVER_RECEIVED, may_have_been_made
from cli.embedded.postgres import create_database
from cli.recover import NotFresh, NotStarted, recover
from store.migrate import migrate
from store.tables import Attempt
from tests.deploy.lives import backup, life, register, register_bare, restore
from tests.sandbox.support import free_port
from tests.support.house import House, Shop
from worker import _refuse_lost_workflows

SIGNED = "2027-01-30T21:00:00Z"
BACKED_UP = "2027-02-10T00:00:00Z"
LAST_DEBITS = "2027-03-05T00:00:00Z"
STOPPED = datetime(2027, 4, 1, tzinfo=UTC)
"""Later than the last debits: with the debits of 31 March the old engine was too late."""
RECOVERED = "2027-04-20T00:00:00Z"
LOST_AGAIN = "2027-05-20T00:00:00Z"
GATEWAYS = ("antom", "ottu", "pivot")


async def open_shops(engine: House) -> dict[str, Shop]:
    return dict(zip(GATEWAYS, await asyncio.gather(*(engine.shop(gateway) for gateway in GATEWAYS)), strict=True))


async def debits(shop: Shop, agreement: str) -> Counter[str]:
    """How often each cycle was paid, as the provider sees it."""
    rows = [row for row in await shop.ledger(agreement) if (row["kind"], row["status"]) == ("debit", "succeeded")]
    return Counter(row["request_id"].rpartition("-a")[0].rpartition("-")[2] for row in rows)


async def cycles(shop: Shop, agreement: str) -> list[tuple[int, str]]:
    found = [charge for charge in await shop.charges(agreement) if charge["status"] != "scheduled"]
    return [(charge["cycle"], charge["status"]) for charge in found if charge["cycle"] is not None]


def set_up(monkeypatch: pytest.MonkeyPatch, engine: House) -> None:
    """The environment in which an operator would call `autodebit recover` for this engine."""
    settings = engine.settings
    for name in ("database_url", "temporal_address", "temporal_namespace"):
        monkeypatch.setenv(f"AUTODEBIT_{name.upper()}", getattr(settings, name))
    monkeypatch.setenv("AUTODEBIT_VAULT_KEYS", settings.vault_keys[0].get_secret_value())
    monkeypatch.setenv("AUTODEBIT_VAULT_HASH_KEY", settings.vault_hash_key.get_secret_value())


def paid(count: int) -> Counter[str]:
    return Counter({f"c{cycle}": 1 for cycle in range(1, count + 1)})


@pytest.mark.deploy
@pytest.mark.timeout(600)
async def test_after_a_restore_nothing_is_debited_twice_and_nothing_is_forgotten(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await create_database(house.settings.database_url, "drill")
    await migrate(url)
    await register(house, "drill-1", "drill-2", "drill-3")
    await register_bare(house, "drill-bare")
    dump, port = str(tmp_path / "autodebit.dump"), free_port()

    async with life(house, url, "drill-1", port) as first:
        shops = await open_shops(first)
        clocks = {gateway: await shop.clock(SIGNED) for gateway, shop in shops.items()}
        lives = {gateway: await shop.agree(clocks[gateway]) for gateway, shop in shops.items()}
        paused = await shops["antom"].agree(clocks["antom"])
        await shops["antom"].call("POST", f"/v1/agreements/{paused}/pause", {})
        await asyncio.gather(*(shop.advance(clocks[gateway], BACKED_UP) for gateway, shop in shops.items()))
        await backup(url, dump)
        await asyncio.gather(*(shop.advance(clocks[gateway], LAST_DEBITS) for gateway, shop in shops.items()))
        for gateway, shop in shops.items():
            assert await debits(shop, lives[gateway]) == paid(2)
        set_up(monkeypatch, first)
        with pytest.raises(NotFresh):
            await recover(STOPPED)

    await restore(url, dump)
    async with life(house, url, "drill-2", port) as second:
        with pytest.raises(SystemExit, match="autodebit recover"):
            await _refuse_lost_workflows(second.temporal, second.database)
        set_up(monkeypatch, second)
        # Somebody forgets `autodebit migrate`, which registers the search attributes.
        monkeypatch.setenv("AUTODEBIT_TEMPORAL_NAMESPACE", "drill-bare")
        with pytest.raises(NotStarted, match="no mapping defined for search attribute"):
            await recover(STOPPED)
        set_up(monkeypatch, second)
        await recover(STOPPED)
        await _refuse_lost_workflows(second.temporal, second.database)
        shops = {gateway: replace(shop, house=second) for gateway, shop in shops.items()}
        for gateway, shop in shops.items():
            assert await cycles(shop, lives[gateway]) == [(1, "succeeded")]
        await asyncio.gather(*(shop.advance(clocks[gateway], RECOVERED) for gateway, shop in shops.items()))
        for gateway, shop in shops.items():
            assert await debits(shop, lives[gateway]) == paid(3)
            assert await cycles(shop, lives[gateway]) == [(1, "succeeded"), (2, "succeeded"), (3, "succeeded")]
        assert (await shops["antom"].read(paused))["status"] == "paused"
        # Ottu promises nothing about a repeat: what it never received is tried again as another attempt.
        assert await never_received(second, lives["ottu"]) == [f"{lives['ottu']}-c3-a1"]

    async with life(house, url, "drill-3", port) as third:
        set_up(monkeypatch, third)
        await recover(None)
        shops = {gateway: replace(shop, house=third) for gateway, shop in shops.items()}
        await asyncio.gather(*(shop.advance(clocks[gateway], LOST_AGAIN) for gateway, shop in shops.items()))
        for gateway, shop in shops.items():
            assert await debits(shop, lives[gateway]) == paid(4)
        assert (await shops["antom"].read(paused))["status"] == "paused"


async def never_received(engine: House, agreement: str) -> list[str]:
    query = select(Attempt.gateway_request_id).where(
        Attempt.agreement_id == agreement, Attempt.evidence == NEVER_RECEIVED
    )
    async with engine.database.transaction() as session:
        return list(await session.exec(query))


def test_only_what_fell_due_before_the_old_engine_stopped_may_have_been_made() -> None:
    before, after = datetime(2027, 3, 31, tzinfo=UTC), datetime(2027, 4, 2, tzinfo=UTC)
    assert may_have_been_made(STOPPED, before, [])
    assert may_have_been_made(STOPPED, STOPPED, ["insufficient_funds"])
    assert not may_have_been_made(STOPPED, after, [])
    assert not may_have_been_made(None, before, [])


def test_behind_an_attempt_that_never_arrived_there_is_none() -> None:
    assert not may_have_been_made(STOPPED, STOPPED, [None, NEVER_RECEIVED])
