"""A canceled charge is owed by nobody any more: it is not collected, and the agreement goes on without it."""

from __future__ import annotations

from temporalio.testing import ActivityEnvironment

from activities.contract import RefundInput
from activities.reversals import Reversals
from store import cancellations
from store.changes import change
from tests.promises.support import (
    START,
    attempts,
    audited,
    by_hand,
    charge_row,
    faults,
    types,
    until,
    workflow_closed,
)
from tests.promises.test_refunds import charge, ended, moved, paid, refund
from tests.promises.test_second_success import given_up, hung
from tests.support.house import Shop


async def statuses(shop: Shop, agreement: str) -> list[str]:
    return [charge["status"] for charge in await audited(shop, agreement)]


async def cancel(shop: Shop, agreement: str, cycle: int) -> None:
    charge = await charge_row(shop.house, agreement, cycle)
    assert (await shop.call("POST", f"/v1/charges/{charge.id}/cancel"))["status"] == "canceled"


async def test_a_coming_charge_is_canceled_and_the_next_one_collected(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms={"total_cycles": 3})
    await cancel(shop, agreement, 1)
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    assert await shop.ledger(agreement) == []
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert await statuses(shop, agreement) == ["canceled", "succeeded", "scheduled"]


async def test_the_last_charge_canceled_completes_the_agreement(shop: Shop) -> None:
    """Its workflow is told, and ends."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms={"total_cycles": 2})
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    await cancel(shop, agreement, 2)
    await workflow_closed(shop, agreement)
    assert (await shop.read(agreement))["status"] == "completed"
    assert (await types(shop, agreement))[-2:] == ["charge.canceled", "agreement.completed"]


async def test_a_retry_that_was_canceled_is_not_made(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "insufficient_funds,success", terms={"total_cycles": 2})
    await shop.advance(clock, "2027-01-31T12:00:00Z")
    assert (await shop.read(agreement))["status"] == "past_due"
    await cancel(shop, agreement, 1)
    assert (await shop.read(agreement))["status"] == "active"
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert await statuses(shop, agreement) == ["canceled", "succeeded"]
    assert len(await shop.ledger(agreement)) == 2


async def test_a_success_that_turns_up_after_the_charge_was_canceled_goes_back(shop: Shop) -> None:
    async with by_hand(shop.house) as hand:
        agreement, clock = await hung(shop, hand)
        await given_up(shop, agreement, clock)
        await cancel(shop, agreement, 1)
        await hand.arrives_late()

        async def given_back() -> bool:
            [charge] = [charge for charge in await shop.charges(agreement) if charge["cycle"] == 1]
            return [refund["status"] for refund in charge["refunds"]] == ["succeeded"]

        await until(given_back)
    assert (await statuses(shop, agreement))[0] == "reversed"
    assert [attempt.status for attempt in await attempts(shop.house, agreement)] == ["reversed"]
    [charge] = [charge for charge in await shop.charges(agreement) if charge["cycle"] == 1]
    assert [refund["reason"] for refund in charge["refunds"]] == ["the charge was canceled"]


async def test_a_paid_charge_is_canceled_before_the_cut_off_and_refunded_after_it(shop: Shop) -> None:
    """Antom cancels until 00:15 GMT+8 of the next day (gateways/antom.md §3.6), which is 16:15 UTC."""
    agreement, clock, first = await paid(shop)
    back = (await shop.call("POST", f"/v1/charges/{first}/cancel"))["refunds"]
    assert [(row["kind"], row["origin"], row["status"]) for row in back] == [("cancel", "merchant", "pending")]
    await ended(shop, back[0]["id"])
    assert (await charge(shop, first))["status"] == "refunded"
    await shop.advance(clock, "2027-02-28T16:15:00Z")
    second = (await charge_row(shop.house, agreement, cycle=2)).id
    [late] = (await shop.call("POST", f"/v1/charges/{second}/cancel"))["refunds"]
    assert (await ended(shop, late["id"]))["kind"] == "refund"
    assert [(kind, status) for kind, status, _ in await moved(shop, agreement)] == [
        ("debit", "succeeded"),
        ("cancel", "succeeded"),
        ("debit", "succeeded"),
        ("cancel", "failed"),
        ("refund", "succeeded"),
    ]
    await audited(shop, agreement)


async def test_an_unknown_cancel_is_asked_about_before_it_is_repeated(shop: Shop) -> None:
    agreement, _, id_ = await paid(shop)
    async with change(shop.house.database, agreement) as locked:
        back = await cancellations.cancel(locked, id_)
    assert back is not None
    given = RefundInput(agreement_id=agreement, refund_id=back.id, at=back.created_at)
    async with by_hand(shop.house) as hand:
        activity = Reversals(hand.bench).refund
        for plan, status in (({"http_500": 1}, "unknown"), ({}, "pending"), ({"lost_answer": 1}, "unknown")):
            async with faults(shop.house, **plan):
                await ActivityEnvironment().run(activity, given)
            assert (await refund(shop, back.id))["status"] == status
        await ActivityEnvironment().run(activity, given)
        assert hand.gateway.calls == ["cancel", "inquire", "cancel", "inquire"]
    assert (await refund(shop, back.id))["status"] == "succeeded"
    assert [(kind, status) for kind, status, _ in await moved(shop, agreement)] == [
        ("debit", "succeeded"),
        ("cancel", "succeeded"),
    ]
    await audited(shop, agreement)
