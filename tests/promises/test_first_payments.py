"""Where customers agree by paying (Ottu, Pivot), their payment is an attempt like others: it counts or goes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.promises.customers import ask, follow
from tests.promises.support import audited, until
from tests.support.house import House
from tests.support.shops import CARDS, Shop

MORNING = "2027-01-31T00:00:00Z"
"""The first cycle of the tests' agreements falls on this day, in every gateway's zone."""
A_WEEK_BEFORE = "2027-01-24T00:00:00Z"
NEXT_MONTH = "2027-02-28T12:00:00Z"

pytestmark = pytest.mark.parametrize("gateway", ["ottu", "pivot"])


async def charge(shop: Shop, agreement: str, number: int) -> dict[str, Any]:
    return (await shop.charges(agreement))[number]


async def pay_and_close_the_browser(shop: Shop, url: str) -> None:
    answer = await shop.house.outside.post(url, data={"decision": "approve", "card": CARDS[shop.gateway][0]})
    assert answer.status_code == 303
    if answer.headers["location"].startswith("/payment/"):
        bank = httpx.URL(shop.sandbox_url).join(answer.headers["location"])
        await shop.house.outside.post(bank, data={"decision": "approve"})


async def given_back(shop: Shop, agreement: str) -> bool:
    return any(
        row["kind"] in ("refund", "cancel") and row["status"] == "succeeded" for row in await shop.ledger(agreement)
    )


async def debits(shop: Shop, agreement: str) -> list[tuple[str, str]]:
    return [(row["virtual_time"][:10], row["status"]) for row in await shop.ledger(agreement) if row["kind"] == "debit"]


async def test_an_agreement_that_starts_today_begins_with_the_customers_payment_of_cycle_1(
    house: House, gateway: str
) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock)
    first = await charge(shop, agreement, 0)
    assert (first["cycle"], first["purpose"], first["status"]) == (1, "cycle", "succeeded")
    read = await shop.read(agreement)
    assert read["credential"]["kind"] == "card"
    assert read["credential"]["last4"] == CARDS[gateway][0][-4:]
    await shop.advance(clock, NEXT_MONTH)
    assert [row["status"] for row in await audited(shop, agreement)] == ["succeeded", "succeeded", "scheduled"]
    assert len(await debits(shop, agreement)) == 2


async def test_an_agreement_that_starts_later_begins_with_a_verification_that_goes_back_at_once(
    house: House, gateway: str
) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(A_WEEK_BEFORE)
    agreement = await shop.agree(clock)
    proof = await charge(shop, agreement, 0)
    assert (proof["cycle"], proof["purpose"]) == (None, "verification")
    await shop.advance(clock, "2027-01-24T01:00:00Z")
    assert await given_back(shop, agreement)
    await shop.advance(clock, "2027-01-31T12:00:00Z")
    found = {row["purpose"]: row["status"] for row in await audited(shop, agreement) if row["status"] != "scheduled"}
    assert found == {"verification": "reversed", "cycle": "succeeded"}
    assert (await shop.read(agreement))["totals"]["cycles_paid"] == 1


async def test_a_payment_nobody_told_us_of_is_found_when_its_pages_time_is_over(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    made = await shop.call("POST", "/v1/agreements", shop.body(clock), 201)
    with house.tap.shut():
        await pay_and_close_the_browser(shop, made["authorization"]["url"])
        assert (await shop.read(made["id"]))["status"] == "pending_authorization"
        await shop.advance(clock, "2027-01-31T01:05:00Z")
    assert (await shop.read(made["id"]))["status"] == "active"
    assert [row["status"] for row in await audited(shop, made["id"])] == ["succeeded", "scheduled"]
    assert [status for _, status in await debits(shop, made["id"])] == ["succeeded"]


async def test_a_customer_who_does_not_pay_has_not_agreed(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    made = await shop.call("POST", "/v1/agreements", shop.body(clock), 201)
    assert made["status"] == "pending_authorization"
    await shop.advance(clock, "2027-01-31T03:00:00Z")
    read = await shop.read(made["id"])
    assert read["status"] == "authorization_failed"
    assert [row["status"] for row in await audited(shop, made["id"])] == ["canceled"]
    assert await debits(shop, made["id"]) == []


async def test_a_payment_made_while_the_merchant_revokes_goes_back(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    made = await shop.call("POST", "/v1/agreements", shop.body(clock), 201)
    await shop.call("POST", f"/v1/agreements/{made['id']}/revoke", {})
    answer = await house.outside.post(made["authorization"]["url"], data={"decision": "approve"})
    assert answer.status_code < 500
    await shop.advance(clock, "2027-01-31T12:00:00Z")
    assert (await shop.read(made["id"]))["status"] == "revoked"
    kept = [row for row in await audited(shop, made["id"]) if row["status"] == "succeeded"]
    assert kept == []


async def test_another_card_pays_the_oldest_overdue_cycle_itself(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock, "expired_card")
    await shop.advance(clock, NEXT_MONTH)
    read = await shop.read(agreement)
    assert read["status"] == "action_required"
    assert [row["status"] for row in await shop.charges(agreement)][:2] == ["succeeded", "action_required"]
    page = await follow(shop, read["action"]["url"])
    assert page.status_code == 303, page.text
    await shop.decide(page.headers["location"], decision="approve", script="success", card=CARDS[gateway][1])
    await shop.until_status(agreement, "active")
    second = await charge(shop, agreement, 1)
    assert [(each["number"], each["status"]) for each in second["attempts"]] == [(1, "failed"), (2, "succeeded")]
    assert (await shop.read(agreement))["credential"]["last4"] == CARDS[gateway][1][-4:]
    await audited(shop, agreement)
    assert [status for _, status in await debits(shop, agreement)] == ["succeeded", "failed", "succeeded"]


async def test_a_retry_that_falls_due_closes_the_customers_page_first(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock, "insufficient_funds,success")
    await shop.advance(clock, NEXT_MONTH)
    second = await charge(shop, agreement, 1)
    assert second["status"] == "retrying"
    falls_due = datetime.fromisoformat(second["attempts"][0]["decision"]["at"])
    await shop.advance(clock, (falls_due - timedelta(minutes=2)).isoformat())
    link = await ask(shop, agreement)
    page = await follow(shop, link["url"])
    await shop.advance(clock, (falls_due + timedelta(minutes=30)).isoformat())
    second = await charge(shop, agreement, 1)
    assert second["status"] == "succeeded"
    assert [each["status"] for each in second["attempts"]] == ["failed", "canceled", "succeeded"]
    late = await house.outside.post(page.headers["location"], data={"decision": "approve"})
    assert late.status_code < 500
    await shop.advance(clock, (falls_due + timedelta(days=1)).isoformat())
    await audited(shop, agreement)
    assert [status for _, status in await debits(shop, agreement)].count("succeeded") == 2


async def test_what_the_customer_will_pay_is_shown_before_they_agree(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    today = await shop.call("POST", "/v1/agreements", shop.body(await shop.clock(MORNING)), 201)
    later = await shop.call("POST", "/v1/agreements", shop.body(await shop.clock(A_WEEK_BEFORE)), 201)
    payment, proof = today["authorization"]["payment"], later["authorization"]["payment"]
    assert (payment["cycle"], payment["purpose"], payment["amount"]) == (1, "cycle", today["terms"]["amount"])
    assert (proof["cycle"], proof["purpose"]) == (None, "verification")
    assert proof["amount"]["value"] < today["terms"]["amount"]["value"]


async def test_a_customer_who_cancels_on_the_page_can_come_back_until_its_time_is_over(
    house: House, gateway: str
) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    made = await shop.call("POST", "/v1/agreements", shop.body(clock), 201)
    await shop.decide(made["authorization"]["url"], decision="reject")
    await shop.advance(clock, "2027-01-31T03:00:00Z")
    assert (await shop.read(made["id"]))["status"] == "authorization_failed"
    assert "succeeded" not in [status for _, status in await debits(shop, made["id"])]
    await audited(shop, made["id"])


async def test_who_follows_a_link_in_its_last_minutes_has_the_pages_time(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock, "expired_card")
    await shop.advance(clock, NEXT_MONTH)
    action = (await shop.read(agreement))["action"]
    act_by = datetime.fromisoformat(action["act_by"])
    await shop.advance(clock, (act_by - timedelta(minutes=5)).isoformat())
    page = await follow(shop, action["url"])
    await shop.advance(clock, (act_by + timedelta(minutes=5)).isoformat())
    assert (await charge(shop, agreement, 1))["status"] == "action_required"
    await shop.decide(page.headers["location"], decision="approve", card=CARDS[gateway][1])
    await shop.until_status(agreement, "active")
    assert (await charge(shop, agreement, 1))["status"] == "succeeded"
    assert "charge.failed" not in [event["type"] for event in await shop.events(agreement)]


async def test_a_link_followed_in_its_last_minutes_for_nothing_gives_the_charge_up(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock, "expired_card")
    await shop.advance(clock, NEXT_MONTH)
    action = (await shop.read(agreement))["action"]
    act_by = datetime.fromisoformat(action["act_by"])
    await shop.advance(clock, (act_by - timedelta(minutes=5)).isoformat())
    await follow(shop, action["url"])
    await shop.advance(clock, (act_by + timedelta(hours=2)).isoformat())
    second = await charge(shop, agreement, 1)
    # An unpaid page ends as a failure at Ottu, canceled at Pivot.
    assert second["status"] == "failed"
    assert second["attempts"][1]["status"] == {"ottu": "failed", "pivot": "canceled"}[gateway]


async def test_a_link_that_is_followed_twice_leads_to_one_page(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock, "expired_card")
    await shop.advance(clock, NEXT_MONTH)
    link = (await shop.read(agreement))["action"]["url"]
    first, second = await follow(shop, link), await follow(shop, link)
    assert first.headers["location"] == second.headers["location"]
    assert len((await charge(shop, agreement, 1))["attempts"]) == 2


async def test_another_card_with_nothing_overdue_is_verified_and_the_money_goes_back(
    house: House, gateway: str
) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock)
    old = (await shop.read(agreement))["credential"]["id"]
    page = await follow(shop, (await ask(shop, agreement))["url"])
    await shop.decide(page.headers["location"], decision="approve", card=CARDS[gateway][1])
    await until(lambda: uses_another(shop, agreement, old))
    await shop.advance(clock, NEXT_MONTH)
    found = [(row["purpose"], row["status"]) for row in await audited(shop, agreement)]
    assert ("verification", "reversed") in found
    assert found.count(("cycle", "succeeded")) == 2
    last = [row for row in await shop.ledger(agreement) if row["kind"] == "debit"][-1]
    assert last["virtual_time"][:10] == "2027-02-28"


async def uses_another(shop: Shop, agreement: str, credential: str) -> bool:
    return bool((await shop.read(agreement))["credential"]["id"] != credential)


IN_FLIGHT = {"ottu": "lost_answer_success", "pivot": "processing_then_success"}
"""What keeps a debit open beyond the instant it was made."""


async def test_a_card_changed_while_a_debit_is_in_flight_is_verified_and_the_debit_is_found_out(
    house: House, gateway: str
) -> None:
    shop = await house.shop(gateway)
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock, IN_FLIGHT[gateway])
    old = (await shop.read(agreement))["credential"]["id"]
    second = await charge(shop, agreement, 1)
    due = datetime.fromisoformat(second["due_at"])
    await shop.advance(clock, due.isoformat())
    assert (await charge(shop, agreement, 1))["status"] in ("unknown", "processing")
    page = await follow(shop, (await ask(shop, agreement))["url"])
    await shop.decide(page.headers["location"], decision="approve", card=CARDS[gateway][1])
    await until(lambda: uses_another(shop, agreement, old))
    await shop.advance(clock, (due + timedelta(days=2)).isoformat())
    found = [(row["purpose"], row["status"]) for row in await audited(shop, agreement)]
    assert found.count(("cycle", "succeeded")) == 2
    assert ("verification", "reversed") in found
