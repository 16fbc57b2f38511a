"""What becomes of a cycle nobody could collect: by the policy when it is given up, by the terms when it is late."""

from __future__ import annotations

from typing import Any

import pytest

from tests.promises.support import START, audited, by_hand, charge_row, charge_step, types, unwatched
from tests.support.house import Shop, agreement_body

VARIABLE = {"amount_variability": "variable", "max_amount_per_cycle": 120000}
AFTER_CYCLE_1 = "2027-02-05T00:00:00Z"
A_WEEK_LATE = "2027-02-07T01:00:00Z"


async def given_up(shop: Shop, at_end: str, **terms: Any) -> tuple[str, str]:
    """Clock and agreement whose first cycle was declined once, which is all its policy allows."""
    clock = await shop.clock(START)
    policy = {"max_attempts": 1, "at_end": at_end}
    agreement = await shop.agree(clock, "insufficient_funds,success", retry_policy=policy, terms=terms)
    await shop.advance(clock, AFTER_CYCLE_1)
    return clock, agreement


@pytest.mark.parametrize(
    ("at_end", "status", "events"),
    [
        ("past_due", "past_due", ["charge.failed", "agreement.past_due"]),
        ("pause", "paused", ["charge.failed", "agreement.paused"]),
        ("revoke", "revoked", ["charge.failed", "charge.canceled", "agreement.revoked"]),
    ],
)
async def test_the_policy_says_what_follows_the_last_decline(
    shop: Shop, at_end: str, status: str, events: list[str]
) -> None:
    _, agreement = await given_up(shop, at_end)
    found = await shop.read(agreement)
    assert (found["status"], found["retry_policy"]) == (status, {"max_attempts": 1, "at_end": at_end})
    told = await types(shop, agreement, "charge.", "agreement.p", "agreement.r")
    assert [type_ for type_ in told if type_ in events] == events
    await audited(shop, agreement)


async def test_no_cycle_falls_due_after_the_end(shop: Shop) -> None:
    clock, agreement = await given_up(shop, "revoke")
    await shop.advance(clock, "2027-03-05T00:00:00Z")
    found = await shop.read(agreement)
    assert (found["status"], found["current_cycle"]) == ("revoked", 1)


async def test_a_policy_that_differs_in_nothing_is_the_standard_one(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, "insufficient_funds,success", retry_policy={})
    await shop.advance(clock, AFTER_CYCLE_1)
    assert (await shop.read(agreement))["retry_policy"] == {}
    assert [row["status"] for row in await shop.ledger(agreement)] == ["failed", "succeeded"]
    told = (await shop.call("GET", f"/v1/agreements/{agreement}/timeline"))["data"]
    [decided] = [entry for entry in told if entry["kind"] == "decision"]
    assert (decided["cycle"], decided["decision"]["rule"]) == (1, "insufficient_funds_ladder")


async def test_an_unpaid_amount_is_carried_into_the_next_cycle(shop: Shop) -> None:
    clock, agreement = await given_up(shop, "carry", **VARIABLE)
    first = await charge_row(shop.house, agreement)
    assert (first.status, first.carried_to) == ("skipped", 2)
    assert (await shop.read(agreement))["status"] == "active"
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert [(row["amount"], row["status"]) for row in await shop.ledger(agreement)] == [
        (49900, "failed"),
        (99800, "succeeded"),
    ]
    await audited(shop, agreement)


@pytest.mark.parametrize("terms", [{}, VARIABLE | {"max_amount_per_cycle": 99799}], ids=["fixed", "above the cap"])
async def test_what_the_terms_do_not_allow_is_not_carried(shop: Shop, terms: dict[str, Any]) -> None:
    clock, agreement = await given_up(shop, "carry", **terms)
    assert (await shop.read(agreement))["status"] == "past_due"
    await shop.advance(clock, "2027-03-01T00:00:00Z")
    assert [row["amount"] for row in await shop.ledger(agreement)] == [49900, 49900]
    await audited(shop, agreement)


@pytest.mark.parametrize(
    ("then", "status", "next_amount"),
    [("skip", "skipped", 49900), ("merge", "skipped", 99800), ("ask", "action_required", 49900)],
)
async def test_the_terms_say_what_follows_a_cycle_nobody_tried_in_time(
    shop: Shop, then: str, status: str, next_amount: int
) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms=VARIABLE | {"catch_up": {"then": then}})
    late = await unwatched(shop.house, clock, A_WEEK_LATE)
    async with by_hand(shop.house) as hand:
        await hand.charge(await charge_step(shop.house, agreement, late))
        assert hand.gateway.calls == []
    first, second = await charge_row(shop.house, agreement, 1), await charge_row(shop.house, agreement, 2)
    assert (first.status, second.amount) == (status, next_amount)
    assert await shop.ledger(agreement) == []


async def test_a_merchant_who_is_asked_says_collect(shop: Shop) -> None:
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, terms={"catch_up": {"then": "ask"}})
    late = await unwatched(shop.house, clock, A_WEEK_LATE)
    async with by_hand(shop.house) as hand:
        await hand.charge(await charge_step(shop.house, agreement, late))
    await shop.call("POST", f"/v1/agreements/{agreement}/charges", {"cycle": 1}, 200)
    await shop.advance(clock, late.replace(hour=2).isoformat())
    assert [row["status"] for row in await shop.ledger(agreement)] == ["succeeded"]
    await audited(shop, agreement)


async def test_an_inline_policy_that_breaks_a_scheme_rule_is_refused_by_name(shop: Shop) -> None:
    body = agreement_body(None, retry_policy={"max_attempts": 40, "window_days": 30})
    problem = await shop.call("POST", "/v1/agreements", body, 422)
    [error] = problem["errors"]
    assert error["pointer"].startswith("/retry_policy/")
    assert "(visa." in error["detail"] or "(mastercard." in error["detail"] or "(others." in error["detail"]
