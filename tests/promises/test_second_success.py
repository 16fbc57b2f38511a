"""Promises 1 and 10: a success nobody expected any more is recorded, and given back where the cycle is paid already.

It is made the way it happens: a request hangs in the network until the engine has given it up, and arrives then.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from agreements.attempts import Verdict
from agreements.status import AttemptStatus, ChargeStatus
from tests.promises.support import (
    START,
    Hand,
    Killed,
    attempts,
    audited,
    by_hand,
    charge_row,
    charge_step,
    faults,
    killed,
    types,
    until,
    unwatched,
    workflow_closed,
)
from tests.promises.test_refunds import attempted, repeated
from tests.support.house import Shop

DUE = "2027-01-31T01:00:00Z"


async def hung(shop: Shop, hand: Hand, **changes: Any) -> tuple[str, str]:
    """An agreement whose first attempt is sent and has not arrived; its clock."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, **changes)
    at = await unwatched(shop.house, clock, DUE)
    hand.gateway.before = killed
    with pytest.raises(Killed):
        await hand.charge(await charge_step(shop.house, agreement, at))
    return agreement, clock


async def given_up(shop: Shop, agreement: str, clock: str) -> None:
    """The attempt is found never to have arrived: sending it again is not allowed while the agreement is paused."""
    await shop.call("POST", f"/v1/agreements/{agreement}/pause")
    await shop.advance(clock, "2027-01-31T01:03:00Z")
    await shop.call("POST", f"/v1/agreements/{agreement}/resume")
    assert [attempt.status for attempt in await attempts(shop.house, agreement)] == [AttemptStatus.FAILED]


async def paid_by_the_second(shop: Shop, hand: Hand, **changes: Any) -> tuple[str, str]:
    agreement, clock = await hung(shop, hand, **changes)
    await given_up(shop, agreement, clock)
    await shop.advance(clock, "2027-01-31T02:00:00Z")
    assert (await charge_row(shop.house, agreement)).status is ChargeStatus.SUCCEEDED
    return agreement, clock


async def first_charge(shop: Shop, agreement: str) -> dict[str, Any]:
    return next(row for row in await audited(shop, agreement) if row["cycle"] == 1)


async def given_back(shop: Shop, agreement: str) -> bool:
    refunds = [refund for charge in await shop.charges(agreement) for refund in charge["refunds"]]
    return [refund["status"] for refund in refunds] == ["succeeded"]


async def test_a_second_success_is_canceled(shop: Shop) -> None:
    async with by_hand(shop.house) as hand:
        agreement, _ = await paid_by_the_second(shop, hand)
        assert (await hand.arrives_late()).verdict is Verdict.SUCCEEDED
    await until(lambda: given_back(shop, agreement))
    charge = await first_charge(shop, agreement)
    assert charge["status"] == "succeeded"
    assert [attempt["status"] for attempt in charge["attempts"]] == ["reversed", "succeeded"]
    assert [refund["kind"] for refund in charge["refunds"]] == ["cancel"]
    assert (await types(shop, agreement, "charge.", "refund."))[-3:] == [
        "charge.succeeded",
        "charge.reversed",
        "refund.succeeded",
    ]


async def test_a_second_success_is_refunded_when_it_is_too_late_to_cancel(shop: Shop) -> None:
    async with by_hand(shop.house) as hand:
        agreement, clock = await paid_by_the_second(shop, hand)
        with shop.house.tap.shut():  # its notification stays away until the outage has begun
            await hand.arrives_late()
            await attempted(shop, "PAYMENT_RESULT")
        async with faults(shop.house, http_500=1):
            await repeated(shop, "PAYMENT_RESULT", 1)
            await until(lambda: reversing(shop, agreement))
            await shop.advance(clock, "2027-02-02T00:00:00Z")
    await shop.advance(clock, "2027-02-03T00:00:00Z")
    charge = await first_charge(shop, agreement)
    assert charge["status"] == "succeeded"
    assert [(refund["kind"], refund["status"]) for refund in charge["refunds"]] == [("refund", "succeeded")]
    moved = [(row["kind"], row["status"]) for row in await shop.ledger(agreement)]
    assert moved == [("debit", "succeeded"), ("debit", "succeeded"), ("cancel", "failed"), ("refund", "succeeded")]
    assert await types(shop, agreement, "charge.reversed", "refund.") == ["charge.reversed", "refund.succeeded"]


async def reversing(shop: Shop, agreement: str) -> bool:
    return "charge.reversed" in await types(shop, agreement)


async def test_the_database_refuses_two_successes(shop: Shop) -> None:
    async with by_hand(shop.house) as hand:
        agreement, _ = await paid_by_the_second(shop, hand)
    first, _ = await attempts(shop.house, agreement)

    async def succeed_too() -> None:
        async with shop.house.database.transaction() as session:
            session.add(first)
            first.status = AttemptStatus.SUCCEEDED

    with pytest.raises(IntegrityError, match="attempts_one_success"):
        await succeed_too()


async def test_news_of_a_completed_agreement_is_settled_by_a_run_of_its_own(shop: Shop) -> None:
    async with by_hand(shop.house) as hand:
        agreement, _ = await paid_by_the_second(shop, hand, terms={"total_cycles": 1})
        await workflow_closed(shop, agreement)
        await hand.arrives_late()
    await until(lambda: given_back(shop, agreement))
    await workflow_closed(shop, agreement)
    assert (await first_charge(shop, agreement))["status"] == "succeeded"
    assert (await shop.read(agreement))["status"] == "completed"


async def test_a_success_after_the_agreement_expired_is_kept(shop: Shop) -> None:
    """The debit belongs to a cycle that nobody else paid: the money is the merchant's (payment-rules §4 point 7)."""
    terms = {"expiry_date": "2027-01-31", "total_cycles": 1}
    async with by_hand(shop.house) as hand:
        agreement, clock = await hung(shop, hand, terms=terms)
        await shop.call("POST", f"/v1/agreements/{agreement}/pause")
        await shop.advance(clock, "2027-02-01T00:00:00Z")
        await workflow_closed(shop, agreement)
        assert (await shop.read(agreement))["status"] == "expired"
        await hand.arrives_late()
    await until(lambda: paid(shop, agreement))
    await workflow_closed(shop, agreement)
    assert (await first_charge(shop, agreement))["status"] == "succeeded"
    assert (await shop.read(agreement))["status"] == "expired"


async def paid(shop: Shop, agreement: str) -> bool:
    return (await charge_row(shop.house, agreement)).status is ChargeStatus.SUCCEEDED
