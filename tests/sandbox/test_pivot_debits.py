"""Debits without the customer at Pivot's sandbox, and every word of the scripts (gateways/pay-and-save.md §4, §6.3)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from sandbox.pivot.cards import FAILURES
from sandbox.pivot.scripts import ERRORS, VOCABULARY
from tests.sandbox.pivot_support import CHALLENGE, URLS, Callbacks, Data, Shop, shape_of
from tests.sandbox.support import IMPATIENCE

DECLINES = {
    "insufficient_funds": ("INSUFFICIENT_FUND", "51"),
    "limit_exceeded": ("INSUFFICIENT_FUND", "121"),
    "do_not_honor": ("DECLINED_BY_CHANNEL", "05"),
    "issuer_unavailable": ("CHANNEL_UNAVAILABLE", "91"),
    "expired_card": ("DECLINED_BY_CHANNEL", "54"),
    "lost_card": ("SUSPECTED_FRAUD", "41"),
    "stolen_card": ("SUSPECTED_FRAUD", "43"),
    "closed_account": ("INVALID_ACCOUNT", "46"),
    "authentication_required": ("AUTHENTICATION_FAILED", None),
    "risk_reject": ("BLOCKED_BY_FDS", None),
}
SAVED = ("debit", "succeeded")
"""The customer's own payment, which every ledger here begins with."""


def end_of(session: Data) -> tuple[str, str | None, str | None]:
    """Status of a session, failureCode and issuer code of its charge."""
    charge = session["chargeDetails"][0]
    authorization = charge["card"]["authorizationResult"]
    return session["status"], charge.get("failureCode"), authorization and authorization["issuerAuthorizationCode"]


# Merchant-initiated debits


async def test_a_renewal_is_answered_as_processing_and_paid_at_once(shop: Shop, callbacks: Callbacks) -> None:
    stored = await shop.save_card()
    callbacks.received.clear()
    session = await shop.renew(stored)
    assert session["status"] == "PROCESSING"
    assert "paymentUrl" not in session
    assert session["chargeDetails"][0]["status"] == "PROCESSING"
    assert session["paymentMethod"]["card"] == {"token": stored["token"], "encryptedCard": "", "cvc": ""}
    assert end_of(await shop.read(session["id"])) == ("PAID", None, "00")
    await shop.quiet()
    assert sorted(callbacks.events) == ["PAYMENT.PAID", "PAYMENT.PROCESSING"]
    entry = (await shop.ledger())[1]
    assert (entry["request_id"], entry["amount"], entry["status"]) == ("ren1", 15_000_000, "succeeded")
    assert (entry["credential"], entry["merchant_reference"]) == ((await shop.credential())["id"], "INV-77")


async def test_where_the_profile_wants_the_customer_a_renewal_answers_with_a_page(
    shop: Shop, callbacks: Callbacks
) -> None:
    stored = await shop.save_card(script="insufficient_funds")
    await shop.register("customer_present")
    session = await shop.renew(stored, redirectUrl=URLS)
    assert session["status"] == "REQUIRE_ACTION"
    assert urlsplit(session["paymentUrl"]).path == "/payment/creditcard/authenticate-token"
    charge = session["chargeDetails"][0]
    assert (charge["status"], charge["card"]["first6"]) == ("WAITING_FOR_USER_ACTION", "")
    assert charge["card"]["binInformations"] == {"type": "", "issuingBank": "", "brand": "", "country": ""}
    assert charge["card"]["authenticationResult"] is None
    assert session["customer"]["storedPaymentMethods"][0]["token"] == stored["token"]
    assert len(await shop.ledger()) == 1  # nothing has been tried
    back = await shop.decide(session)
    assert back.headers["location"] == URLS["successReturnUrl"]
    assert end_of(await shop.read(session["id"])) == ("PAID", None, "00")  # scripts are not for the customer's own


@pytest.mark.parametrize(
    "change",
    [
        {"paymentMethodOptions": {"card": {"threeDsMethod": "CHALLENGE"}}},
        {"paymentMethodOptions": None},
    ],
)
async def test_only_a_debit_that_skips_3ds_goes_without_the_customer(shop: Shop, change: Data) -> None:
    stored = await shop.save_card()
    session = await shop.renew(stored, **change)
    assert session["status"] == "REQUIRE_ACTION"
    await shop.decide(session, "reject")
    assert end_of(await shop.read(session["id"])) == ("CANCELLED", "AUTHENTICATION_FAILED", None)


async def test_a_script_is_not_for_a_customer_who_gives_the_cvc(shop: Shop) -> None:
    stored = await shop.save_card(script="insufficient_funds")
    present = {"type": "CARD", "card": {"token": stored["token"], "cvc": "123"}}
    session = await shop.renew(stored, paymentMethod=present)
    assert session["status"] == "PROCESSING"
    assert end_of(await shop.read(session["id"])) == ("PAID", None, "00")
    unattended = await shop.renew(stored, "ren2")
    assert end_of(await shop.read(unattended["id"]))[1] == "INSUFFICIENT_FUND"


async def test_the_page_of_a_saved_card_may_script_the_coming_debits(shop: Shop) -> None:
    stored = await shop.save_card()
    challenge = {"card": {"threeDsMethod": "CHALLENGE"}}
    session = await shop.renew(stored, "ren1", paymentMethodOptions=challenge)
    await shop.decide(session, script="lost_card")
    assert end_of(await shop.read((await shop.renew(stored, "ren2"))["id"]))[1] == "SUSPECTED_FRAUD"


async def test_unknown_foreign_and_inactive_tokens_are_told_apart(shop: Shop) -> None:
    stored = await shop.save_card()
    other = await shop.create("ord2", customer={"email": "other@example.test"})
    unknown = shop.debit(stored | {"token": str(uuid4())})
    assert await shop.refused("POST", "/v2/payments", unknown) == (404, "resource_missing")
    foreign = shop.debit(stored, customerId=other["customerId"])
    assert await shop.refused("POST", "/v2/payments", foreign) == (404, "resource_missing")
    credential = await shop.credential()
    assert (await shop.admin(f"credentials/{credential['id']}/revoke", {}))["status"] == "revoked"
    inactive = await shop.refused("POST", "/v2/payments", shop.debit(stored))
    assert inactive == (400, "api_validation_error")
    shown = (await shop.ok("GET", f"/v1/customers/{stored['customerId']}"))["storedPaymentMethods"]
    assert shown[0]["status"] == "INACTIVE"
    again = await shop.save_card("ord3")
    assert again["token"] != stored["token"]
    await shop.admin(f"credentials/{credential['id']}/status", {"status": "ACTIVE"})
    assert (await shop.renew(stored))["status"] == "PROCESSING"


async def test_a_saved_card_expires_with_the_clock(shop: Shop) -> None:
    stored = await shop.save_card(expiry="02/27")
    assert (await shop.credential())["expires_at"] == "2027-03-01T00:00:00+00:00"
    await shop.advance(timedelta(days=28))  # 28 February
    assert end_of(await shop.read((await shop.renew(stored, "ren1"))["id"]))[0] == "PAID"
    await shop.advance(timedelta(days=1))
    assert (await shop.credential())["status"] == "expired"
    session = await shop.renew(stored, "ren2")
    assert end_of(await shop.read(session["id"])) == ("CANCELLED", "DECLINED_BY_CHANNEL", "54")


async def test_a_recurring_contract_is_charged_after_its_first_authorization(shop: Shop) -> None:
    await shop.register("recurring_contract")
    contract = (await shop.admin("recurring", {"client_id": "cli_1"}))["recurringId"]
    later = {"recurringId": contract, "mode": "API", "paymentMethod": None, "saveForFutureUse": None}
    assert (await shop.refused("POST", "/v2/payments", shop.body("ren1", **later)))[0] == 400
    first = await shop.create("ord1", recurringId=contract, initiateFirstAuthorization=True)
    assert (first["recurringId"], first["initiateFirstAuthorization"]) == (contract, True)
    await shop.decide(first, script="success,stolen_card")
    for reference, expected in (("ren1", None), ("ren2", "SUSPECTED_FRAUD")):
        session = await shop.create(reference, **later)
        assert (session["status"], session["paymentMethod"]) == ("PROCESSING", {"type": "CARD"})
        assert end_of(await shop.read(session["id"]))[1] == expected
    stranger = shop.body("ren3", customer={"email": "other@example.test"}, **later)
    assert await shop.refused("POST", "/v2/payments", stranger) == (404, "resource_missing")
    await shop.register("token_never")
    refused = await shop.refused("POST", "/v2/payments", shop.body("ren4", **later))
    assert refused == (403, "forbidden_access")


# Scripts


def test_the_vocabulary_is_that_of_the_design() -> None:
    elsewhere = {"success", "processing_then_success", "processing_then_failure", "timeout", "http_500", "garbage"}
    wire = {"lost_answer_success", "lost_answer_failure", "bad_signature"}
    news = {"double_notification", "late_notification", "shuffled_notifications"}
    assert set(VOCABULARY) == set(DECLINES) | elsewhere | wire | news | {"invalid_token", "revoked_by_payer"}


@pytest.mark.parametrize(("word", "expected"), DECLINES.items())
async def test_a_decline_is_no_api_error_but_a_failed_charge(
    shop: Shop, callbacks: Callbacks, word: str, expected: tuple[str, str | None]
) -> None:
    stored = await shop.save_card(script=word)
    session = await shop.renew(stored)
    assert session["status"] == "PROCESSING"
    failed = await shop.read(session["id"])
    assert end_of(failed) == ("CANCELLED", *expected)
    assert failed["cancellationReason"] == "CHARGE_FAILED"
    assert await shop.movements() == [SAVED, ("debit", "failed")]
    await shop.quiet()
    assert callbacks.of("PAYMENT.CANCELLED")[0]["chargeDetails"][0]["failureCode"] == expected[0]


@pytest.mark.parametrize(("failure", "issuers"), FAILURES.items())
async def test_every_failure_code_and_issuer_code_can_be_scripted(shop: Shop, failure: str, issuers: str) -> None:
    words = [f"{failure}/{issuer}" for issuer in issuers.split()] or [failure]
    stored = await shop.save_card(script=",".join(words))
    for number, word in enumerate(words):
        session = await shop.renew(stored, f"ren{number}")
        issuer = word.partition("/")[2] or None
        assert end_of(await shop.read(session["id"])) == ("CANCELLED", failure, issuer)


async def test_a_script_is_used_up_in_order_and_its_last_word_repeats(shop: Shop) -> None:
    stored = await shop.save_card(script="insufficient_funds, success")
    got = []
    for number in range(4):
        session = await shop.renew(stored, f"ren{number}")
        got.append((await shop.read(session["id"]))["status"])
    assert got == ["CANCELLED", "PAID", "PAID", "PAID"]
    credential = await shop.credential()
    path = f"credentials/{credential['id']}/script"
    assert (await shop.admin(path, {"script": "risk_reject,success"}))["script"] == "risk_reject,success"
    session = await shop.renew(stored, "ren9")
    assert (await shop.read(session["id"]))["status"] == "CANCELLED"
    for script in ("win", "INSUFFICIENT_FUND/05", "NO_SUCH_CODE"):
        unknown = await shop.http.post(f"{shop.base_url}/_sandbox/{path}", json={"script": script})
        assert unknown.status_code == 422


@pytest.mark.parametrize(
    ("word", "status", "code"),
    [
        ("invalid_token", 404, "resource_missing"),
        ("revoked_by_payer", 400, "api_validation_error"),
        ("http_500", 500, "internal_error"),
        ("frequency_above_limit", 429, "frequency_above_limit"),
        ("bad_gateway", 502, "bad_gateway"),
        ("service_unavailable", 503, "service_unavailable"),
        ("gateway_timeout", 504, "gateway_timeout"),
    ],
)
async def test_an_api_error_means_no_debit(shop: Shop, word: str, status: int, code: str) -> None:
    stored = await shop.save_card(script=f"{word},success")
    request_id, body = uuid4().hex, shop.debit(stored)
    assert await shop.refused("POST", "/v2/payments", body, request_id=request_id) == (status, code)
    assert await shop.movements() == [SAVED]
    assert await shop.ok("GET", "/v2/payments?clientReferenceId=ren1") == []
    expected = "revoked" if word == "revoked_by_payer" else "active"
    assert (await shop.credential())["status"] == expected
    if expected == "active":
        again = await shop.ok("POST", "/v2/payments", body, request_id=request_id)
        assert again["status"] == "PROCESSING"


def test_every_error_a_script_may_name_is_tried_above() -> None:
    assert set(ERRORS) == {"frequency_above_limit", "bad_gateway", "service_unavailable", "gateway_timeout"}


@pytest.mark.parametrize(
    ("word", "final", "entry"),
    [
        ("processing_then_success", ("PAID", None, "00"), "succeeded"),
        ("processing_then_failure", ("CANCELLED", "INSUFFICIENT_FUND", "51"), "failed"),
    ],
)
async def test_a_debit_in_process_settles_thirty_seconds_later(
    shop: Shop, callbacks: Callbacks, word: str, final: Any, entry: str
) -> None:
    stored = await shop.save_card(script=word)
    callbacks.received.clear()
    session = await shop.renew(stored)
    assert (await shop.read(session["id"]))["status"] == "PROCESSING"
    assert "failureCode" not in (await shop.read(session["id"]))["chargeDetails"][0]
    assert await shop.movements() == [SAVED, ("debit", "processing")]
    state = await shop.quiet()
    assert datetime.fromisoformat(state["next_due_at"]) == shop.now + timedelta(seconds=30)
    assert callbacks.events == ["PAYMENT.PROCESSING"]
    state = await shop.advance(timedelta(seconds=30))
    assert state["next_due_at"] is None
    assert end_of(await shop.read(session["id"])) == final
    assert await shop.movements() == [SAVED, ("debit", entry)]
    assert len(callbacks.received) == 2


@pytest.mark.parametrize(
    ("word", "final", "entry"),
    [("lost_answer_success", "PAID", "succeeded"), ("lost_answer_failure", "CANCELLED", "failed")],
)
async def test_a_lost_answer_leaves_the_truth_to_be_found_by_reference(
    shop: Shop, word: str, final: str, entry: str
) -> None:
    stored = await shop.save_card(script=f"{word},risk_reject")
    request_id, body = uuid4().hex, shop.debit(stored)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await shop.send("POST", "/v2/payments", body, request_id=request_id)
    [found] = await shop.ok("GET", "/v2/payments?clientReferenceId=ren1")
    assert found["status"] == final
    replayed = await shop.ok("POST", "/v2/payments", body, request_id=request_id)
    assert (replayed["id"], replayed["status"]) == (found["id"], "PROCESSING")  # the first answer, as it was
    assert await shop.movements() == [SAVED, ("debit", entry)]


async def test_a_timed_out_debit_never_happened(shop: Shop) -> None:
    stored = await shop.save_card(script="timeout,timeout,success")
    request_id, body = uuid4().hex, shop.debit(stored)
    impatient = httpx.AsyncClient(timeout=IMPATIENCE, trust_env=False)
    patient, shop.http = shop.http, impatient
    with pytest.raises(httpx.ReadTimeout):
        await shop.send("POST", "/v2/payments", body, request_id=request_id)
    shop.http = patient
    await impatient.aclose()
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):  # cut off after the hold
        await shop.send("POST", "/v2/payments", body, request_id=request_id)
    assert await shop.ok("GET", "/v2/payments?clientReferenceId=ren1") == []
    assert await shop.movements() == [SAVED]
    assert (await shop.ok("POST", "/v2/payments", body, request_id=request_id))["status"] == "PROCESSING"


async def test_garbage_is_no_json_and_hides_a_success(shop: Shop) -> None:
    stored = await shop.save_card(script="garbage")
    answer = await shop.send("POST", "/v2/payments", shop.debit(stored))
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    [found] = await shop.ok("GET", "/v2/payments?clientReferenceId=ren1")
    assert found["status"] == "PAID"


async def test_a_review_of_a_renewal_waits_for_a_decision(shop: Shop) -> None:
    stored = await shop.save_card(script="REQUIRE_REVIEW")
    session = await shop.renew(stored)
    assert (await shop.read(session["id"]))["status"] == "PROCESSING"
    await shop.admin(f"sessions/{session['id']}/review", {"decision": "reject"})
    assert end_of(await shop.read(session["id"]))[1] == "BLOCKED_BY_FDS"
    again = await shop.http.post(
        f"{shop.base_url}/_sandbox/sessions/{session['id']}/review", json={"decision": "approve"}
    )
    assert again.status_code == 409


async def test_no_card_number_leaves_the_sandbox(shop: Shop) -> None:
    stored = await shop.save_card()
    session = await shop.renew(stored)
    assert shape_of(await shop.send("GET", "/v2/payments/none"))[0] == 404
    seen = [json.dumps(await shop.admin(path)) for path in ("ledger", "credentials", "notifications")]
    seen += [json.dumps(await shop.read(session["id"])), json.dumps(stored)]
    assert not any(CHALLENGE in text for text in seen)
