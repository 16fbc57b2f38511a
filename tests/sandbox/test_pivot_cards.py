"""Cards at Pivot's sandbox: encryption, 3-D Secure, simulation cards (gateways/pay-and-save.md §3.8, §3.10, §6.4)."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlsplit

import pytest

from gateways.pivot.encryption import encrypt
from sandbox.pivot.cards import SIMULATION
from tests.sandbox.pivot_support import (
    CHALLENGE,
    FRICTIONLESS,
    ORDER,
    URLS,
    Callbacks,
    Shop,
    encrypted,
    shape_of,
)

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
    assert sorted(callbacks.events) == ["PAYMENT.PAID", "PAYMENT.PROCESSING"]
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
    assert sorted(callbacks.events) == ["PAYMENT.CANCELLED", "PAYMENT.PROCESSING"]
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
