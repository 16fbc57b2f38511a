"""Money moves back once: never more than was captured, never twice, whatever is lost on the way or comes late."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from temporalio.testing import ActivityEnvironment

from activities.contract import RefundInput
from activities.reversals import Reversals
from activities.sweep import Sweeps
from agreements.money import Money
from agreements.refunds import RefundStatus
from store import refunds
from store.changes import change
from store.tables import Notification, Refund
from tests.promises.support import (
    START,
    Killed,
    audited,
    by_hand,
    charge_row,
    faults,
    killed,
    types,
    until,
    workflow_closed,
)
from tests.support.house import Shop
from worker import reach
from workflows.messages import refund_workflow_id

PAID_AT = "2027-01-31T02:00:00Z"
CLEAN_REFUND = 11  # started, activity, completed: three events each, and a workflow task before and after the activity


async def paid(shop: Shop, **changes: Any) -> tuple[str, str, str]:
    """An agreement whose first cycle is paid; its clock and the charge."""
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, **changes)
    await shop.advance(clock, PAID_AT)
    return agreement, clock, (await charge_row(shop.house, agreement)).id


async def refunded(shop: Shop, charge: str, value: int | None = None, **expect: Any) -> dict[str, Any]:
    """Asks for a refund; the answer."""
    body = {} if value is None else {"amount": {"currency": "PHP", "value": value}}
    return await shop.call("POST", f"/v1/charges/{charge}/refunds", body, **expect)


async def refund(shop: Shop, id_: str) -> dict[str, Any]:
    return await shop.call("GET", f"/v1/refunds/{id_}")


async def ended(shop: Shop, id_: str, status: str = "succeeded") -> dict[str, Any]:
    """The refund once it has ended, and its workflow with it."""

    async def there() -> bool:
        return bool((await refund(shop, id_))["status"] == status)

    await until(there)
    async with asyncio.timeout(60):
        await shop.house.temporal.get_workflow_handle(refund_workflow_id(id_)).result()
    return await refund(shop, id_)


async def charge(shop: Shop, id_: str) -> dict[str, Any]:
    return await shop.call("GET", f"/v1/charges/{id_}")


async def moved(shop: Shop, agreement: str) -> list[tuple[str, str, int]]:
    return [(row["kind"], row["status"], row["amount"]) for row in await shop.ledger(agreement)]


async def sandbox(shop: Shop, path: str, json: Any = None) -> dict[str, Any]:
    """What somebody does on the provider's side."""
    answer = await shop.house.outside.post(f"{shop.house.sandbox_url}/_sandbox/{path}", json=json)
    assert answer.is_success, answer.text
    return dict(answer.json())


async def test_a_refund_in_two_parts(shop: Shop) -> None:
    agreement, _, id_ = await paid(shop)
    first = await refunded(shop, id_, 10000, expect=201)
    assert (first["status"], first["origin"], first["charge"]) == ("pending", "merchant", id_)
    assert (await ended(shop, first["id"]))["finished_at"] == PAID_AT
    assert (await charge(shop, id_))["status"] == "partially_refunded"
    rest = await refunded(shop, id_)
    assert rest["amount"] == {"currency": "PHP", "value": 39900}
    await ended(shop, rest["id"])
    [shown] = [row for row in await audited(shop, agreement) if row["id"] == id_]
    assert shown["status"] == "refunded"
    assert [row["id"] for row in shown["refunds"]] == [first["id"], rest["id"]]
    [_, *back] = await shop.ledger(agreement)
    assert [(row["kind"], row["request_id"]) for row in back] == [("refund", first["id"]), ("refund", rest["id"])]
    assert (await shop.read(agreement))["totals"]["amount_paid"]["value"] == 49900
    told = [event for event in await shop.events(agreement) if event["type"] == "refund.succeeded"]
    assert [event["data"]["refund"]["id"] for event in told] == [first["id"], rest["id"]]
    assert [event["data"]["charge"]["status"] for event in told] == ["partially_refunded", "refunded"]


async def test_a_clean_refund_costs_the_fewest_events_there_can_be(shop: Shop) -> None:
    """The provider's message tells nothing new once the answer is written down; here it comes after that for sure."""
    _, _, id_ = await paid(shop)
    with shop.house.tap.shut():
        asked = await refunded(shop, id_, 10000)
        await ended(shop, asked["id"])
        await attempted(shop, "REFUND_RESULT")
    await repeated(shop, "REFUND_RESULT", 1)
    handle = shop.house.temporal.get_workflow_handle(refund_workflow_id(asked["id"]))
    assert len((await handle.fetch_history()).events) == CLEAN_REFUND
    assert await (await handle.describe()).static_summary() == f"refund PHP 100.00 of charge {id_} (cycle 1)"


async def test_fifty_at_once_never_exceed_what_was_captured(shop: Shop) -> None:
    agreement, clock, id_ = await paid(shop)
    headers = {"Authorization": f"Bearer {shop.secret_key}"}

    async def ask(number: int) -> int:
        answer = await shop.house.outside.post(
            f"{shop.house.settings.public_url}/v1/charges/{id_}/refunds",
            json={"amount": {"currency": "PHP", "value": 4990}},
            headers=headers | {"Idempotency-Key": f"tenth-{number}"},
        )
        return answer.status_code

    answers = await asyncio.gather(*map(ask, range(50)))
    assert answers.count(201) == 10
    assert answers.count(409) + answers.count(422) == 40
    await shop.advance(clock, "2027-01-31T03:00:00Z")
    assert (await charge(shop, id_))["status"] == "refunded"
    assert (await moved(shop, agreement))[1:] == [("refund", "succeeded", 4990)] * 10
    await audited(shop, agreement)


async def test_one_key_fifty_times_is_one_refund(shop: Shop) -> None:
    agreement, clock, id_ = await paid(shop)
    headers = {"Authorization": f"Bearer {shop.secret_key}", "Idempotency-Key": "the-same"}

    async def ask(_: int) -> tuple[int, str]:
        url = f"{shop.house.settings.public_url}/v1/charges/{id_}/refunds"
        answer = await shop.house.outside.post(url, json={"reason": "goodwill"}, headers=headers)
        return answer.status_code, answer.text

    assert len({await answer for answer in asyncio.as_completed(map(ask, range(50)))}) == 1
    await shop.advance(clock, "2027-01-31T03:00:00Z")
    assert (await moved(shop, agreement))[1:] == [("refund", "succeeded", 49900)]
    assert [row["reason"] for row in (await charge(shop, id_))["refunds"]] == ["goodwill"]


async def test_a_lost_answer_is_found_out_and_nothing_is_sent_twice(shop: Shop) -> None:
    agreement, clock, id_ = await paid(shop)
    async with faults(shop.house, lost_answer=1, shuffle=1):
        asked = await refunded(shop, id_, 10000)

        async def unknown() -> bool:
            return bool((await refund(shop, asked["id"]))["status"] != "pending")

        await until(unknown)
    await shop.advance(clock, "2027-01-31T03:00:00Z")
    await ended(shop, asked["id"])
    assert (await moved(shop, agreement))[1:] == [("refund", "succeeded", 10000)]
    assert await types(shop, agreement, "refund.") == ["refund.succeeded"]
    await audited(shop, agreement)


async def test_a_refund_the_provider_never_received_counts_and_is_sent_again(shop: Shop) -> None:
    """Its amount is bound while nothing is known; "not found" counts after the settling time and two looks."""
    agreement, clock, id_ = await paid(shop)
    async with faults(shop.house, http_500=1):
        asked = await refunded(shop, id_, 10000)

        async def unknown() -> bool:
            return bool((await refund(shop, asked["id"]))["status"] == "unknown")

        await until(unknown)
    problem = await refunded(shop, id_, 40000, expect=422)
    assert [error["pointer"] for error in problem["errors"]] == ["/amount/value"]
    assert "PHP 399.00" in problem["detail"]
    await shop.advance(clock, "2027-01-31T02:00:59Z")
    assert (await moved(shop, agreement))[1:] == []
    await shop.advance(clock, "2027-01-31T03:00:00Z")
    assert (await ended(shop, asked["id"]))["finished_at"] == "2027-01-31T02:02:00Z"
    assert (await moved(shop, agreement))[1:] == [("refund", "succeeded", 10000)]
    await audited(shop, agreement)


async def test_a_refund_that_takes_its_time(shop: Shop) -> None:
    """Of a bank's direct debit a refund is only accepted at first (gateways/antom.md §3.7)."""
    agreement, clock, id_ = await paid(
        shop,
        payment_method={"type": "DIRECT_DEBIT_KRUNGTHAIBANK"},
        terms={"amount": {"currency": "THB", "value": 49900}},
    )
    asked = await shop.call("POST", f"/v1/charges/{id_}/refunds")
    await shop.advance(clock, "2027-01-31T02:00:20Z")
    assert (await refund(shop, asked["id"]))["status"] == "pending"
    assert (await charge(shop, id_))["status"] == "succeeded"
    await shop.advance(clock, "2027-01-31T02:01:00Z")
    assert (await ended(shop, asked["id"]))["finished_at"] == "2027-01-31T02:00:30Z"
    await audited(shop, agreement)


async def test_a_refund_that_bounces_later_frees_its_amount(shop: Shop) -> None:
    agreement, _, id_ = await paid(shop)
    asked = await refunded(shop, id_)
    await ended(shop, asked["id"])
    await sandbox(shop, f"refunds/{asked['id']}/fail")
    bounced = await ended(shop, asked["id"], "failed")
    assert bounced["decline"]["raw_code"] == "PROCESS_FAIL"
    assert (await charge(shop, id_))["status"] == "succeeded"
    assert await types(shop, agreement, "refund.") == ["refund.succeeded", "refund.failed"]
    again = await refunded(shop, id_)
    await ended(shop, again["id"])
    assert (await charge(shop, id_))["status"] == "refunded"
    await audited(shop, agreement)


async def test_news_of_a_refund_whose_workflow_was_not_told_is_told_by_the_sweep(shop: Shop) -> None:
    """Its process died between the journal's commit and the signal."""
    agreement, _, id_ = await paid(shop)
    asked = await refunded(shop, id_)
    await ended(shop, asked["id"])
    await sandbox(shop, f"refunds/{asked['id']}/fail")
    await ended(shop, asked["id"], "failed")
    async with change(shop.house.database, agreement) as locked:
        row = await locked.session.get_one(Refund, asked["id"])
        row.status, row.finished_at = RefundStatus.SUCCEEDED, locked.now
        query = select(Notification).where(Notification.refund_id == asked["id"], Notification.status == "settled")
        for news in await locked.session.exec(query):
            news.status = "signalled"
    await ActivityEnvironment().run(Sweeps(shop.house.database, reach(shop.house.temporal), timedelta(0)).sweep)
    await ended(shop, asked["id"], "failed")
    assert await types(shop, agreement, "refund.") == ["refund.succeeded", "refund.failed", "refund.failed"]


async def test_a_refused_refund_fails_and_frees_its_amount(shop: Shop) -> None:
    """Half was refunded on the portal, and its notification is held up: the provider refuses the whole."""
    agreement, _, id_ = await paid(shop)
    with shop.house.tap.shut():
        await sandbox(shop, f"payments/{agreement}-c1-a1/refund", {"value": 20000})
        asked = await refunded(shop, id_)
        failed = await ended(shop, asked["id"], "failed")
        await attempted(shop, "REFUND_RESULT")
    await repeated(shop, "REFUND_RESULT", 1)
    assert failed["decline"]["code"] == "refund_amount"
    rest = await refunded(shop, id_, 29900)
    await ended(shop, rest["id"])
    await until(lambda: status_is(shop, id_, "refunded"))
    await audited(shop, agreement)


async def status_is(shop: Shop, charge_id: str, status: str) -> bool:
    return bool((await charge(shop, charge_id))["status"] == status)


async def test_a_crash_before_the_workflow_was_started(shop: Shop) -> None:
    """The row was committed and its process died: the sweep starts what was left behind, as often as it likes."""
    agreement, _, id_ = await paid(shop)
    asked = await left_behind(shop, id_)
    sweeps = Sweeps(shop.house.database, reach(shop.house.temporal), timedelta(0))
    for _ in range(2):
        await ActivityEnvironment().run(sweeps.sweep)
    await ended(shop, asked)
    assert (await moved(shop, agreement))[1:] == [("refund", "succeeded", 10000)]
    async with shop.house.database.transaction() as session:
        assert (await session.get_one(Refund, asked)).started


async def left_behind(shop: Shop, charge_id: str) -> str:
    """A refund whose process died right after its commit."""
    agreement = (await charge(shop, charge_id))["agreement"]
    async with change(shop.house.database, agreement) as locked:
        made = await refunds.ask(locked, charge_id, Money(currency="PHP", value=10000), None)
    return made.id


@pytest.mark.parametrize("words", ["before", "after"])
async def test_a_worker_killed_at_the_call(shop: Shop, words: str) -> None:
    """The call was committed as made: the repeat asks first."""
    agreement, clock, id_ = await paid(shop)
    asked = await left_behind(shop, id_)
    async with by_hand(shop.house) as hand:
        activity = Reversals(hand.bench).refund
        now = (await charge_row(shop.house, agreement)).paid_at
        assert now is not None
        given = RefundInput(agreement_id=agreement, refund_id=asked, at=now)
        if words == "before":
            hand.after_commits.append(killed)
        else:
            hand.gateway.after_refund = killed
        with pytest.raises(Killed):
            await ActivityEnvironment().run(activity, given)
        hand.gateway.after_refund = None
        hand.gateway.calls.clear()
        await ActivityEnvironment().run(activity, given)
        assert hand.gateway.calls == ["inquire_refund"]
    await ActivityEnvironment().run(Sweeps(shop.house.database, reach(shop.house.temporal), timedelta(0)).sweep)
    await shop.advance(clock, "2027-01-31T03:00:00Z")
    await ended(shop, asked)
    assert (await moved(shop, agreement))[1:] == [("refund", "succeeded", 10000)]
    await audited(shop, agreement)


async def test_a_refund_made_on_the_portal_is_recorded_once(shop: Shop) -> None:
    agreement, _, id_ = await paid(shop)
    made = await sandbox(shop, f"payments/{agreement}-c1-a1/refund", {"value": 10000})
    await until(lambda: status_is(shop, id_, "partially_refunded"))
    await repeated(shop, "REFUND_RESULT", 10)
    [found] = (await charge(shop, id_))["refunds"]
    assert (found["origin"], found["status"], found["amount"]["value"]) == ("provider", "succeeded", 10000)
    assert found["gateway_request_id"] == made["request_id"]
    assert await types(shop, agreement, "refund.") == ["refund.succeeded"]
    assert (await refunded(shop, id_, 39901, expect=422))["errors"][0]["pointer"] == "/amount/value"
    await sandbox(shop, f"refunds/{made['request_id']}/fail")
    await until(lambda: status_is(shop, id_, "succeeded"))
    assert await types(shop, agreement, "refund.") == ["refund.succeeded", "refund.failed"]
    await audited(shop, agreement)


async def repeated(shop: Shop, kind: str, times: int) -> None:
    """The provider sends its last message of a kind again and again."""
    before = await attempted(shop, kind)
    for _ in range(times):
        await sandbox(shop, f"notifications/{before['id']}/resend")

    async def all_sent() -> bool:
        return bool((await last_told(shop, kind))["attempts"] == before["attempts"] + times)

    await until(all_sent)


async def attempted(shop: Shop, kind: str) -> dict[str, Any]:
    """The provider's last message of a kind once it knows how its first attempt to send it ended."""

    async def known() -> bool:
        return bool((await last_told(shop, kind))["attempts"])

    await until(known)
    return await last_told(shop, kind)


async def last_told(shop: Shop, kind: str) -> dict[str, Any]:
    house = shop.house
    rows = (await house.outside.get(f"{house.sandbox_url}/_sandbox/notifications")).json()["data"]
    found = [row for row in rows if row["type"] == kind and row["client_id"] == shop.client_id]
    return dict(found[-1])


async def test_a_payment_canceled_on_the_portal_is_given_back(shop: Shop) -> None:
    agreement, _, id_ = await paid(shop)
    await sandbox(shop, f"payments/{agreement}-c1-a1/cancel")
    await until(lambda: status_is(shop, id_, "refunded"))
    await repeated(shop, "PAYMENT_RESULT", 10)
    [found] = (await charge(shop, id_))["refunds"]
    assert (found["origin"], found["kind"], found["status"]) == ("provider", "cancel", "succeeded")
    assert await types(shop, agreement, "refund.") == ["refund.succeeded"]
    await refunded(shop, id_, expect=409)
    await audited(shop, agreement)


@pytest.mark.parametrize("end", ["completed", "revoked"])
async def test_a_refund_months_after_the_agreement_ended(shop: Shop, end: str) -> None:
    agreement, clock, id_ = await paid(shop, terms={"total_cycles": 1 if end == "completed" else 3})
    if end == "revoked":
        await shop.call("POST", f"/v1/agreements/{agreement}/revoke")
    await workflow_closed(shop, agreement)
    await shop.advance(clock, "2027-10-01T00:00:00Z")
    asked = await refunded(shop, id_)
    await ended(shop, asked["id"])
    made = await charge(shop, id_)
    assert made["status"] == "refunded"
    assert (await shop.read(agreement))["status"] == end
    assert await types(shop, agreement, "refund.") == ["refund.succeeded"]
    await audited(shop, agreement)
