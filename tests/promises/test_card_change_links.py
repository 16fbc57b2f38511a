"""The link by which a customer changes the card: used once, replaced, run out, or never used."""

from __future__ import annotations

import asyncio

import pytest

from tests.promises.customers import (
    NEXT_DAY,
    ask,
    changes,
    debits,
    declined,
    exchange_failed,
    follow,
    give,
    held,
    released,
)
from tests.promises.support import (
    START,
    audited,
    faults,
    types,
    until,
    workflow_closed,
)
from tests.support.house import Shop


async def test_the_newer_link_replaces_the_older(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    older, newer = await ask(shop, agreement), await ask(shop, agreement)
    assert (await follow(shop, older["url"])).status_code == 410
    assert await changes(shop, agreement) == ["expired", "pending"]
    await asyncio.gather(*(ask(shop, agreement) for _ in range(3)))
    assert (await changes(shop, agreement)).count("pending") == 1
    assert (await follow(shop, newer["url"])).status_code == 410
    await audited(shop, agreement)


async def test_who_presses_again_asks_the_provider_again(shop: Shop) -> None:
    """It did not answer the first time; nobody has to move the clock for the second."""
    agreement = await shop.agree(await shop.clock(START))
    link = (await ask(shop, agreement))["url"]
    async with faults(shop.house, http_500=1):
        assert (await follow(shop, link)).status_code == 503
    assert (await follow(shop, link)).status_code == 303


async def test_a_page_of_a_replaced_link_changes_nothing(shop: Shop) -> None:
    """The customer approves on the page of the older link after the newer one was made."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    page = await follow(shop, (await ask(shop, agreement))["url"])
    newer = await ask(shop, agreement)
    await shop.decide(page.headers["location"], decision="approve")
    assert await changes(shop, agreement) == ["expired", "pending"]
    await give(shop, newer["url"])
    await until(lambda: released(shop))
    await audited(shop, agreement)


async def test_a_link_works_once_and_may_be_opened_again_before(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    link = (await ask(shop, agreement))["url"]
    first, second = await follow(shop, link), await follow(shop, link)
    assert (first.status_code, second.status_code) == (303, 303)
    await shop.decide(first.headers["location"], decision="approve")
    await until(lambda: released(shop))
    again = await follow(shop, link)
    assert again.status_code == 200
    assert "Already done" in again.text
    late = await shop.decide(second.headers["location"], decision="approve")
    assert late.status_code == 303
    await shop.advance(clock, NEXT_DAY)
    assert len(await held(shop)) == 2
    assert (await types(shop, agreement, "card_change.")) == ["card_change.requested", "card_change.completed"]


async def test_a_customer_who_declines_keeps_the_old_card_and_may_think_again(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    link = (await ask(shop, agreement))["url"]
    page = await follow(shop, link)
    await shop.decide(page.headers["location"], decision="reject")
    await shop.advance(clock, NEXT_DAY)
    assert (await shop.read(agreement))["status"] == "active"
    assert len(await debits(shop, agreement)) == 1
    await give(shop, link)
    await until(lambda: released(shop))
    await audited(shop, agreement)


async def test_a_code_that_is_refused_leaves_the_link(shop: Shop) -> None:
    """The provider was away until the code had run out; the customer follows the link again."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    link = (await ask(shop, agreement))["url"]
    page = await follow(shop, link)
    async with faults(shop.house, http_500=1):
        await shop.decide(page.headers["location"], decision="approve")
        await until(lambda: exchange_failed(shop, agreement))
        await shop.advance(clock, "2027-01-31T00:10:00Z")
    await shop.advance(clock, "2027-01-31T00:40:00Z")
    assert [row["status"] for row in await held(shop)] == ["active"]
    assert await changes(shop, agreement) == ["opened"]
    await give(shop, link)
    await until(lambda: released(shop))
    await audited(shop, agreement)


async def test_a_link_runs_out(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    made = await ask(shop, agreement)
    assert made["expires_at"] == "2027-02-07T00:00:00Z"
    await shop.advance(clock, "2027-02-06T23:59:00Z")
    assert (await shop.house.outside.get(made["url"])).status_code == 200
    await shop.advance(clock, "2027-02-07T00:00:00Z")
    shown, pressed = await shop.house.outside.get(made["url"]), await follow(shop, made["url"])
    assert (shown.status_code, pressed.status_code) == (410, 410)
    types_ = await types(shop, agreement, "card_change.requested", "card_change.expired")
    assert types_ == ["card_change.requested", "card_change.expired"]
    assert (await shop.read(agreement))["status"] == "active"


@pytest.mark.parametrize(("at_end", "status"), [("past_due", "past_due"), ("pause", "paused"), ("revoke", "revoked")])
async def test_the_deadline_passes(shop: Shop, at_end: str, status: str) -> None:
    policy = {"base": "standard", "at_end": at_end, "customer_days": 5}
    clock, agreement, action = await declined(shop, retry_policy=policy)
    assert action["act_by"] == "2027-02-05T01:00:00Z"
    await shop.advance(clock, "2027-02-05T02:00:00Z")
    shown = await shop.read(agreement)
    # A dead card is still a dead card: what is not stopped goes on asking for a new one.
    assert shown["status"] == ("action_required" if status == "past_due" else status)
    assert (await shop.charges(agreement))[0]["status"] == "failed"
    assert await changes(shop, agreement) == ["expired"]
    assert (await follow(shop, action["url"])).status_code == 410
    if status == "revoked":
        await workflow_closed(shop, agreement)
    await audited(shop, agreement)


async def test_a_card_that_comes_after_the_deadline_collects_what_was_given_up(shop: Shop) -> None:
    clock, agreement, _ = await declined(shop, retry_policy={"base": "standard", "customer_days": 5})
    await shop.advance(clock, "2027-02-06T00:00:00Z")
    await give(shop, (await ask(shop, agreement))["url"])
    await until(lambda: released(shop))
    await shop.until_status(agreement, "active")
    assert (await audited(shop, agreement))[0]["status"] == "succeeded"
