"""What merchants may say of a consent they saw, and who may read what is kept of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.database import Database
from tests.api.conftest import Shop, assert_problem, body, rows

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
