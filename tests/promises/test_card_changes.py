"""Promise 5: a card change never leaves an agreement without a working credential, and collects what is overdue."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlmodel import select

from agreements.status import AttemptStatus
from store import card_changes, ids, releases, standings
from store.changes import change
from store.tables import Authorization, Credential
from tests.promises.support import (
    START,
    agreement_row,
    attempts,
    audited,
    by_hand,
    charge_step,
    faults,
    types,
    until,
    unwatched,
    workflow_closed,
)
from tests.support.house import Shop

DUE = "2027-01-31T01:00:00Z"
NEXT_DAY = "2027-02-01T01:00:00Z"


async def held(shop: Shop) -> list[dict[str, Any]]:
    """The wallet's credentials for this merchant, oldest first."""
    answer = await shop.house.outside.get(f"{shop.house.sandbox_url}/_sandbox/credentials")
    return [row for row in answer.json()["data"] if row["client_id"] == shop.client_id]


async def follow(shop: Shop, link: str) -> httpx.Response:
    """The customer presses the button of our page."""
    return await shop.house.outside.post(link)


async def give(shop: Shop, link: str, script: str = "success") -> httpx.Response:
    """The customer goes through with it; the answer is our return address's."""
    page = await follow(shop, link)
    assert page.status_code == 303, page.text
    return await shop.decide(page.headers["location"], decision="approve", script=script)


async def ask(shop: Shop, agreement: str, initiator: str = "merchant", **more: Any) -> dict[str, Any]:
    return await shop.call("POST", f"/v1/agreements/{agreement}/card-changes", {"initiator": initiator} | more, 201)


async def changes(shop: Shop, agreement: str) -> list[str]:
    """The states of an agreement's card changes, oldest first."""
    found = await shop.call("GET", f"/v1/agreements/{agreement}/card-changes")
    return [row["status"] for row in reversed(found["data"])]


async def declined(shop: Shop, script: str = "expired_card", **terms: Any) -> tuple[str, str, dict[str, Any]]:
    """Clock, agreement and the customer's action, after a decline that no waiting heals."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, script, **terms)
    await shop.advance(clock, NEXT_DAY)
    return clock, agreement, (await shop.read(agreement))["action"]


async def debits(shop: Shop, agreement: str) -> list[tuple[str, str]]:
    """Every debit: its day and what became of it."""
    return [(row["virtual_time"][:10], row["status"]) for row in await shop.ledger(agreement) if row["kind"] == "debit"]


async def released(shop: Shop) -> bool:
    return [row["status"] for row in await held(shop)] == ["revoked", "active"]


async def test_a_dead_card_is_replaced_and_the_debt_collected_at_once(shop: Shop) -> None:
    clock, agreement, action = await declined(shop)
    assert action["reason"] == "account_blocked"
    [charge] = [row for row in await shop.charges(agreement) if row["status"] == "action_required"]
    assert action["act_by"] == charge["act_by"]
    told = {event["type"]: event["data"] for event in await shop.events(agreement)}
    assert told["charge.action_required"]["agreement"]["action"] == action
    requested = told["card_change.requested"]["card_change"]
    assert (requested["initiator"], requested["charge"], requested["expires_at"]) == (
        "engine",
        charge["id"],
        charge["act_by"],
    )
    assert requested["url"] == action["url"]

    back = await give(shop, action["url"])
    assert back.headers["location"].startswith("https://merchant.example/return")
    await shop.until_status(agreement, "active")
    await until(lambda: released(shop))
    assert await debits(shop, agreement) == [("2027-01-31", "failed"), ("2027-02-01", "succeeded")]
    charge = (await audited(shop, agreement))[0]
    assert (charge["status"], [each["status"] for each in charge["attempts"]]) == ("succeeded", ["failed", "succeeded"])
    done = {event["type"]: event["data"] for event in await shop.events(agreement)}["card_change.completed"]
    assert done["old_credential"]["id"] != done["credential"]["id"] == done["agreement"]["credential"]["id"]
    assert done["card_change"]["url"] is None
    assert (await shop.read(agreement))["action"] is None
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert (await debits(shop, agreement))[2:] == [("2027-02-28", "succeeded")]


async def test_overdue_cycles_are_collected_oldest_first_at_the_minimum_gap(shop: Shop) -> None:
    """Three cycles wait; the first is collected at once, the others 25 days after the success before,
    be it of a catch-up or of a cycle on its day.
    """
    clock, agreement, _ = await declined(shop, retry_policy={"base": "standard", "customer_days": 90})
    await shop.advance(clock, "2027-04-01T00:00:00Z")
    action = (await shop.read(agreement))["action"]
    assert len([row for row in await shop.charges(agreement) if row["status"] == "action_required"]) == 3
    await give(shop, action["url"])
    await until(lambda: released(shop))
    await shop.advance(clock, "2027-05-26T00:00:00Z")
    charges = await audited(shop, agreement)
    paid = {row["cycle"]: row["paid_at"][:10] for row in charges if row["paid_at"]}
    assert paid == {1: "2027-04-01", 2: "2027-04-26", 4: "2027-04-30", 3: "2027-05-25"}


async def test_nothing_is_collected_when_nothing_is_owed(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    await shop.advance(clock, NEXT_DAY)
    made = await ask(shop, agreement, "customer", return_url="https://merchant.example/cards?x=1")
    assert (made["status"], made["initiator"], made["charge"]) == ("pending", "customer", None)
    back = await give(shop, made["url"])
    assert back.headers["location"] == f"https://merchant.example/cards?x=1&agreement={agreement}"
    await until(lambda: released(shop))
    assert await changes(shop, agreement) == ["completed"]
    assert len(await debits(shop, agreement)) == 1
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert [row["status"] for row in (await audited(shop, agreement))[:2]] == ["succeeded", "succeeded"]


async def test_the_policy_starts_anew_with_the_new_credential(shop: Shop) -> None:
    """The new one has no money three times over: its own ladder is climbed from the first step."""
    clock, agreement, _ = await declined(shop, "insufficient_funds,insufficient_funds,expired_card")
    await shop.advance(clock, "2027-02-12T00:00:00Z")
    action = (await shop.read(agreement))["action"]
    await give(shop, action["url"], "insufficient_funds,success")
    await until(lambda: released(shop))
    [first, *_] = await shop.charges(agreement)
    decision = first["attempts"][-1]["decision"]
    assert (decision["action"], decision["inputs"]["attempt"], decision["inputs"]["declined_before"]) == (
        "retry",
        1,
        "",
    )
    assert first["attempts"][-1]["number"] == 4
    await shop.advance(clock, "2027-02-27T00:00:00Z")
    assert (await audited(shop, agreement))[0]["status"] == "succeeded"


async def test_a_change_during_an_unknown_waits_for_its_end(shop: Shop) -> None:
    """The debit is lost on its way: what became of it is found out with the old card, then it is collected."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "http_500,success")
    await shop.advance(clock, DUE)
    assert (await shop.charges(agreement))[0]["status"] == "unknown"
    await give(shop, (await ask(shop, agreement))["url"])
    await until(lambda: has_changed(shop, agreement))
    assert [row["status"] for row in await held(shop)] == ["active", "active"], "the old one is still needed"
    await shop.advance(clock, "2027-02-03T00:00:00Z")
    await until(lambda: released(shop))
    [charge, *_] = await audited(shop, agreement)
    assert charge["status"] == "succeeded"
    assert [status for _, status in await debits(shop, agreement)].count("succeeded") == 1


async def has_changed(shop: Shop, agreement: str) -> bool:
    return (await changes(shop, agreement))[-1] == "completed"


async def test_a_debit_in_flight_settles_with_the_old_card_and_is_tried_again_with_the_new(shop: Shop) -> None:
    """The provider has not decided yet when the card is changed. The old card's decline decides nothing any more."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "processing_then_failure")
    await shop.advance(clock, DUE)
    assert (await shop.charges(agreement))[0]["status"] == "processing"
    await give(shop, (await ask(shop, agreement))["url"])
    await until(lambda: has_changed(shop, agreement))
    await shop.advance(clock, "2027-01-31T01:00:01Z")
    assert [row["status"] for row in await held(shop)] == ["active", "active"]
    await shop.advance(clock, NEXT_DAY)
    assert await released(shop)
    assert [status for _, status in await debits(shop, agreement)] == ["failed", "succeeded"]
    tries = await attempts(shop.house, agreement)
    assert len({attempt.credential_id for attempt in tries}) == 2
    [charge, *_] = await audited(shop, agreement)
    assert [attempt["decision"] for attempt in charge["attempts"]] == [None, None]
    assert charge["paid_at"] < "2027-01-31T02:00:00Z", "at once, not by the plan of the old card"


async def test_what_was_prepared_with_the_old_card_is_sent_with_the_new(shop: Shop) -> None:
    """The swap commits between the attempt's row and the gate, and the workflow hears of it later."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    made = await ask(shop, agreement)
    at = await unwatched(shop.house, clock, DUE)
    async with by_hand(shop.house) as hand:

        async def swapped() -> None:
            async with change(shop.house.database, agreement, at) as locked:
                old = await locked.session.get_one(Credential, locked.agreement.credential_id)
                new = Credential(**old.model_dump(exclude={"id"}), id=ids.new("crd"))
                locked.session.add(new)
                await locked.session.flush()
                await card_changes.swap(locked, made["id"], new)

        hand.after_commits.append(swapped)
        await hand.charge(await charge_step(shop.house, agreement, at))
    [attempt] = await attempts(shop.house, agreement)
    assert attempt.status is AttemptStatus.SUCCEEDED
    assert attempt.credential_id == await in_use(shop, agreement)
    await audited(shop, agreement)


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
    assert await types(shop, agreement, "card_change.") == ["card_change.requested", "card_change.expired"]
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


async def test_no_card_is_changed_after_a_revocation(shop: Shop) -> None:
    """An open link dies with the agreement; its page at the provider brings nothing any more."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    link = (await ask(shop, agreement))["url"]
    page = await follow(shop, link)
    await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {})
    path = f"/v1/agreements/{agreement}/card-changes"
    await shop.call("POST", path, {"initiator": "merchant"}, expect=409)
    assert (await follow(shop, link)).status_code == 410
    await shop.decide(page.headers["location"], decision="approve")
    await shop.advance(clock, NEXT_DAY)
    await workflow_closed(shop, agreement)
    assert [row["status"] for row in await held(shop)] == ["revoked"]
    assert await changes(shop, agreement) == ["expired"]
    await audited(shop, agreement)


async def test_a_token_that_comes_during_the_revocation_is_ended_too(shop: Shop) -> None:
    """The customer has agreed to the new card, its code is being exchanged, and the merchant revokes."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    page = await follow(shop, (await ask(shop, agreement))["url"])
    async with faults(shop.house, http_500=1):
        await shop.decide(page.headers["location"], decision="approve")
        await until(lambda: exchange_failed(shop, agreement))
    at = await unwatched(shop.house, clock, "2027-01-31T00:00:05Z")
    async with by_hand(shop.house) as hand:

        async def revoked() -> None:
            await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {})

        hand.gateway.before = revoked
        step = (await charge_step(shop.house, agreement, at)).model_copy(update={"subject": ""})
        await hand.authorize(step)
    await shop.advance(clock, NEXT_DAY)
    await workflow_closed(shop, agreement)
    assert [row["status"] for row in await held(shop)] == ["revoked", "revoked"]
    await audited(shop, agreement)


async def exchange_failed(shop: Shop, agreement: str) -> bool:
    query = select(Authorization.tries).where(Authorization.agreement_id == agreement)
    async with shop.house.database.transaction() as session:
        return (await session.exec(query.where(Authorization.status == "granted"))).first() == 1


async def in_use(shop: Shop, agreement: str) -> str:
    """The id of the credential an agreement is charged with."""
    return str((await agreement_row(shop.house, agreement)).credential_id)


async def stored(shop: Shop, id_: str) -> Credential:
    async with shop.house.database.transaction() as session:
        return await session.get_one(Credential, id_)


async def test_the_old_card_is_ended_at_the_provider_whose_echo_is_no_revocation(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    old = await in_use(shop, agreement)
    await give(shop, (await ask(shop, agreement))["url"])
    await until(lambda: released(shop))
    await shop.advance(clock, "2027-01-31T00:10:00Z")
    row = await stored(shop, old)
    assert (row.status, row.release_at, row.refresh_at) == ("released", None, None)
    assert (await shop.read(agreement))["status"] == "active"


async def test_the_provider_is_told_of_the_old_card_until_it_answers(shop: Shop) -> None:
    """The workflow of an agreement that was revoked meanwhile stays open until then."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    old = await in_use(shop, agreement)
    page = await follow(shop, (await ask(shop, agreement))["url"])
    await shop.decide(page.headers["location"], decision="approve")
    await until(lambda: released(shop))
    await shop.advance(clock, "2027-01-31T00:01:00Z")
    async with faults(shop.house, http_500=1):
        async with change(shop.house.database, agreement) as locked:
            releases.retire(locked, await locked.session.get_one(Credential, old))
        await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {})
        await shop.advance(clock, "2027-01-31T00:20:00Z")
        row = await stored(shop, old)
        assert (row.status, row.release_tries > 2) == ("replaced", True)
        async with shop.house.database.transaction() as session:
            now = datetime(2027, 1, 31, 0, 20, tzinfo=UTC)
            assert not (await standings.read(session, await agreement_row(shop.house, agreement), now)).closed
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    await workflow_closed(shop, agreement)
    assert (await stored(shop, old)).status == "released"


async def test_a_token_another_agreement_is_charged_with_is_left_alone(shop: Shop) -> None:
    """Some wallets give one token per customer, whichever agreement it is for."""
    clock = await shop.clock(START)
    agreement, other = await shop.agree(clock), await shop.agree(clock)
    old = await in_use(shop, agreement)
    async with shop.house.database.transaction() as session:
        shared = await session.get_one(Credential, await in_use(shop, other))
        shared.token_hash = (await stored(shop, old)).token_hash
    await give(shop, (await ask(shop, agreement))["url"])
    await until(lambda: has_changed(shop, agreement))
    await shop.advance(clock, "2027-01-31T00:10:00Z")
    assert (await stored(shop, old)).status == "kept"
    assert [row["status"] for row in await held(shop)] == ["active", "active", "active"]


async def test_a_refusal_of_the_provider_leaves_the_old_card(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock)
    link = (await ask(shop, agreement))["url"]
    async with shop.house.database.transaction() as session:
        row = await agreement_row(shop.house, agreement)
        (await session.get_one(type(row), agreement)).payment_method = "NO_SUCH_WALLET"
    pressed = await follow(shop, link)
    assert pressed.status_code == 410, pressed.text
    assert await changes(shop, agreement) == ["failed"]
    assert await types(shop, agreement, "card_change.") == ["card_change.requested", "card_change.failed"]
    assert (await shop.read(agreement))["status"] == "active"
    assert [row["status"] for row in await held(shop)] == ["active"]
