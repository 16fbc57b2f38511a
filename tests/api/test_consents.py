"""What merchants may say of a consent they saw, and who may read what is kept of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from agreements.consents import How, Seen
from store import consents
from store.database import Database
from store.tables import Consent
from store.vault import Vault
from tests.api.conftest import Shop, activate, assert_problem, body, rows

SOON = (datetime.now(UTC) + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("consent", "pointer"),
    [
        ({"locale": "English, please"}, "/consent/locale"),
        ({"ip": "198.51.100.999"}, "/consent/ip"),
        ({"ip": 3221225985}, "/consent/ip"),
        ({"user_agent": "Mozilla\n5.0"}, "/consent/user_agent"),
        ({"user_agent": "x" * 513}, "/consent/user_agent"),
        ({"shown_at": "2026-01-31T09:00:00"}, "/consent/shown_at"),
        ({"shown_at": 1769821200}, "/consent/shown_at"),
        ({"shown_at": "0001-01-01T00:00:00+14:00"}, "/consent/shown_at"),
        ({"shown_at": "2026-01-31T09:00:60Z"}, "/consent/shown_at"),
        ({"shown_at": SOON}, "/consent/shown_at"),
        ({"text": ""}, "/consent/text"),
        ({"text": "x" * 16_385}, "/consent/text"),
        ({"address": "Quezon City"}, "/consent/address"),
    ],
)
async def test_what_is_no_evidence_is_refused(
    shop: Shop, database: Database, consent: dict[str, Any], pointer: str
) -> None:
    assert_problem(await shop.post("/v1/agreements", body(consent=consent)), 422, "invalid_request", pointer)
    assert (await rows(database, shop))["Agreement"] == 0


@pytest.mark.parametrize("consent", [{}, {"ip": "2001:db8::7"}, {"locale": "zh-Hant-TW"}, {"text": "x" * 16_384}])
async def test_each_part_of_the_evidence_may_be_left_out(shop: Shop, consent: dict[str, Any]) -> None:
    made = await shop.create(consent=consent)
    assert "consent" not in made, "it is not shown but where it is asked for"
    assert (await shop.get(f"/v1/agreements/{made['id']}/consents")).json()["data"] == []


async def test_nobody_reads_the_consents_of_anothers_customers(shop: Shop, live_shop: Shop) -> None:
    made = await shop.create()
    assert_problem(await live_shop.get(f"/v1/agreements/{made['id']}/consents"), 404, "not_found")


async def test_a_customer_who_changes_the_card_on_their_own_page_is_seen_there(
    shop: Shop, database: Database, vault: Vault
) -> None:
    agreement = (await shop.create())["id"]
    await activate(database, vault, agreement, token="at_1")
    link = (await shop.post(f"/v1/agreements/{agreement}/portal-links", {"locale": "en"})).json()["url"]
    await shop.http.post(f"{link}/card-change", headers={"User-Agent": "Phone 9"})
    async with database.transaction() as session:
        query = select(Consent).where(Consent.agreement_id == agreement, col(Consent.card_change_id).is_not(None))
        consent = (await session.exec(query)).one()
    assert (consent.how, consent.given_at) == (How.PORTAL, None)
    [seen] = consents.evidence(vault, consent).sightings
    assert (seen.where, seen.user_agent, seen.locale, seen.ip) == (Seen.PORTAL, "Phone 9", "en", "127.0.0.1")
    assert "Phone 9" not in repr(consent)
