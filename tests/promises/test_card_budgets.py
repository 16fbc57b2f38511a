"""Promise 7: a scheme's retry budget is the card's and the merchant's, whichever agreement uses it up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agreements import rulebook
from agreements.status import AttemptStatus
from store import ids
from store.tables import Attempt, Credential
from tests.promises.support import START, agreement_row, charge_row, types
from tests.support.house import House, Shop

DUE = datetime(2027, 1, 31, 1, 0, tzinfo=UTC)
CARD = "the same card behind both tokens"


async def on_a_card(house: House, agreement: str) -> None:
    """Makes the agreement's wallet a Mastercard, as a connector for cards would have."""
    async with house.database.transaction() as session:
        credential = await session.get_one(Credential, (await agreement_row(house, agreement)).credential_id)
        credential.network, credential.fingerprint = "mastercard", CARD


async def declined_before(
    house: House, agreement: str, count: int, at: datetime, first: int = 101, **outcome: Any
) -> None:
    """Declines the card has seen at this merchant, at one instant; attempts in flight with another status."""
    ends: dict[str, Any] = {"status": AttemptStatus.FAILED, "finished_at": at} | outcome
    charge = await charge_row(house, agreement)
    async with house.database.transaction() as session:
        for number in range(first, first + count):
            session.add(
                Attempt(
                    id=ids.new("att"),
                    agreement_id=agreement,
                    charge_id=charge.id,
                    number=number,
                    gateway_request_id=f"{charge.id}-{number}",
                    currency="PHP",
                    amount=100,
                    credential_id="",
                    merchant_id=charge.merchant_id,
                    fingerprint=CARD,
                    prepared_at=at,
                    sent_at=at,
                    **ends,
                )
            )


async def test_an_agreement_waits_for_the_budget_another_has_used_up(shop: Shop) -> None:
    clock = await shop.clock(START)
    spender, waiter = await shop.agree(clock), await shop.agree(clock)
    for agreement in (spender, waiter):
        await on_a_card(shop.house, agreement)
    a_day = min(rulebook.current().budgets("mastercard", DUE.date()), key=lambda budget: budget.window)
    declined_at = DUE - timedelta(minutes=30)
    await declined_before(shop.house, spender, a_day.limit, declined_at)

    await shop.advance(clock, (DUE + timedelta(hours=1)).isoformat())
    assert await shop.ledger(waiter) == []
    charge = await charge_row(shop.house, waiter)
    assert charge.next_attempt_at == declined_at + a_day.window
    timeline = (await shop.call("GET", f"/v1/agreements/{waiter}/timeline?limit=200"))["data"]
    [decision] = [entry["decision"] for entry in timeline if entry["kind"] == "decision"]
    assert (decision["action"], decision["rule"], decision["budget_left"]) == ("retry", a_day.id, 0)
    assert decision["inputs"][f"spent_{a_day.id}"] == a_day.limit
    assert "charge.retry_scheduled" in await types(shop, waiter)

    await shop.advance(clock, (declined_at + a_day.window).isoformat())
    assert [row["status"] for row in await shop.ledger(waiter)] == ["succeeded"]


async def test_one_decline_less_and_it_does_not_wait(shop: Shop) -> None:
    clock = await shop.clock(START)
    spender, waiter = await shop.agree(clock), await shop.agree(clock)
    for agreement in (spender, waiter):
        await on_a_card(shop.house, agreement)
    a_day = min(rulebook.current().budgets("mastercard", DUE.date()), key=lambda budget: budget.window)
    # The spender's own cycle is due at the same instant: it may take the place that is left.
    await shop.call("POST", f"/v1/agreements/{spender}/pause", {})
    await declined_before(shop.house, spender, a_day.limit - 1, DUE - timedelta(minutes=30))
    await shop.advance(clock, (DUE + timedelta(hours=1)).isoformat())
    assert [row["status"] for row in await shop.ledger(waiter)] == ["succeeded"]


async def test_what_is_in_flight_may_yet_be_declined_and_counts(shop: Shop) -> None:
    clock = await shop.clock(START)
    spender, waiter = await shop.agree(clock), await shop.agree(clock)
    for agreement in (spender, waiter):
        await on_a_card(shop.house, agreement)
    await shop.call("POST", f"/v1/agreements/{spender}/pause", {})
    a_day = min(rulebook.current().budgets("mastercard", DUE.date()), key=lambda budget: budget.window)
    sent_at = DUE - timedelta(minutes=30)
    await declined_before(shop.house, spender, a_day.limit - 1, sent_at)
    in_flight: dict[str, Any] = {"status": AttemptStatus.UNKNOWN, "finished_at": None}
    await declined_before(shop.house, spender, 1, sent_at, first=201, **in_flight)
    await shop.advance(clock, (DUE + timedelta(hours=1)).isoformat())
    assert await shop.ledger(waiter) == []


async def test_a_card_that_is_dead_for_one_agreement_is_dead_for_the_merchant(shop: Shop) -> None:
    """Visa forbids another try on that card for that merchant, not for that agreement (payment-rules §2.1)."""
    clock = await shop.clock(START)
    told, other = await shop.agree(clock), await shop.agree(clock)
    for agreement in (told, other):
        await on_a_card(shop.house, agreement)
    await shop.call("POST", f"/v1/agreements/{told}/pause", {})
    lost = {"category": "lost_or_stolen", "code": "lost_card"}
    dead: dict[str, Any] = {"decline": lost, "decision": {"action": "needs_new_card", "rule": "visa.lost_or_stolen"}}
    await declined_before(shop.house, told, 1, DUE - timedelta(minutes=30), **dead)

    await shop.advance(clock, (DUE + timedelta(hours=1)).isoformat())
    assert await shop.ledger(other) == []
    found = await shop.read(other)
    assert (found["status"], found["action"]["reason"]) == ("action_required", "lost_card")
