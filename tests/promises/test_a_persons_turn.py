"""Promise 2 to its end: what stays unknown for a week is a person's to find out, and nothing moves before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agreements.status import AttemptStatus
from cli.charges import Outcome, settle
from store import standings, trail
from store.card_changes import Links
from tests.promises.support import START, agreement_row, attempts, audited, faults, types, workflow_closed
from tests.support.house import Shop

A_WEEK_LATER = "2027-02-08T00:00:00Z"
NOW = datetime(2027, 2, 9, tzinfo=UTC)


async def silent_for_a_week(shop: Shop) -> tuple[str, str, str]:
    """Clock, agreement and the attempt of a cycle whose provider answers nothing for a week."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    async with faults(shop.house, http_500=1.0):
        await shop.advance(clock, A_WEEK_LATER)
    [attempt] = await attempts(shop.house, agreement)
    return clock, agreement, attempt.gateway_request_id


def links(shop: Shop) -> Links:
    return Links(shop.house.vault, shop.house.settings.public_url)


async def test_a_week_of_silence_freezes_the_cycle_until_a_person_has_found_out(shop: Shop) -> None:
    _, agreement, request_id = await silent_for_a_week(shop)
    [attempt] = await attempts(shop.house, agreement)
    assert (attempt.status, attempt.next_look_at) == (AttemptStatus.UNKNOWN, None)
    assert (await types(shop, agreement, "charge."))[-1] == "charge.unknown"
    timeline = (await shop.call("GET", f"/v1/agreements/{agreement}/timeline?limit=200"))["data"]
    [handed_over] = [entry["decision"] for entry in timeline if entry["kind"] == "decision"]
    assert (handed_over["action"], handed_over["rule"]) == ("operator", "unknown_for_a_week")
    assert handed_over["inputs"]["evidence"] == "http_500"

    found = shop.house.database, shop.house.temporal, request_id, Outcome.SUCCEEDED, "ticket 7", links(shop)
    assert await settle(*found) == "succeeded"
    with pytest.raises(LookupError, match="nothing to resolve"):
        await settle(*found)
    [attempt] = await attempts(shop.house, agreement)
    assert attempt.evidence == "operator: ticket 7"


async def test_a_revoked_agreement_stays_open_until_its_unknown_is_settled(shop: Shop) -> None:
    clock, agreement, request_id = await silent_for_a_week(shop)
    await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {})
    await shop.advance(clock, "2027-02-09T00:00:00Z")
    async with shop.house.database.transaction() as session:
        assert not (await standings.read(session, await agreement_row(shop.house, agreement), NOW)).closed
    await settle(shop.house.database, shop.house.temporal, request_id, Outcome.FAILED, "never debited", links(shop))
    async with shop.house.database.transaction() as session:
        last = (await trail.read(session, agreement_id=agreement, merchant_id=None, limit=10))[-1]
    assert (last.actor, last.call, last.reason) == ("operator", "autodebit charges resolve", "failed: never debited")
    await workflow_closed(shop, agreement)
    await audited(shop, agreement)
