"""Merchants hear again of a link nobody used, and in time of a credential that is about to expire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.contract import StepInput
from activities.reminders import Reminders
from store.changes import change
from store.tables import Credential
from tests.promises.customers import ask, declined, give, has_changed
from tests.promises.support import START, audited, by_hand, types, until, unwatched
from tests.support.house import House, Shop

WARNING = "credential.expiring"


async def told(shop: Shop, agreement: str, type_: str) -> list[dict[str, Any]]:
    return [event for event in await shop.events(agreement) if event["type"] == type_]


async def test_a_link_nobody_uses_is_reminded_of_twice_and_then_runs_out(shop: Shop) -> None:
    """Seven days: after two days and eight hours, and after twice that. Opening it is not using it."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    link = await ask(shop, agreement)
    await shop.advance(clock, "2027-02-02T07:59:00Z")
    assert await told(shop, agreement, "card_change.reminder") == []
    await shop.house.outside.post(link["url"])
    await shop.advance(clock, "2027-02-10T00:00:00Z")
    reminders = await told(shop, agreement, "card_change.reminder")
    assert [(event["created_at"], event["data"]["number"]) for event in reminders] == [
        ("2027-02-02T08:00:00Z", 1),
        ("2027-02-04T16:00:00Z", 2),
    ]
    assert {event["data"]["card_change"]["url"] for event in reminders} == {link["url"]}
    assert reminders[1]["data"]["card_change"]["status"] == "opened"
    assert (await types(shop, agreement, "card_change."))[-1] == "card_change.expired"
    await audited(shop, agreement)


async def test_what_the_customer_wished_for_or_has_done_is_not_reminded_of(shop: Shop) -> None:
    clock, agreement, action = await declined(shop)  # the engine's own link
    await give(shop, action["url"])
    await until(lambda: has_changed(shop, agreement))
    await ask(shop, agreement, "customer")
    await shop.advance(clock, "2027-02-20T00:00:00Z")
    assert await told(shop, agreement, "card_change.reminder") == []
    assert (await types(shop, agreement, "card_change."))[-2:] == ["card_change.requested", "card_change.expired"]


async def test_the_engines_own_link_is_reminded_of_and_an_outage_costs_a_reminder_not_two_at_once(shop: Shop) -> None:
    clock, agreement, action = await declined(shop, retry_policy={"base": "standard", "customer_days": 6})
    asked = datetime.fromisoformat(action["act_by"]) - timedelta(days=6)
    moment = await unwatched(shop.house, clock, (asked + timedelta(days=5)).isoformat())
    step = StepInput(agreement_id=agreement, at=moment)
    async with by_hand(shop.house) as hand:
        for _ in range(2):
            await ActivityEnvironment().run(Reminders(hand.bench).remind_of_card_change, step)
    [reminder] = await told(shop, agreement, "card_change.reminder")
    assert (reminder["data"]["number"], reminder["data"]["card_change"]["initiator"]) == (2, "engine")


async def ends(shop: Shop, agreement: str, at: datetime, *, refresh_at: datetime | None = None) -> None:
    """The agreement's credential ends at this instant."""
    async with change(shop.house.database, agreement) as locked:
        credential = await locked.session.get_one(Credential, locked.agreement.credential_id)
        credential.token_expires_at, credential.refresh_at = at, refresh_at


async def test_a_credential_that_is_about_to_expire_is_announced_once(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await ends(shop, agreement, datetime(2027, 5, 1, tzinfo=UTC))
    await shop.advance(clock, "2027-04-30T23:00:00Z")
    [event] = await told(shop, agreement, WARNING)
    credential = (await shop.read(agreement))["credential"]
    assert event["created_at"] == "2027-04-01T00:00:00Z"
    assert event["data"]["expires_at"] == "2027-05-01T00:00:00Z"
    assert (event["data"]["credential"]["id"], event["data"]["credential"]["last4"]) == (
        credential["id"],
        credential["last4"],
    )
    assert (await shop.read(agreement))["totals"]["cycles_paid"] == 4
    await audited(shop, agreement)


async def test_a_card_ends_with_its_month(house: House) -> None:
    """02/28: a card that Ottu takes, since it lasts a year, for an agreement of three."""
    shop = await house.shop("ottu")
    clock = await shop.clock(START)
    yearly = {"frequency": "yearly", "cycle_interval_days": 360, "total_cycles": 3, "expiry_date": "2029-12-31"}
    body = shop.body(clock, terms=yearly)
    made = await shop.call("POST", "/v1/agreements", body, expect=201)
    await shop.decide(made["authorization"]["url"], decision="approve", expiry="02/28")
    agreement = await shop.until_status(str(made["id"]), "active")
    await shop.advance(clock, "2028-02-02T00:00:00Z")
    [event] = await told(shop, agreement, WARNING)
    assert (event["created_at"], event["data"]["expires_at"]) == ("2028-01-31T00:00:00Z", "2028-03-01T00:00:00Z")


async def test_one_that_is_given_with_less_time_left_is_announced_at_once_and_so_is_its_successor(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await ends(shop, agreement, datetime(2027, 2, 10, tzinfo=UTC))
    await shop.advance(clock, "2027-01-31T00:00:01Z")
    assert [event["created_at"] for event in await told(shop, agreement, WARNING)] == [START]
    await give(shop, (await ask(shop, agreement))["url"])
    await until(lambda: has_changed(shop, agreement))
    await ends(shop, agreement, datetime(2027, 2, 20, tzinfo=UTC))
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    ids = [event["data"]["credential"]["id"] for event in await told(shop, agreement, WARNING)]
    assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize(
    ("refresh_at", "cycles"),
    [(datetime(2027, 4, 16, tzinfo=UTC), 13), (None, 2)],
    ids=["one that is refreshed", "one whose last cycle comes before its end"],
)
async def test_others_are_not_announced(shop: Shop, refresh_at: datetime | None, cycles: int) -> None:
    """The last cycle waits for its customer, so the agreement still lives when the warning would be due."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "success,insufficient_funds", terms={"total_cycles": cycles})
    await ends(shop, agreement, datetime(2027, 4, 2, tzinfo=UTC), refresh_at=refresh_at)
    await shop.advance(clock, "2027-03-05T00:00:00Z")
    assert (await shop.read(agreement))["status"] in ("past_due", "active")
    assert await told(shop, agreement, WARNING) == []
