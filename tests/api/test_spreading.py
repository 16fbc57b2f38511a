"""An installation's own debit window, as a merchant sees it."""

from __future__ import annotations

from dataclasses import replace

import httpx
from temporalio.client import Client

from api.app import create_app
from settings import Settings
from store.database import Database
from store.vault import Vault
from tests.api.conftest import QUICK, Shop


async def test_an_installation_may_spread_agreements_whose_terms_do_not_say(
    settings: Settings, database: Database, vault: Vault, temporal: Client, shop: Shop
) -> None:
    spreading = create_app(settings.model_copy(update={"debit_window_minutes": 60}), database, vault, temporal, QUICK)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(spreading), base_url="https://pay.example") as http:
        there = replace(shop, http=http)
        made, exact = (
            await there.create(),
            await there.create(reference="sub-exact", terms={"debit_window_minutes": None}),
        )
        found = [(await there.get(f"/v1/agreements/{each['id']}/schedule", count=1)).json() for each in (made, exact)]
    assert [each["terms"]["debit_window_minutes"] for each in (made, exact)] == [60, None]
    assert ["jitter" in each["data"][0]["rules"] for each in found] == [True, False]
