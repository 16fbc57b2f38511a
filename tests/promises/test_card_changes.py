"""Promise 5: a card change never leaves an agreement without a working credential, and collects what is overdue."""

from __future__ import annotations

from agreements.status import AttemptStatus
from store import card_changes, ids
from store.changes import change
from store.tables import Credential
from tests.promises.customers import (
    DUE,
    NEXT_DAY,
    ask,
    changes,
    debits,
    declined,
    exchange_failed,
    follow,
    give,
    has_changed,
    held,
    in_use,
    released,
)
from tests.promises.support import (
    START,
    attempts,
    audited,
    by_hand,
    charge_step,
    faults,
    until,
    unwatched,
    workflow_closed,
)
from tests.support.house import Shop


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
    async with by_hand(shop.house, opens=True) as hand:

        async def swapped() -> None:
            async with change(shop.house.database, agreement, at) as locked:
                old = await locked.session.get_one(Credential, locked.agreement.credential_id)
                new = Credential(**old.model_dump(exclude={"id"}), id=ids.new("crd"))
                locked.session.add(new)
                await locked.session.flush()
                await card_changes.swap(locked, made["id"], new)

        hand.between_prepared_and_sent(swapped)
        step = await charge_step(shop.house, agreement, at)
        await hand.charge(step)
        assert hand.gateway.calls == [], "what was opened is for the old card"
        await hand.charge(step)
    [attempt] = await attempts(shop.house, agreement)
    assert attempt.status is AttemptStatus.SUCCEEDED
    assert attempt.credential_id == await in_use(shop, agreement)
    await audited(shop, agreement)


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
