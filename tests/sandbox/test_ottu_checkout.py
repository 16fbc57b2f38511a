"""The customer's payment at the Ottu sandbox: page, cards, webhook, the way back (gateways/ottu.md §4, §5, §7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.sandbox.ottu_support import (
    AGREEMENT,
    CHALLENGED,
    DECLINED,
    EXPIRED,
    MASTERCARD,
    SOON,
    START,
    VISA,
    Merchant,
    gateway_code,
    query_of,
    said,
)

SUMMARY = "/b/checkout/redirect/summary/"
SAVING: dict[str, Any] = {"payment_type": "save_card", "agreement": None, "amount": "0"}


async def test_the_page_says_what_is_paid_and_offers_cards(ottu: Merchant) -> None:
    session = await ottu.create(pg_codes=["mpgs-kwd", "tap-kwd"])
    page = await ottu.http.get(session["checkout_url"])
    assert page.status_code == 200
    for text in ("Pay KWD 12.500 to Desert Books", "charges this card for the coming payments too", "tap-kwd"):
        assert text in page.text
    assert MASTERCARD in page.text
    assert page.headers["cache-control"] == "no-store"
    assert await ottu.state(session["session_id"]) == "created"


async def test_a_payment_is_told_first_and_then_sends_the_customer_back(ottu: Merchant) -> None:
    session = await ottu.create(billing_address={"line1": "1 Palm St", "city": "Kuwait", "country": "KW"})
    answer = await ottu.pay(session["checkout_url"])
    body = ottu.inbox.received[-1]
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("https://merchant.test/return?ref=1&")
    assert answer.headers["location"].endswith("#end")
    assert query_of(answer) == {
        "ref": "1",
        "order_no": "INV-2026-11-0042",
        "reference_number": body["reference_number"],
        "session_id": session["session_id"],
    }
    assert said(body) == ("success", "paid")
    assert (body["amount"], body["paid_amount"], body["settled_amount"]) == ("12.500", "12.500", "12.500")
    assert (body["gateway_account"], body["gateway_name"]) == ("mpgs-kwd", "mpgs")
    assert gateway_code(body) == ("APPROVED", "00")
    assert body["timestamp_utc"] == "2026-11-20 09:15:02"
    assert (body["customer_address_line1"], body["customer_address_city"]) == ("1 Palm St", "Kuwait")
    assert body["agreement"] == AGREEMENT | {"start_date": "2026-11-20", "expiry_date": "2027-11-20"}
    assert "Mozilla" in ottu.inbox.headers[-1]["user-agent"]
    card = (await ottu.cards(agreement_id="AGR-0042"))[0]
    assert card.pop("pg_name") == body["token"].pop("pg") == "mpgs"
    assert card == body["token"]
    assert (card["brand"], card["number"], card["expiry_month"], card["expiry_year"]) == (
        "MASTERCARD",
        "**** 0008",
        "01",
        "39",
    )
    assert await ottu.ledger() == [
        {
            "request_id": "INV-2026-11-0042",
            "kind": "debit",
            "amount": 12500,
            "currency": "KWD",
            "status": "succeeded",
            "virtual_time": START.isoformat(),
            "credential": (await ottu.credential())["id"],
            "merchant_reference": "INV-2026-11-0042",
        }
    ]
    again = await ottu.pay(session["checkout_url"])
    assert again.status_code == 409
    assert len(await ottu.ledger()) == 1


async def test_a_reference_that_stays_over_attempts_is_read_from_extra(ottu: Merchant) -> None:
    await ottu.agree(extra={"order_reference": "cycle-1"})
    assert [entry["merchant_reference"] for entry in await ottu.ledger()] == ["cycle-1"]


async def test_a_customer_who_gives_up_can_come_back(ottu: Merchant) -> None:
    session = await ottu.create()
    answer = await ottu.pay(session["checkout_url"], decision="reject")
    assert answer.status_code == 303
    assert said(ottu.inbox.received[-1]) == ("canceled", "attempted")
    assert "token" not in ottu.inbox.received[-1]
    assert await ottu.ledger() == []
    assert (await ottu.pay(session["checkout_url"])).status_code == 303
    assert said(ottu.inbox.received[-1]) == ("success", "paid")


@pytest.mark.parametrize(
    ("decision", "card", "expected"),
    [("reject", MASTERCARD, ("canceled", "expired")), ("approve", DECLINED, ("failed", "failed"))],
)
async def test_where_one_attempt_is_all_the_first_failure_is_final(
    ottu: Merchant, decision: str, card: str, expected: tuple[str, str]
) -> None:
    session = await ottu.create(pg_codes=["mpgs-kwd-single"])
    await ottu.pay(session["checkout_url"], card=card, decision=decision)
    assert said(ottu.inbox.received[-1]) == expected
    assert (await ottu.pay(session["checkout_url"])).status_code in (409, 410)


async def test_a_declined_card_is_told_and_not_saved(ottu: Merchant) -> None:
    session = await ottu.create()
    answer = await ottu.pay(session["checkout_url"], card="5555 5555 5555 4444")
    assert answer.status_code == 303
    body = ottu.inbox.received[-1]
    assert said(body) == ("failed", "attempted")
    assert gateway_code(body) == ("DECLINED", "05")
    assert (body["message"], body["remaining_amount"]) == ("Do not honour", "12.500")
    assert {"token", "paid_amount", "settled_amount", "timestamp_utc"} & body.keys() == set()
    assert await ottu.cards() == []
    assert await ottu.movements() == [("debit", "failed", 12500)]


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"card": SOON}, "expires within 30 days"),
        ({"card": EXPIRED}, "has expired"),
        ({"card": "4111111111111111"}, "There is no card"),
        ({"expiry": "13/39"}, "MM/YY"),
        ({"expiry": "12/26", "card": VISA}, ""),
        ({"expiry": "11/26", "card": VISA}, "expires within 30 days"),
        ({"pg_code": "tap-kwd"}, "not offered"),
        ({"script": "win"}, "unknown script"),
        ({"decision": "maybe"}, "No decision"),
    ],
)
async def test_a_choice_that_cannot_be_paid_with_tries_nothing(
    ottu: Merchant, form: dict[str, str], reason: str
) -> None:
    session = await ottu.create()
    answer = await ottu.pay(session["checkout_url"], **form)
    assert answer.status_code == (422 if reason else 303)
    assert reason in answer.text
    assert await ottu.state(session["session_id"]) == ("created" if reason else "paid")


async def test_the_time_a_card_must_be_valid_is_the_merchants_choice(ottu: Merchant) -> None:
    strict = await ottu.create(card_acceptance_criteria={"min_expiry_time": 300})
    assert (await ottu.pay(strict["checkout_url"], expiry="08/27")).status_code == 422
    assert (await ottu.pay(strict["checkout_url"], expiry="09/27")).status_code == 303
    for days, status in ((42, 422), (41, 303)):  # until 31 December it is 41 days
        exact = await ottu.create(card_acceptance_criteria={"min_expiry_time": days})
        assert (await ottu.pay(exact["checkout_url"], expiry="12/26")).status_code == status
    once = await ottu.create(payment_type="one_off", agreement=None)
    assert (await ottu.pay(once["checkout_url"], card=SOON)).status_code == 303
    assert "token" not in ottu.inbox.received[-1]


@pytest.mark.parametrize(
    ("decision", "expected"), [("approve", ("success", "paid")), ("reject", ("failed", "attempted"))]
)
async def test_a_card_may_ask_its_holder_first(ottu: Merchant, decision: str, expected: tuple[str, str]) -> None:
    session = await ottu.create()
    asked = await ottu.pay(session["checkout_url"], "insufficient_funds", CHALLENGED)
    question = f"{ottu.base_url}{asked.headers['location']}"
    assert asked.status_code == 303
    assert ottu.inbox.received == []
    assert await ottu.state(session["session_id"]) == "pending"
    assert "KWD 12.500 to Desert Books" in (await ottu.http.get(question)).text

    answer = await ottu.http.post(question, data={"decision": decision})
    assert answer.status_code == 303
    assert query_of(answer)["session_id"] == session["session_id"]
    assert said(ottu.inbox.received[-1]) == expected
    assert (await ottu.http.post(question, data={"decision": "approve"})).status_code == 409
    if decision == "reject":
        assert gateway_code(ottu.inbox.received[-1])[0] == "AUTHENTICATION_FAILED"
    else:
        assert (await ottu.credential())["script"] == "insufficient_funds"


@pytest.mark.parametrize("status", [201, 204, 302, 500, 0])
async def test_a_customer_whose_payment_was_not_taken_note_of_stays(impatient: Merchant, status: int) -> None:
    ottu = impatient
    ottu.inbox.answers = [status]
    session = await ottu.create()
    answer = await ottu.pay(session["checkout_url"])
    assert answer.headers["location"] == f"{SUMMARY}?session_id={session['session_id']}"
    page = await ottu.http.get(f"{ottu.base_url}{answer.headers['location']}")
    assert (page.status_code, "Payment received" in page.text) == (200, True)


async def test_without_an_address_to_be_told_at_the_customer_stays(ottu: Merchant) -> None:
    session = await ottu.create(webhook_url=None)
    assert (await ottu.pay(session["checkout_url"])).headers["location"].startswith(SUMMARY)
    await ottu.register(webhook_url=f"{ottu.inbox.url}/default")
    session = await ottu.create(webhook_url=None)
    assert "merchant.test" in (await ottu.pay(session["checkout_url"])).headers["location"]


@pytest.mark.parametrize("path", ["start/?session_id=x", "3ds/?id=x", "summary/?session_id=x"])
async def test_an_unknown_link_says_so(ottu: Merchant, path: str) -> None:
    assert (await ottu.http.get(f"{ottu.base_url}/b/checkout/redirect/{path}")).status_code == 404


async def test_an_expired_or_canceled_link_is_closed(ottu: Merchant) -> None:
    session = await ottu.create(expiration_time="00:10:00")
    canceled = await ottu.create()
    await ottu.operate("cancel", canceled["session_id"])
    assert (await ottu.pay(canceled["checkout_url"])).status_code == 409
    await ottu.advance(timedelta(minutes=10))
    assert (await ottu.http.get(session["checkout_url"])).status_code == 410
    assert (await ottu.pay(session["checkout_url"])).status_code == 410


# Cards and agreements


async def test_another_card_takes_the_agreement_over(ottu: Merchant) -> None:
    old = await ottu.agree()
    new = await ottu.agree(card=VISA, order_no="INV-2")
    assert [card["token"] for card in await ottu.cards(agreement_id="AGR-0042")] == [new]
    locks = {card["token"]: card["agreements"] for card in await ottu.cards()}
    assert locks == {old: [], new: ["AGR-0042"]}
    assert list(locks) == [new, old], "the newest first, also of one instant"
    assert [card["token"] for card in (await ottu.admin("credentials"))["data"]] == [old, new]
    card = "/b/pbl/v2/card/{}/?customer_id=cust_7781&type=sandbox"
    await ottu.call(card.format(new), method="DELETE", expect=400)
    assert await ottu.call(card.format(old), method="DELETE", expect=204) is None
    assert [card["token"] for card in await ottu.cards()] == [new]
    await ottu.call(card.format(old), method="DELETE", expect=404)


async def test_a_failed_change_leaves_the_agreement_its_card(ottu: Merchant) -> None:
    token = await ottu.agree()
    session = await ottu.create(order_no="INV-2")
    await ottu.pay(session["checkout_url"], card=DECLINED)
    assert [card["token"] for card in await ottu.cards(agreement_id="AGR-0042")] == [token]


async def test_a_saved_card_pays_under_its_token_and_serves_many_agreements(ottu: Merchant) -> None:
    token = await ottu.agree()
    other = AGREEMENT | {"id": "AGR-0077"}
    session = await ottu.create(agreement=other)
    assert f'value="{token}"' in (await ottu.http.get(session["checkout_url"])).text
    await ottu.pay(session["checkout_url"], card=token)
    assert ottu.inbox.received[-1]["token"]["agreements"] == ["AGR-0042", "AGR-0077"]
    assert await ottu.agree(agreement=AGREEMENT | {"id": "AGR-0099"}) == token


async def test_a_customers_card_is_nobody_elses(ottu: Merchant) -> None:
    token = await ottu.agree()
    session = await ottu.create(customer_id="cust_2")
    assert (await ottu.pay(session["checkout_url"], card=token)).status_code == 422
    assert await ottu.agree(customer_id="cust_2") != token
    assert await ottu.cards(customer_id="nobody") == []


async def test_a_card_is_saved_without_money_and_without_agreement(ottu: Merchant) -> None:
    token = await ottu.agree(**SAVING)
    body = ottu.inbox.received[-1]
    assert (said(body), body["token"]["agreements"]) == (("success", "paid"), [])
    assert gateway_code(body) == ("APPROVED", "85")
    assert await ottu.ledger() == []
    page = (await ottu.http.get((await ottu.create(**SAVING))["checkout_url"])).text
    assert token not in page
    assert await ottu.agree() == token
    assert (await ottu.cards())[0]["agreements"] == ["AGR-0042"]


async def test_cards_are_listed_by_customer_gateway_and_kind(ottu: Merchant) -> None:
    await ottu.agree()
    await ottu.agree(card=VISA, pg_codes=["tap-kwd"], agreement=AGREEMENT | {"id": "B"})
    assert len(await ottu.cards()) == 2
    assert [card["pg_code"] for card in await ottu.cards(pg_codes=["tap-kwd"])] == ["tap-kwd"]
    assert await ottu.cards(type="production") == []
    got = await ottu.call("/b/pbl/v2/card/?customer_id=cust_7781&type=sandbox", method="GET")
    assert sorted(card["brand"] for card in got) == ["MASTERCARD", "VISA"]
    required = ["This field is required."]
    assert await ottu.call("/b/pbl/v2/card/", {}, expect=400) == {"customer_id": required, "type": required}
    assert await ottu.call("/b/pbl/v2/card/1/", method="DELETE", expect=400) == {
        "customer_id": required,
        "type": required,
    }


async def test_a_card_tells_when_it_expires(ottu: Merchant) -> None:
    session = await ottu.create()
    await ottu.pay(session["checkout_url"], expiry="01/27")

    async def flags() -> tuple[bool, bool]:
        card = (await ottu.cards())[0]
        return card["will_expire_soon"], card["is_expired"]

    assert await flags() == (False, False)
    ottu.now = START.replace(year=2027, month=1, day=5)
    assert await flags() == (True, False)
    ottu.now = START.replace(year=2027, month=2, day=1, hour=0, minute=0, second=0)
    assert await flags() == (False, True)
    assert (await ottu.credential())["status"] == "expired"
    assert (await ottu.credential())["expires_at"] == "2027-02-01T00:00:00+00:00"


async def test_support_can_unlock_a_card(ottu: Merchant) -> None:
    token = await ottu.agree()
    unlocked = await ottu.admin(f"credentials/{(await ottu.credential())['id']}/unlock", {})
    assert (unlocked["token"], unlocked["agreements"]) == (token, [])
    path = f"/b/pbl/v2/card/{token}/?customer_id=cust_7781&type=sandbox"
    await ottu.call(path, method="DELETE", expect=204)
    assert (await ottu.credential())["status"] == "deleted"


# Payment methods


async def test_payment_methods_are_filtered(ottu: Merchant) -> None:
    async def codes(**filters: Any) -> list[str]:
        body = {"plugin": "e_commerce", **filters}
        answer = await ottu.call("/b/pbl/v2/payment-methods/", body)
        return [method["code"] for method in answer["payment_methods"]]

    assert await codes(currencies=["SAR"], operation="purchase") == ["mpgs-kwd", "mpgs-sar"]
    assert await codes(operation="authorize") == ["mpgs-kwd-auth"]
    assert await codes(pg_names=["kpay"]) == ["knet-kwd"]
    assert "knet-kwd" not in await codes(currencies=["KWD"], auto_debit=True)
    assert await codes(currencies=["USD"], tokenizable="true") == ["mpgs-usd", "checkout-usd"]
    assert await codes(currencies=["USD"], auto_debit="true") == ["mpgs-usd"]
    assert await codes(type="production") == []
    assert await codes(tags=["subscriptions"], currencies=["KWD"]) == ["mpgs-kwd"]
    assert await ottu.call("/b/pbl/v2/payment-methods/", {}, expect=400) == {"plugin": ["This field is required."]}


async def test_a_customers_own_methods_are_those_of_the_saved_cards(ottu: Merchant) -> None:
    await ottu.agree()
    body = {"plugin": "e_commerce", "customer_id": "cust_7781", "currencies": ["KWD"]}
    answer = await ottu.call("/b/pbl/v2/payment-methods/", body)
    assert answer["customer_payment_methods"] == ["mpgs-kwd"]
    assert answer["payment_methods"][0] | {"logo": ""} == {
        "code": "mpgs-kwd",
        "name": "Credit Card",
        "pg": "MPGS",
        "is_sandbox": True,
        "logo": "",
        "wallets": [],
        "payment_services": [],
        "default_currency": "KWD",
        "accepted_currencies": ["KWD", "SAR", "BHD"],
        "operation": "purchase",
        "operations": ["refund", "void"],
        "is_tokenizable": True,
        "auto_debit_enabled": True,
        "tags": ["subscriptions"],
    }
