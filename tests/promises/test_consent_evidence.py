"""Every consent leaves evidence: what was shown, its hash, and who was seen; and none of the latter leaks."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlmodel import select

from store.tables import Consent, Event
from tests.promises.customers import ask, give, has_changed, in_use
from tests.promises.leaks import histories, leaked
from tests.promises.support import START, until
from tests.support.house import Shop, agreement_body

TEXT = "I let Example Store debit PHP 499.00 from my GCash account on the last day of each month."
SEEN = {"locale": "en-PH", "ip": "198.51.100.77", "user_agent": "Shop Browser 7"}


async def consents(shop: Shop, agreement: str) -> list[dict[str, Any]]:
    """Oldest first."""
    found = await shop.call("GET", f"/v1/agreements/{agreement}/consents")
    return list(reversed(found["data"]))


def sha256_of(document: dict[str, Any]) -> str:
    """As an auditor computes it: RFC 8785, which for text and whole numbers is this."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def test_every_consent_can_be_shown_to_whoever_doubts_it(shop: Shop) -> None:
    """The agreement's own, a card change after the terms were cut, and another agreement with the same credential."""
    clock = await shop.clock(START)
    asked = agreement_body(clock, consent={**SEEN, "shown_at": "2027-01-31T07:59:00+08:00", "text": TEXT})
    made = await shop.call("POST", "/v1/agreements", asked, 201)
    agreement = made["id"]
    assert await consents(shop, agreement) == [], "nobody has agreed yet"
    await shop.decide(made["authorization"]["url"], decision="approve")
    await shop.until_status(agreement, "active")
    first = await in_use(shop, agreement)

    [consent] = await consents(shop, agreement)
    assert (consent["how"], consent["card_change"], consent["credential"]["id"]) == ("provider_page", None, first)
    assert consent["shown"]["terms"] == made["terms"]
    assert (consent["shown"]["merchant"], consent["shown"]["reference"]) == ("Example Store", asked["reference"])
    assert consent["shown_hash"] == sha256_of(consent["shown"])
    assert (consent["text"], consent["text_hash"]) == (TEXT, hashlib.sha256(TEXT.encode()).hexdigest())
    assert (consent["asked_at"], consent["given_at"][:10]) == (START, "2027-01-31")
    merchants, ours = consent["sightings"]
    assert merchants == {**SEEN, "where": "merchant", "at": "2027-01-30T23:59:00Z"}
    assert (ours["where"], ours["ip"]) == ("return", "127.0.0.1")
    assert ours["user_agent"].startswith("python-httpx/")

    shorter = {"terms": {"total_cycles": 6}}
    await shop.call("PATCH", f"/v1/agreements/{agreement}", shorter)
    link = await ask(shop, agreement)
    await give(shop, link["url"])
    await until(lambda: has_changed(shop, agreement))
    assert (await consents(shop, agreement))[0]["shown"] == consent["shown"], "what was agreed stays what it was"
    changed = (await consents(shop, agreement))[1]
    assert (changed["how"], changed["card_change"]) == ("provider_page", link["id"])
    assert changed["credential"]["id"] == await in_use(shop, agreement)
    assert changed["shown"]["terms"]["total_cycles"] == 6
    assert changed["shown_hash"] == sha256_of(changed["shown"]) != consent["shown_hash"]
    assert [(seen["where"], seen["ip"]) for seen in changed["sightings"]] == [
        ("card_change_link", "127.0.0.1"),
        ("return", "127.0.0.1"),
    ]
    assert changed["sightings"][0]["locale"] == "en"

    method = {"type": "GCASH", "credential": await in_use(shop, agreement)}
    other = (await shop.call("POST", "/v1/agreements", agreement_body(clock, payment_method=method), 201))["id"]
    [reused] = await consents(shop, other)
    assert (reused["how"], reused["authorization"], reused["text"]) == ("reused_credential", None, None)
    assert (reused["given_at"], reused["sightings"]) == (reused["asked_at"], [])
    await nothing_leaked(shop)


async def nothing_leaked(shop: Shop) -> None:
    """Who was seen, and what they read, is in no history, event or column in clear."""
    secrets = [SEEN["ip"], SEEN["user_agent"], TEXT]
    for name, history in (await histories(shop.house.temporal)).items():
        assert leaked(history, secrets) == set(), name
    async with shop.house.database.transaction() as session:
        events = await session.exec(select(Event.data).where(Event.merchant_id == shop.merchant_id))
        rows = await session.exec(select(Consent).where(Consent.merchant_id == shop.merchant_id))
        for found in (*events, *(row.model_dump(mode="json") for row in rows)):
            assert leaked(json.dumps(found).encode(), secrets) == set()
