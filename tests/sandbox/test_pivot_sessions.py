"""Pivot's sandbox over real HTTP: tokens, request ids, sessions and their pages (gateways/pay-and-save.md §1-3, §8)."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from gateways.pivot.encryption import encrypt
from sandbox.pivot.cards import SIMULATION
from tests.sandbox.pivot_support import (
    CHALLENGE,
    CLIENT_ID,
    FRICTIONLESS,
    ORDER,
    SECRET,
    URLS,
    Callbacks,
    Data,
    Shop,
    a_pivot_sandbox,
    encrypted,
    shape_of,
)

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


# Access tokens


async def test_a_token_is_a_jwt_that_lives_900_seconds_of_its_clock_beside_others(shop: Shop) -> None:
    answer = await shop.http.post(
        f"{shop.base_url}/v1/access-token",
        json={"grantType": "client_credentials"},
        headers={"x-merchant-id": CLIENT_ID, "x-merchant-secret": SECRET} | shop.time(),
    )
    data = answer.json()["data"]
    assert (data["expiresIn"], data["tokenType"]) == ("900", "Bearer")
    claims = data["accessToken"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["clientId"] == CLIENT_ID

    first, second = data["accessToken"], await shop.fresh_token()
    assert first != second
    shop.now += timedelta(seconds=899)
    for shop.token in (first, second):
        assert (await shop.send("GET", "/v2/payments")).status_code == 200
    shop.now += timedelta(seconds=1)
    assert await shop.refused("GET", "/v2/payments") == (401, "credentials_invalid")


async def test_a_token_issued_in_real_time_does_not_age_with_a_test_clock(shop: Shop) -> None:
    shop.clock = None
    shop.token = await shop.fresh_token()
    shop.clock = "clk_1"
    shop.now += 365 * DAY
    assert (await shop.send("GET", "/v2/payments")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"x-merchant-id": CLIENT_ID, "x-merchant-secret": "wrong"}, {"grantType": "client_credentials"}, 401),
        ({"x-merchant-id": "nobody", "x-merchant-secret": SECRET}, {"grantType": "client_credentials"}, 401),
        ({}, {"grantType": "client_credentials"}, 401),
        ({"x-merchant-id": CLIENT_ID, "x-merchant-secret": SECRET}, {"grantType": "password"}, 400),
        ({"x-merchant-id": CLIENT_ID, "x-merchant-secret": SECRET}, {}, 400),
    ],
)
async def test_wrong_credentials_get_no_token(
    shop: Shop, headers: dict[str, str], body: dict[str, str], expected: int
) -> None:
    answer = await shop.http.post(f"{shop.base_url}/v1/access-token", json=body, headers=headers)
    assert shape_of(answer)[0] == expected


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x.y.z", "Basic YTpi"])
async def test_a_call_without_a_valid_token_is_refused(shop: Shop, authorization: str) -> None:
    answer = await shop.send("GET", "/v2/payments", authorization=authorization)
    assert shape_of(answer) == (401, "credentials_invalid")


async def test_one_merchant_does_not_see_anothers_payments_and_customers(shop: Shop) -> None:
    stored = await shop.save_card()
    session_id = (await shop.ok("GET", "/v2/payments"))[0]["id"]
    await shop.register(client_id="cli_2")
    assert await shop.refused("GET", f"/v2/payments/{session_id}") == (404, "resource_missing")
    assert await shop.refused("GET", f"/v1/customers/{stored['customerId']}") == (404, "resource_missing")
    assert await shop.refused("POST", "/v2/payments", shop.debit(stored)) == (404, "resource_missing")
    assert await shop.ok("GET", "/v2/payments") == []
    same = await shop.create("ord1")
    assert same["customerId"] != stored["customerId"]


# Request ids


async def test_a_repeat_gets_the_first_answer_for_24_hours(shop: Shop) -> None:
    request_id, body = uuid4().hex, shop.body()
    first = await shop.ok("POST", "/v2/payments", body, request_id=request_id)
    reordered = dict(reversed(body.items()))
    assert await shop.ok("POST", "/v2/payments", reordered, request_id=request_id) == first
    await shop.advance(DAY - MINUTE)
    assert await shop.ok("POST", "/v2/payments", body, request_id=request_id) == first  # as it was, though expired
    await shop.advance(MINUTE)
    again = await shop.refused("POST", "/v2/payments", body, request_id=request_id)
    assert again == (409, "duplicate_error")  # forgotten: a new request, whose reference is taken


async def test_a_request_id_with_another_payload_or_endpoint_is_a_conflict(shop: Shop) -> None:
    request_id = uuid4().hex
    session = await shop.ok("POST", "/v2/payments", shop.body(), request_id=request_id)
    other = await shop.refused("POST", "/v2/payments", shop.body("ord2"), request_id=request_id)
    assert other == (409, "idempotency_error")
    elsewhere = await shop.refused("POST", f"/v2/payments/{session['id']}/cancel", {}, request_id=request_id)
    assert elsewhere == (409, "idempotency_error")
    assert len(await shop.ok("GET", "/v2/payments")) == 1


@pytest.mark.parametrize("request_id", [None, "short", "x" * 37, str(uuid4())])
async def test_a_payment_needs_a_well_formed_request_id(shop: Shop, request_id: str | None) -> None:
    answer = await shop.send("POST", "/v2/payments", shop.body(), request_id=request_id)
    assert shape_of(answer) == (400, "api_validation_error")
    assert answer.json()["error"]["details"][0]["field"] == "X-REQUEST-ID"


async def test_a_refused_request_does_not_use_up_its_id(shop: Shop) -> None:
    request_id = uuid4().hex
    wrong = shop.body(amount={"value": 1, "currency": "IDR"})
    assert (await shop.refused("POST", "/v2/payments", wrong, request_id=request_id))[0] == 400
    await shop.ok("POST", "/v2/payments", shop.body(), request_id=request_id)


async def test_the_switches_of_the_note(tmp_path: Path) -> None:
    lax = {"requires_request_id": False, "unique_references": False, "strict_references": True, "requires_cvc": True}
    async with a_pivot_sandbox(tmp_path, **lax, tells_expiry=False) as (shop, callbacks):
        for _ in range(2):
            await shop.ok("POST", "/v2/payments", shop.body("ord1"), request_id=None)
        assert len(await shop.ok("GET", "/v2/payments?clientReferenceId=ord1")) == 2
        assert (await shop.refused("POST", "/v2/payments", shop.body("ord-1")))[0] == 400
        stored = await shop.save_card()
        assert (await shop.refused("POST", "/v2/payments", shop.debit(stored)))[0] == 400
        before = len(callbacks.received)
        await shop.advance(15 * MINUTE)
        assert len(callbacks.received) == before


# What is asked, and what is wrong with it


async def test_the_method_configuration(shop: Shop) -> None:
    data = await shop.ok("GET", "/v2/payment-method-configs")
    assert data["card"]["enabled"]
    assert data["card"]["acceptedChannels"] == ["VISA", "MASTERCARD", "JCB"]
    assert data["card"]["minimumAmount"] == {"value": 10000, "currency": "IDR"}
    assert data["ewallet"]["maximumExpiry"] == "30 MINUTES"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"clientReferenceId": None}, "clientReferenceId"),
        ({"clientReferenceId": "x" * 101}, "clientReferenceId"),
        ({"clientReferenceId": "ord 1"}, "clientReferenceId"),
        ({"amount": {"value": "150000", "currency": "IDR"}}, "amount.value"),
        ({"amount": {"value": 150000.5, "currency": "IDR"}}, "amount.value"),
        ({"amount": {"value": True, "currency": "IDR"}}, "amount.value"),
        ({"amount": {"value": -150000, "currency": "IDR"}}, "amount.value"),
        ({"amount": {"value": 9999, "currency": "IDR"}}, "amount.value"),
        ({"amount": {"value": 150000, "currency": "USD"}}, "amount.currency"),
        ({"amount": None}, "amount"),
        ({"customer": None}, "customer"),
        ({"customer": {"givenName": "Sari"}}, "customer.email"),
        ({"customer": {"email": "nobody"}}, "customer.email"),
        ({"orderInformation": None}, "orderInformation"),
        ({"orderInformation": {"productDetails": []}}, "orderInformation.productDetails"),
        ({"redirectUrl": None}, "redirectUrl"),
        ({"redirectUrl": URLS | {"successReturnUrl": "javascript:alert(1)"}}, "redirectUrl.successReturnUrl"),
        ({"mode": "POPUP"}, "mode"),
        ({"paymentMethod": {"type": "CASH"}}, "paymentMethod.type"),
        ({"paymentType": "MULTIPLE"}, "paymentType"),
        ({"statementDescriptor": "x" * 21}, "statementDescriptor"),
        ({"expiryAt": "2027-01-31T01:00:00Z"}, "expiryAt"),
        ({"expiryAt": "2027-03-02T01:00:01Z"}, "expiryAt"),
        ({"expiryAt": "tomorrow"}, "expiryAt"),
        ({"mode": "API"}, "paymentMethod.card"),
        ({"mode": "API", "paymentMethod": None}, "paymentMethod"),
    ],
)
async def test_create_checks_its_fields(shop: Shop, change: Data, field: str) -> None:
    answer = await shop.send("POST", "/v2/payments", shop.body(**change))
    assert shape_of(answer) == (400, "api_validation_error")
    assert answer.json()["error"]["details"][0]["field"] == field
    assert await shop.ok("GET", "/v2/payments") == []


@pytest.mark.parametrize(
    "method", [{"type": "QR"}, {"type": "VIRTUAL_ACCOUNT"}, {"type": "CARD", "card": {"number": CHALLENGE}}]
)
async def test_features_that_are_off_are_forbidden(shop: Shop, method: Data) -> None:
    answer = await shop.refused("POST", "/v2/payments", shop.body(mode="API", paymentMethod=method))
    assert answer == (403, "forbidden_access")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"text"', b'{"amount": NaN}', b'{"metadata": "\\ud800"}'])
async def test_a_body_that_is_no_request_is_refused(shop: Shop, body: bytes) -> None:
    headers = {"authorization": f"Bearer {shop.token}", "x-request-id": uuid4().hex}
    answer = await shop.http.post(f"{shop.base_url}/v2/payments", content=body, headers=headers)
    assert shape_of(answer) == (400, "api_validation_error")


async def test_unknown_addresses_methods_and_ids_are_told_apart(shop: Shop) -> None:
    assert await shop.refused("GET", "/v2/unheard-of") == (404, "not_found")
    assert await shop.refused("DELETE", "/v2/payments") == (405, "method_not_allowed")
    for path in ("/v2/payments/none", "/v1/customers/none", "/v1/refunds/none"):
        assert await shop.refused("GET", path) == (404, "resource_missing")
    assert await shop.refused("POST", "/v2/payments/none/cancel", {}) == (404, "resource_missing")


async def test_a_clock_without_a_time_is_refused(shop: Shop) -> None:
    answer = await shop.send("GET", "/v2/payments", x_sandbox_clock="clk_9", x_sandbox_time="noon")
    assert shape_of(answer) == (400, "api_validation_error")


async def test_both_columns_of_the_spelling_traps_are_read(shop: Shop) -> None:
    odd = shop.body(
        saveForFutureUse=None,
        saveForFuture=True,
        showSavePayment=True,
        customer={"sureName": "Wijaya", "email": "sari@example.test"},
        paymentMethod={"type": "CARD", "paymentMethodOptions": {"card": {"captureMethod": "MANUAL"}}},
    )
    session = await shop.ok("POST", "/v2/payments", odd)
    assert session["saveForFutureUse"] is session["showSavedPayment"] is True
    assert session["customer"]["surname"] == "Wijaya"
    await shop.decide(session)
    assert (await shop.read(session["id"]))["chargeDetails"][0]["status"] == "WAITING_FOR_CAPTURE"


async def test_a_reference_is_used_once_and_found_again(shop: Shop) -> None:
    session = await shop.create("ord1")
    assert await shop.refused("POST", "/v2/payments", shop.body("ord1")) == (409, "duplicate_error")
    found = await shop.ok("GET", "/v2/payments?clientReferenceId=ord1")
    assert [row["id"] for row in found] == [session["id"]]
    assert await shop.ok("GET", "/v2/payments?clientReferenceId=none") == []
    charges = await shop.ok("GET", "/v2/charges?clientReferenceId=ord1")
    assert [row["paymentSessionId"] for row in charges] == [session["id"]]


async def test_lists_come_in_pages_newest_first(shop: Shop) -> None:
    for number in range(3):
        await shop.create(f"ord{number}")
    answer = (await shop.send("GET", "/v2/payments?page=2&perPage=2")).json()
    assert [row["clientReferenceId"] for row in answer["data"]] == ["ord0"]
    assert answer["pagination"] == {"page": 2, "perPage": 2, "totalItems": 3, "totalPages": 2}
    assert (await shop.refused("GET", "/v2/payments?perPage=101"))[0] == 400


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
    assert callbacks.events == ["PAYMENT.PROCESSING", "PAYMENT.PAID"]  # before the redirect
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


# API mode: the encrypted card


async def test_each_session_has_a_key_of_its_own(shop: Shop) -> None:
    one, two = await shop.with_key("ord1"), await shop.with_key("ord2")
    assert len(one["encryptionKey"]) == 392
    assert one["encryptionKey"] != two["encryptionKey"]
    assert one["chargeDetails"] is None


async def test_an_encrypted_card_is_confirmed_and_goes_through_3ds(shop: Shop, callbacks: Callbacks) -> None:
    session = await shop.with_key()
    confirmed = await shop.confirm(session)
    assert confirmed["status"] == "REQUIRE_ACTION"
    assert confirmed["encryptionKey"] == session["encryptionKey"]
    assert set(confirmed["paymentMethod"]["card"]) == {"token", "encryptedCard", "cvc"}
    assert confirmed["paymentMethod"]["card"]["cvc"] == ""
    [charge] = confirmed["chargeDetails"]
    assert charge["status"] == "WAITING_FOR_USER_ACTION"
    assert charge["card"]["last4"] == "0002"
    assert charge["card"]["authenticationResult"]["threeDsResult"] == ""
    assert charge["card"]["authorizationResult"] is None
    assert urlsplit(confirmed["paymentUrl"]).path == "/payment/creditcard/threeds"
    shown = (await shop.http.get(confirmed["paymentUrl"])).text
    assert "ends in 0002" in shown
    back = await shop.decide(confirmed)
    assert back.headers["location"] == URLS["successReturnUrl"]
    assert callbacks.events == ["PAYMENT.PROCESSING", "PAYMENT.PAID"]
    paid = await shop.read(session["id"])
    assert paid["chargeDetails"][0]["card"]["authenticationResult"]["threeDsResult"] == "AUTHENTICATION_SUCCESSFUL"
    assert (await shop.credential())["status"] == "active"


@pytest.mark.parametrize(
    ("decision", "failure", "result"),
    [("reject", "AUTHENTICATION_FAILED", "FAILED"), ("cancel", "CANCELLED_BY_USER", "FAILED")],
)
async def test_a_3ds_page_can_be_failed_or_left(shop: Shop, decision: str, failure: str, result: str) -> None:
    session = await shop.confirm(await shop.with_key())
    back = await shop.decide(session, decision)
    assert back.headers["location"] == URLS["failureReturnUrl"]
    failed = await shop.read(session["id"])
    charge = failed["chargeDetails"][0]
    assert (failed["status"], charge["failureCode"]) == ("CANCELLED", failure)
    assert charge["failureMessage"].startswith("CARD ")
    assert charge["card"]["authenticationResult"]["threeDsResult"] == result
    assert charge["card"]["authorizationResult"] is None


async def test_a_frictionless_card_finishes_by_itself_unless_a_challenge_is_forced(shop: Shop) -> None:
    session = await shop.confirm(await shop.with_key("ord1"), FRICTIONLESS, three_ds="AUTOMATIC")
    assert session["status"] == "REQUIRE_ACTION"
    answer = await shop.http.get(session["paymentUrl"])
    assert (answer.status_code, answer.headers["location"]) == (303, URLS["successReturnUrl"])
    paid = await shop.read(session["id"])
    assert paid["chargeDetails"][0]["card"]["authenticationResult"]["threeDsMethod"] == "FRICTIONLESS"
    forced = await shop.confirm(await shop.with_key("ord2"), FRICTIONLESS)
    assert (await shop.http.get(forced["paymentUrl"])).status_code == 200


async def test_without_3ds_a_confirmation_is_processing_and_has_no_page(shop: Shop) -> None:
    session = await shop.confirm(await shop.with_key(), three_ds="NEVER")
    assert session["status"] == "PROCESSING"
    assert "paymentUrl" not in session
    paid = await shop.read(session["id"])
    assert paid["status"] == "PAID"
    assert paid["chargeDetails"][0]["card"]["authenticationResult"]["threeDsMethod"] == "BYPASSED"


async def test_only_an_enabled_account_may_leave_out_3ds(shop: Shop) -> None:
    await shop.register("customer_present")
    session = await shop.confirm(await shop.with_key(), three_ds="NEVER")
    assert (session["status"], "paymentUrl" in session) == ("REQUIRE_ACTION", True)


async def test_the_save_flag_may_come_with_the_confirmation(shop: Shop) -> None:
    session = await shop.with_key(saveForFutureUse=None)
    confirmed = await shop.confirm(session, saveForFutureUse=True)
    assert confirmed["saveForFutureUse"] is True
    await shop.decide(confirmed)
    assert (await shop.credential())["status"] == "active"


async def test_a_card_that_cannot_be_decrypted_or_read_is_refused(shop: Shop) -> None:
    session, other = await shop.with_key("ord1"), await shop.with_key("ord2")
    for text in (
        "bm8=",
        "not base64!",
        encrypted(other, CHALLENGE),
        encrypted(session, "4440000112290003"),
        encrypted(session, CHALLENGE, expiryMonth="1"),
        encrypted(session, CHALLENGE, cvc="12"),
        encrypt(session["encryptionKey"], {"card": 1}),
    ):
        body = shop.confirmation(session) | {"paymentMethod": {"type": "CARD", "card": {"encryptedCard": text}}}
        answer = await shop.send("POST", f"/v2/payments/{session['id']}/confirm", body)
        assert shape_of(answer) == (400, "api_validation_error")
        assert answer.json()["error"]["details"][0]["field"] == "paymentMethod.card.encryptedCard"
    assert (await shop.read(session["id"]))["status"] == "REQUIRE_CONFIRMATION"


async def test_the_names_within_the_encrypted_text_come_in_either_case(shop: Shop) -> None:
    session = await shop.with_key()
    outer = json.loads(base64.b64decode(encrypted(session, CHALLENGE)))
    upper = {name[0].upper() + name[1:]: value for name, value in outer.items()}
    text = base64.b64encode(json.dumps(upper).encode()).decode()
    body = shop.confirmation(session) | {"paymentMethod": {"type": "CARD", "card": {"encryptedCard": text}}}
    assert (await shop.ok("POST", f"/v2/payments/{session['id']}/confirm", body))["status"] == "REQUIRE_ACTION"


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


# Simulation cards


EXPECTED = {
    "4440000334480001": ("DECLINED_BY_CHANNEL", "05"),
    "5550000334400002": ("DECLINED_BY_CHANNEL", "54"),
    "3550000334440003": ("DECLINED_BY_CHANNEL", "82"),
    "4440000334450004": ("INVALID_ACCOUNT", "14"),
    "5550000334470005": ("AUTHENTICATION_FAILED", None),
    "3550000334410006": ("SUSPECTED_FRAUD", "43"),
    "4440000334420007": ("SUSPECTED_FRAUD", "59"),
    "5550000334440008": ("BLOCKED_BY_FDS", None),
    "3550000334450010": ("INSUFFICIENT_FUND", "51"),
    "4440000334460011": ("CHANNEL_UNAVAILABLE", "91"),
    "5550000334480012": ("CANCELLED_BY_USER", None),
}


def test_there_are_45_simulation_cards() -> None:
    assert len(SIMULATION) == 45


@pytest.mark.parametrize(("card", "expected"), EXPECTED.items())
async def test_a_simulation_card_fails_as_documented(
    shop: Shop, callbacks: Callbacks, card: str, expected: tuple[str, str | None]
) -> None:
    session = await shop.create(bypassStatusPage=True)
    back = await shop.decide(session, card=card)
    assert back.headers["location"] == URLS["failureReturnUrl"]
    failed = await shop.read(session["id"])
    assert (failed["status"], failed["cancellationReason"]) == ("CANCELLED", "CHARGE_FAILED")
    [charge] = failed["chargeDetails"]
    authorization = charge["card"]["authorizationResult"]
    issuer = authorization and authorization["issuerAuthorizationCode"]
    assert (charge["status"], charge["failureCode"], issuer) == ("FAILED", *expected)
    assert callbacks.events == ["PAYMENT.PROCESSING", "PAYMENT.CANCELLED"]
    assert await shop.movements() == [("debit", "failed")]
    if expected[0] == "BLOCKED_BY_FDS":
        assert charge["fdsRiskAssessment"]["status"] == "REJECTED"


@pytest.mark.parametrize(("decision", "status"), [("approve", "PAID"), ("reject", "CANCELLED")])
async def test_a_review_is_decided_in_the_back_door(
    shop: Shop, callbacks: Callbacks, decision: str, status: str
) -> None:
    session = await shop.create()
    await shop.decide(session, card="4440000334400009")
    assert (await shop.read(session["id"]))["status"] == "PROCESSING"
    assert callbacks.events == ["PAYMENT.PROCESSING"]
    assert await shop.movements() == [("debit", "processing")]
    await shop.admin(f"sessions/{session['id']}/review", {"decision": decision})
    assert (await shop.read(session["id"]))["status"] == status
    assert await shop.movements() == [("debit", "succeeded" if decision == "approve" else "failed")]


async def test_a_card_past_its_expiry_is_declined_by_the_clock(shop: Shop) -> None:
    session = await shop.create()
    await shop.decide(session, expiry="12/26")
    charge = (await shop.read(session["id"]))["chargeDetails"][0]
    assert charge["card"]["authorizationResult"]["issuerAuthorizationCode"] == "54"
    valid = await shop.create("ord2")
    await shop.decide(valid, expiry="01/27")
    assert (await shop.read(valid["id"]))["status"] == "PAID"


async def test_a_foreign_card_without_3ds_needs_a_billing_address_and_tells_avs(shop: Shop) -> None:
    foreign = "4448100334430014"
    session = await shop.with_key()
    body = shop.confirmation(session, foreign, "NEVER")
    path = f"/v2/payments/{session['id']}/confirm"
    assert (await shop.refused("POST", path, body))[0] == 400
    billing = {"givenName": "Sari", "email": "sari@example.test", "addressLine1": "Delta Street", "country": "US"}
    paid = await shop.ok("POST", path, body | {"orderInformation": ORDER | {"billingInfo": billing}})
    card = (await shop.read(paid["id"]))["chargeDetails"][0]["card"]
    assert card["authorizationResult"]["avsResult"] == "NO_MATCH"
    assert card["binInformations"]["country"] == "US"


# E-wallets


WALLET = {"paymentMethod": {"type": "EWALLET"}, "paymentMethodOptions": {"ewallet": {"channel": "DANA"}}}


@pytest.mark.parametrize("mode", ["API", "REDIRECT"])
@pytest.mark.parametrize(
    ("phone", "status", "charge"),
    [
        ("08111111001", "PAID", "SUCCESS"),
        ("08111111002", "PROCESSING", "PROCESSING"),
        ("08111111003", "CANCELLED", "FAILED"),
        ("08111111004", "EXPIRED", "EXPIRED"),
    ],
)
async def test_a_wallet_does_what_the_phone_number_says(
    shop: Shop, mode: str, phone: str, status: str, charge: str
) -> None:
    session = await shop.create(mode=mode, **WALLET)
    assert session["chargeDetails"][0]["ewallet"]["channel"] == "DANA"
    assert (await shop.http.get(session["paymentUrl"])).status_code == 200
    await shop.decide(session, phone=phone)
    ended = await shop.read(session["id"])
    assert (ended["status"], ended["chargeDetails"][0]["status"]) == (status, charge)
    stored = (await shop.ok("GET", f"/v1/customers/{session['customerId']}"))["storedPaymentMethods"]
    shown = [(method["paymentMethod"], method["paymentChannel"]) for method in stored]
    assert shown == ([("ewallet", "dana")] if status == "PAID" else [])


async def test_the_simulation_call_stands_in_for_the_wallet_and_not_for_cards(shop: Shop) -> None:
    path = "/v2/payments/simulations"
    for number, (wanted, status) in enumerate({"SUCCESS": "PAID", "EXPIRED": "EXPIRED"}.items()):
        session = await shop.create(f"ord{number}", mode="API", **WALLET)
        body = {"paymentSessionId": session["id"], "chargeStatus": wanted}
        assert await shop.ok("POST", path, body) == {"updated": "true"}
        assert (await shop.read(session["id"]))["status"] == status
        assert (await shop.refused("POST", path, body))[0] == 422
    card = await shop.create("ord9")
    refused = await shop.refused("POST", path, {"paymentSessionId": card["id"], "chargeStatus": "SUCCESS"})
    assert refused == (400, "api_validation_error")


async def test_ovo_needs_the_phone_number_beforehand(shop: Shop) -> None:
    ovo = WALLET | {"paymentMethodOptions": {"ewallet": {"channel": "OVO"}}}
    assert (await shop.refused("POST", "/v2/payments", shop.body(mode="API", **ovo)))[0] == 400
    method = {"type": "EWALLET", "ewallet": {"accountIdentifier": "08111111001"}}
    session = await shop.create(mode="API", **ovo | {"paymentMethod": method})
    await shop.decide(session)
    assert (await shop.read(session["id"]))["status"] == "PAID"


async def test_a_wallet_token_is_charged_where_the_switch_is_on(shop: Shop, tmp_path: Path) -> None:
    async def charge(shop: Shop) -> Any:
        session = await shop.create("first1", mode="API", **WALLET)
        await shop.decide(session, script="insufficient_funds")
        stored = await shop.ok("GET", f"/v1/customers/{session['customerId']}")
        token = stored["storedPaymentMethods"][0]["token"]
        method = {"type": "EWALLET", "ewallet": {"token": token}}
        body = shop.debit({"customerId": session["customerId"], "token": ""}, "ren1", paymentMethod=method)
        return await shop.send("POST", "/v2/payments", body)

    assert shape_of(await charge(shop)) == (400, "api_validation_error")
    async with a_pivot_sandbox(tmp_path, wallet_tokens=True) as (other, _):
        session = (await charge(other)).json()["data"]
        assert session["status"] == "PROCESSING"
        assert (await other.read(session["id"]))["chargeDetails"][0]["failureCode"] == "INSUFFICIENT_FUND"


# Captures


async def authorized(shop: Shop, reference: str = "ord1") -> Data:
    session = await shop.create(reference, paymentMethodOptions={"card": {"captureMethod": "manual"}})
    await shop.decide(session)
    return session


async def test_an_authorization_is_captured_in_part(shop: Shop, callbacks: Callbacks) -> None:
    session = await authorized(shop)
    held = await shop.read(session["id"])
    charge = held["chargeDetails"][0]
    assert (held["status"], charge["status"]) == ("PROCESSING", "WAITING_FOR_CAPTURE")
    assert charge["authorizedAmount"] == {"value": 150000, "currency": "IDR"}
    assert (charge["capturedAmount"], charge["isCaptured"]) == (None, False)
    assert await shop.movements() == [("debit", "processing")]
    assert (await shop.admin("credentials"))["data"] == []  # not before the money is taken

    path = f"/v2/payments/{session['id']}/capture"
    too_much = {"releaseRemainingAmount": True, "amount": {"value": 150001, "currency": "IDR"}}
    assert (await shop.refused("POST", path, too_much))[0] == 400
    body = {"releaseRemainingAmount": True, "amount": {"value": 120000, "currency": "IDR"}}
    capture = await shop.ok("POST", path, body)
    assert (capture["status"], capture["amount"]["value"]) == ("PENDING", 120000)
    await shop.quiet()
    paid = callbacks.of("PAYMENT.PAID")[0]
    assert paid["chargeDetails"][0]["capturedAmount"]["value"] == 120000
    assert paid["chargeDetails"][0]["captureHistories"][0]["status"] == "SUCCESS"
    entry = (await shop.ledger())[0]
    assert (entry["status"], entry["amount"]) == ("succeeded", 12_000_000)
    assert (await shop.refused("POST", path, body))[0] == 422


async def test_what_is_not_released_can_be_captured_later(shop: Shop) -> None:
    session = await authorized(shop)
    path = f"/v2/payments/{session['id']}/capture"
    part = {"releaseRemainingAmount": False, "amount": {"value": 100000, "currency": "IDR"}}
    await shop.ok("POST", path, part)
    assert (await shop.read(session["id"]))["status"] == "PROCESSING"
    assert (await shop.ok("POST", path, {"releaseRemainingAmount": False}))["amount"]["value"] == 50000
    assert (await shop.read(session["id"]))["chargeDetails"][0]["capturedAmount"]["value"] == 150000


async def test_an_authorization_that_is_not_captured_expires(shop: Shop) -> None:
    session = await authorized(shop)
    await shop.advance(15 * MINUTE)
    assert (await shop.read(session["id"]))["status"] == "EXPIRED"
    assert await shop.movements() == [("debit", "failed")]


async def test_many_calls_at_once_are_all_answered(shop: Shop) -> None:
    sessions = await asyncio.gather(*(shop.create(f"ord{number}") for number in range(20)))
    assert len({session["id"] for session in sessions}) == 20
