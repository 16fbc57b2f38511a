"""Pivot's sandbox over HTTP: tokens, request ids, what a request may hold (gateways/pay-and-save.md §1, §2, §6)."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tests.sandbox.pivot_support import (
    CHALLENGE,
    CLIENT_ID,
    SECRET,
    URLS,
    Data,
    Shop,
    a_pivot_sandbox,
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


@pytest.mark.parametrize("request_id", [None, "short", "x" * 37, "9f6f4a2e-5b0c-4f3e-8a54-6a3f7a1c2d10"])
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
