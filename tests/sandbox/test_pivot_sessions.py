"""Sessions of Pivot's sandbox and the hosted page (gateways/pay-and-save.md §2, §3, §8)."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.pivot_support import (
    CHALLENGE,
    URLS,
    Callbacks,
    Data,
    Shop,
)

MINUTE = timedelta(minutes=1)


# Sessions as created: the table of §8


async def test_a_redirect_session_is_answered_as_documented(shop: Shop) -> None:
    session = await shop.create(statementDescriptor="EXAMPLE SHOP", expirationMode="STRICT")
    assert session["status"] == "REQUIRE_ACTION"
    assert session["redirectUrl"] == URLS
    assert session["paymentMethod"] == {"type": "CARD"}
    assert session["createdAt"] == "2027-01-31T01:00:00.000000061Z"
    assert session["expiryAt"] == "2027-01-31T01:15:00Z"
    assert session["metadata"] == {"invoice": "INV-77"}
    assert "encryptionKey" not in session
    [charge] = session["chargeDetails"]
    assert charge["status"] == "WAITING_FOR_USER_ACTION"
    assert charge["statementDescriptor"] == "EXAMPLE SHOP"
    assert (charge["authorizedAmount"], charge["isCaptured"], charge["paidAt"]) == (None, False, None)
    assert "card" not in charge
    page = urlsplit(session["paymentUrl"])
    claims = parse_qs(page.query)["token"][0].split(".")[1]
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    expiry = int(datetime.fromisoformat("2027-01-31T01:15:00+00:00").timestamp())
    assert decoded == {"uuid": session["id"], "iss": "backend-portal", "exp": expiry}
    assert page.path == "/detail"


@pytest.mark.parametrize(
    ("change", "status", "url", "key", "charged"),
    [
        ({"autoConfirm": False}, "REQUIRE_CONFIRMATION", True, False, False),
        ({"paymentMethod": None}, "REQUIRE_CONFIRMATION", True, False, False),
        ({"mode": "API", "autoConfirm": False}, "REQUIRE_CONFIRMATION", False, True, False),
        ({"mode": "API", "autoConfirm": False, "paymentMethod": None}, "REQUIRE_PAYMENT_METHOD", False, False, False),
        (
            {
                "mode": "API",
                "paymentMethod": {"type": "EWALLET"},
                "paymentMethodOptions": {"ewallet": {"channel": "SHOPEEPAY"}},
            },
            "REQUIRE_ACTION",
            True,
            False,
            True,
        ),
    ],
)
async def test_what_a_session_begins_with(
    shop: Shop, change: Data, status: str, url: bool, key: bool, charged: bool
) -> None:
    session = await shop.create(**change)
    assert session["status"] == status
    assert ("paymentUrl" in session, "encryptionKey" in session) == (url, key)
    assert bool(session["chargeDetails"]) == charged


async def test_the_same_email_is_the_same_customer(shop: Shop) -> None:
    first = await shop.create("ord1")
    second = await shop.create("ord2", customer={"email": "SARI@example.test"})
    assert first["customerId"] == second["customerId"]
    by_id = await shop.create("ord3", customer=None, customerId=first["customerId"])
    assert by_id["customer"]["givenName"] == "Sari"
    both = await shop.create("ord4", customer={"email": "other@example.test"}, customerId=first["customerId"])
    assert both["customerId"] == first["customerId"]
    unknown = await shop.refused("POST", "/v2/payments", shop.body("ord5", customer=None, customerId="none"))
    assert unknown == (404, "resource_missing")


# The hosted page


async def test_the_hosted_page_shows_who_asks_for_what_and_asks_to_save(shop: Shop) -> None:
    session = await shop.create()
    shown = await shop.http.get(session["paymentUrl"])
    assert shown.status_code == 200
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    for expected in ("Example Store", "IDR 150,000", 'value="approve"', 'value="reject"', 'name="card"'):
        assert expected in shown.text
    assert '<input type="checkbox" name="save" value="on">' in shown.text  # not ticked
    unsaved = await shop.create("ord2", saveForFutureUse=False)
    assert 'name="save"' not in (await shop.http.get(unsaved["paymentUrl"])).text


async def test_a_customer_pays_and_is_told_callbacks_come_first(shop: Shop, callbacks: Callbacks) -> None:
    session = await shop.create(bypassStatusPage=True)
    back = await shop.decide(session, card=CHALLENGE)
    assert sorted(callbacks.events) == ["PAYMENT.PAID", "PAYMENT.PROCESSING"]  # before the redirect
    assert back.headers["location"] == URLS["successReturnUrl"]
    paid = await shop.read(session["id"])
    assert paid == callbacks.of("PAYMENT.PAID")[0]
    assert callbacks.of("PAYMENT.PROCESSING")[0]["chargeDetails"][0]["status"] == "PROCESSING"
    assert paid["status"] == "PAID"
    assert paid["customer"]["storePaymentMethods"] is None
    assert "paymentUrl" not in paid
    [charge] = paid["chargeDetails"]
    assert (charge["status"], charge["isCaptured"], charge["paidAt"]) == ("SUCCESS", True, "2027-01-31T01:00:00Z")
    assert charge["capturedAmount"] == charge["authorizedAmount"] == {"value": 150000, "currency": "IDR"}
    assert charge["fdsRiskAssessment"]["status"] == "PASSED"
    card = charge["card"]
    assert (card["first6"], card["first8"], card["last4"]) == ("444000", "44400001", "0002")
    assert (card["expMonth"], card["expYear"], card["binInformations"]["brand"]) == ("01", "39", "VISA")
    assert card["authenticationResult"]["eciCode"] == "05"
    assert card["authorizationResult"]["issuerAuthorizationCode"] == "00"
    entry = (await shop.ledger())[0]
    assert entry == {
        "request_id": "ord1",
        "kind": "debit",
        "amount": 15_000_000,  # sen
        "currency": "IDR",
        "status": "succeeded",
        "virtual_time": "2027-01-31T01:00:00+00:00",
        "credential": (await shop.credential())["id"],
        "merchant_reference": "INV-77",
    }


async def test_the_status_page_comes_between_unless_it_is_bypassed(shop: Shop) -> None:
    back = await shop.decide(await shop.create())
    location = back.headers["location"]
    assert location.startswith("/status?")
    shown = await shop.http.get(shop.base_url + location)
    assert "Payment successful" in shown.text
    assert f'href="{URLS["successReturnUrl"]}"' in shown.text
    assert (await shop.http.get(f"{shop.base_url}/status?token=none")).status_code == 404


async def test_a_customer_who_cancels_pays_nothing(shop: Shop, callbacks: Callbacks) -> None:
    session = await shop.create(bypassStatusPage=True)
    back = await shop.decide(session, "reject")
    assert back.headers["location"] == URLS["failureReturnUrl"]
    assert callbacks.events == ["PAYMENT.CANCELLED"]
    cancelled = await shop.read(session["id"])
    assert (cancelled["status"], cancelled["cancellationReason"]) == ("CANCELLED", "CHARGE_FAILED")
    assert cancelled["chargeDetails"][0]["failureCode"] == "CANCELLED_BY_USER"
    assert await shop.ledger() == []

    unconfirmed = await shop.create("ord2", paymentMethod=None)
    await shop.decide(unconfirmed, "reject")
    cancelled = await shop.read(unconfirmed["id"])
    assert (cancelled["cancellationReason"], cancelled["chargeDetails"]) == ("REQUESTED_BY_CUSTOMER", None)


async def test_a_link_works_once_and_ends_with_its_session(shop: Shop, callbacks: Callbacks) -> None:
    session = await shop.create()
    await shop.decide(session)
    for again in (
        await shop.http.get(session["paymentUrl"]),
        await shop.http.post(session["paymentUrl"], data={"decision": "approve"}),
    ):
        assert again.status_code == 409
    assert (await shop.http.get(session["paymentUrl"] + "x")).status_code == 404

    late = await shop.create("ord2")
    state = await shop.quiet()
    assert datetime.fromisoformat(state["next_due_at"]) == shop.now + 15 * MINUTE
    await shop.advance(15 * MINUTE)
    answer = await shop.http.get(late["paymentUrl"])
    assert (answer.status_code, answer.headers["location"]) == (303, URLS["expirationReturnUrl"])
    expired = await shop.read(late["id"])
    assert (expired["status"], expired["chargeDetails"][0]["status"]) == ("EXPIRED", "EXPIRED")
    assert expired["chargeDetails"][0]["failureCode"] == "CHARGE_EXPIRED"
    told = callbacks.of("PAYMENT.CANCELLED")
    assert [(body["id"], body["status"]) for body in told] == [(late["id"], "EXPIRED")]


@pytest.mark.parametrize(
    "form",
    [
        {"decision": "perhaps"},
        {"decision": "approve", "script": "win"},
        {"decision": "approve", "card": "4440000112290003"},
        {"decision": "approve", "expiry": "13/39"},
        {"decision": "approve", "saved": "cred_none"},
    ],
)
async def test_input_that_cannot_be_used_changes_nothing(shop: Shop, form: dict[str, str]) -> None:
    session = await shop.create()
    assert (await shop.http.post(session["paymentUrl"], data=form)).status_code == 422
    assert (await shop.read(session["id"]))["status"] == "REQUIRE_ACTION"
    await shop.decide(session)


async def test_a_callback_that_is_not_acknowledged_delays_the_redirect_only(shop: Shop, callbacks: Callbacks) -> None:
    callbacks.answers = [500, 500]
    session = await shop.create()
    await shop.decide(session)
    assert (await shop.read(session["id"]))["status"] == "PAID"


# Saving


@pytest.mark.parametrize(("form", "tokens"), [({}, 1), ({"save": "on"}, 1), ({"save": "off"}, 0)])
async def test_the_customer_decides_about_the_token(shop: Shop, form: dict[str, str], tokens: int) -> None:
    session = await shop.create()
    await shop.decide(session, **form)
    customer = await shop.ok("GET", f"/v1/customers/{session['customerId']}")
    assert len(customer["storedPaymentMethods"]) == tokens
    assert (await shop.read(session["id"]))["saveForFutureUse"] is True


async def test_a_browser_that_ticks_the_box_saves(shop: Shop) -> None:
    for number, ticked in enumerate((True, False)):
        session = await shop.create(f"ord{number}", customer={"email": f"c{number}@example.test"})
        form: Any = {"decision": "approve", "save": ["off", "on"] if ticked else ["off"]}
        assert (await shop.http.post(session["paymentUrl"], data=form)).status_code == 303
        customer = await shop.ok("GET", f"/v1/customers/{session['customerId']}")
        assert bool(customer["storedPaymentMethods"]) == ticked


async def test_nothing_is_saved_without_the_flag_or_without_success(shop: Shop) -> None:
    session = await shop.create("ord1", saveForFutureUse=False)
    await shop.decide(session, save="on")
    await shop.decide(await shop.create("ord2"), card="4440000334470010")
    assert (await shop.admin("credentials"))["data"] == []
    assert await shop.movements() == [("debit", "succeeded"), ("debit", "failed")]


async def test_a_stored_card_as_retrieve_customer_shows_it(shop: Shop) -> None:
    stored = await shop.save_card()
    paid = (await shop.ok("GET", "/v2/payments"))[0]
    assert (stored["paymentMethod"], stored["paymentChannel"], stored["status"]) == ("CARD", "VISA", "ACTIVE")
    assert stored["card"]["fingerprint"] == paid["chargeDetails"][0]["card"]["fingerprint"]
    assert (stored["card"]["first8"], stored["card"]["last4"]) == ("44400001", "0002")
    customer = await shop.ok("GET", f"/v1/customers/{stored['customerId']}")
    assert "customerId" not in customer
    assert customer["refundPreference"] == {"method": "AUTO"}
    credential = await shop.credential()
    assert credential["token"] == stored["token"]
    assert (credential["status"], credential["script"]) == ("active", "success")
    assert credential["expires_at"] == "2039-02-01T00:00:00+00:00"


async def test_a_card_saved_twice_keeps_its_token_and_takes_the_new_expiry(shop: Shop) -> None:
    first = await shop.save_card("ord1")
    second = await shop.save_card("ord2", expiry="06/41")
    assert second["token"] == first["token"]
    assert second["card"]["expYear"] == "41"
    other = await shop.save_card("ord3", card="5550000112220002")
    assert other["token"] != first["token"]
    assert other["paymentChannel"] == "MASTERCARD"


async def test_a_returning_customer_pays_with_a_saved_card_on_the_page(shop: Shop) -> None:
    stored = await shop.save_card("ord1")
    session = await shop.create("ord2", customer=None, customerId=stored["customerId"], showSavedPayment=True)
    assert "VISA ending in 0002" in (await shop.http.get(session["paymentUrl"])).text
    await shop.decide(session, saved=(await shop.credential())["id"])
    assert (await shop.read(session["id"]))["status"] == "PAID"
    assert session["customer"]["storedPaymentMethods"][0]["token"] == stored["token"]


# Which operation in which status


async def test_confirm_cancel_and_capture_have_their_statuses(shop: Shop) -> None:
    session = await shop.create("ord1")
    path = f"/v2/payments/{session['id']}"
    confirmation = {"paymentMethod": {"type": "CARD"}, "paymentMethodOptions": {}}
    capture = {"releaseRemainingAmount": True}
    for operation, body in (("cancel", {}), ("confirm", confirmation), ("capture", capture)):
        assert (await shop.refused("POST", f"{path}/{operation}", body))[0] == 422
    await shop.decide(session)
    for operation, body in (("cancel", {}), ("confirm", confirmation), ("capture", capture)):
        assert (await shop.refused("POST", f"{path}/{operation}", body))[0] == 422


@pytest.mark.parametrize("change", [{"mode": "API", "autoConfirm": False}, {"paymentMethod": None}])
async def test_a_session_is_cancelled_before_it_is_charged(shop: Shop, callbacks: Callbacks, change: Data) -> None:
    session = await shop.create(**change)
    await shop.advance(MINUTE)
    cancelled = await shop.ok("POST", f"/v2/payments/{session['id']}/cancel", {"cancellationReason": "VOID_SESSION"})
    assert (cancelled["status"], cancelled["cancellationReason"]) == ("CANCELLED", "VOID_SESSION")
    assert cancelled["expiryAt"] == "2027-01-31T01:01:00Z"
    assert cancelled["cancelledAt"].startswith("2027-01-31T01:01:00")
    await shop.quiet()
    assert callbacks.events == ["PAYMENT.CANCELLED"]
    assert await shop.ledger() == []
    assert (await shop.advance(15 * MINUTE))["next_due_at"] is None
    assert (await shop.read(session["id"]))["status"] == "CANCELLED"


async def test_a_redirect_session_can_be_confirmed_by_the_merchant(shop: Shop) -> None:
    session = await shop.create(autoConfirm=False)
    body = {"paymentMethod": {"type": "CARD"}, "paymentMethodOptions": {"card": {"threeDsMethod": "CHALLENGE"}}}
    confirmed = await shop.ok("POST", f"/v2/payments/{session['id']}/confirm", body)
    assert confirmed["status"] == "REQUIRE_ACTION"
    await shop.decide(confirmed)
    assert (await shop.read(session["id"]))["status"] == "PAID"
