"""What is sent to Pivot, held to the request tables of gateways/pay-and-save.md §2 and §3."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agreements.money import Money
from gateways.pivot import requests
from gateways.port import AuthorizationRequest, FirstPayment, Payer
from tests.gateways.pivot_fixtures import AMOUNT, CHARGE, PAGE, PAYER, REFUND, REQUEST_ID, Data, account

PLAIN = account(references="plain")


def page(request: AuthorizationRequest = PAGE, payer: Payer = PAYER, amount: Money | None = AMOUNT) -> Data:
    payment = FirstPayment(REQUEST_ID, "agr_01jd3w-c1", "Monthly plan, first month", amount)
    return requests.page(PLAIN, request, payment, payer)


def test_a_page_is_the_documented_first_payment_that_saves_the_card() -> None:
    assert page() == {
        "clientReferenceId": "agr_01jd3w-c1-a1",
        "amount": {"value": 150000, "currency": "IDR"},
        "paymentType": "SINGLE",
        "mode": "REDIRECT",
        "autoConfirm": True,
        "saveForFutureUse": True,
        "bypassStatusPage": True,
        "paymentMethod": {"type": "CARD"},
        "paymentMethodOptions": {"card": {"captureMethod": "automatic", "threeDsMethod": "CHALLENGE"}},
        "redirectUrl": {
            "successReturnUrl": "https://engine.example/returns/pivot/as_1?pivot=success&state=as_1",
            "failureReturnUrl": "https://engine.example/returns/pivot/as_1?pivot=failure&state=as_1",
            "expirationReturnUrl": "https://engine.example/returns/pivot/as_1?pivot=expired&state=as_1",
        },
        "customer": {
            "givenName": "Sari",
            "surname": "Ayu Wijaya",
            "email": "sari@example.test",
            "phoneNumber": {"countryCode": "+62", "number": "81200000001"},
        },
        "orderInformation": {
            "productDetails": [
                {
                    "type": "SERVICE",
                    "name": "Monthly plan, first month",
                    "quantity": 1,
                    "price": {"value": 150000, "currency": "IDR"},
                }
            ]
        },
        "expirationMode": "STRICT",
        "metadata": {"invoice": "agr_01jd3w-c1", "state": "as_1"},
    }


def test_a_page_of_ours_is_the_documented_session_that_waits_for_a_card() -> None:
    """§2.6 c: API mode, confirmed apart; nothing that only Pivot's own page could do."""
    payment = FirstPayment(REQUEST_ID, "agr_01jd3w-c1", "Monthly plan, first month", AMOUNT)
    known = replace(PAYER, reference="pivot-customer-1")
    body = requests.card_page(PLAIN, PAGE, payment, known)
    theirs = page(payer=known)
    assert (body["mode"], body["autoConfirm"], body["saveForFutureUse"]) == ("API", False, True)
    assert theirs.keys() - body.keys() == {"bypassStatusPage", "showSavedPayment"}
    assert {name: body[name] for name in body.keys() - {"mode", "autoConfirm"}}.items() <= theirs.items()


def test_a_card_is_brought_with_the_choice_of_3d_secure_it_was_asked_with() -> None:
    assert requests.confirmation("eyJlbmNyeXB0ZWRLZXkiOi") == {
        "paymentMethod": {"type": "CARD", "card": {"encryptedCard": "eyJlbmNyeXB0ZWRLZXkiOi"}},
        "paymentMethodOptions": {"card": {"captureMethod": "automatic", "threeDsMethod": "CHALLENGE"}},
    }


def test_a_customer_pivot_knows_gets_their_saved_cards_shown() -> None:
    body = page(payer=replace(PAYER, reference="pivot-customer-1"))
    assert (body["customerId"], body["showSavedPayment"]) == ("pivot-customer-1", True)
    assert "customer" not in body


@pytest.mark.parametrize("phone", [None, "", "+639170000000", "0812", "+62 21 555", "+628x"])
def test_a_phone_number_pivot_would_refuse_is_left_out(phone: str | None) -> None:
    assert page(payer=Payer("cus-7", None, "sari@example.test", phone))["customer"] == {"email": "sari@example.test"}


def test_a_page_without_an_amount_takes_the_catalogs_verification() -> None:
    assert page(amount=None)["amount"] == {"value": 10000, "currency": "IDR"}


def test_a_wallets_page_names_its_channel() -> None:
    body = page(replace(PAGE, payment_method="DANA"))
    assert body["paymentMethod"] == {"type": "EWALLET"}
    assert body["paymentMethodOptions"] == {"ewallet": {"channel": "DANA"}}


def test_a_debit_is_the_documented_token_payment_without_3ds_and_without_a_cvc() -> None:
    body = requests.debit(account(), CHARGE)
    assert body["clientReferenceId"] == "agrZ5f01jd3wZ2dc1Z2da1"  # letters and digits unless the account says otherwise
    assert (body["mode"], body["autoConfirm"], body["customerId"]) == ("API", True, "pivot-customer-1")
    assert body["paymentMethod"] == {"type": "CARD", "card": {"token": "tok_secret"}}
    assert body["paymentMethodOptions"] == {"card": {"captureMethod": "automatic", "threeDsMethod": "NEVER"}}
    assert body["metadata"] == {"invoice": "agr_01jd3w-c1"}
    assert not {"saveForFutureUse", "redirectUrl", "customer"} & set(body)


def test_a_repeat_says_the_same_bytes() -> None:
    assert requests.debit(PLAIN, CHARGE) == requests.debit(PLAIN, replace(CHARGE))
    assert page() == page()


def test_a_refund_carries_its_amount_as_text() -> None:
    assert requests.refund(PLAIN, REFUND) == {
        "clientReferenceId": "rfd_01jd3w",
        "paymentSessionId": "ses_1",
        "isFullAmount": False,
        "amount": {"value": "50000", "currency": "IDR"},
        "reason": "OTHERS",
        "method": "AUTO",
        "description": "goodwill",
    }
    named = requests.refund(PLAIN, replace(REFUND, reason="duplicate"))
    assert named["reason"] == "DUPLICATE"
    assert len(requests.refund(PLAIN, replace(REFUND, reason="x" * 200))["description"]) == 50


@pytest.mark.parametrize("amount", [Money(currency="IDR", value=150_000_50), Money(currency="USD", value=100)])
def test_only_whole_rupiah_can_be_asked_for(amount: Money) -> None:
    with pytest.raises(requests.NotSupported):
        requests.debit(PLAIN, replace(CHARGE, amount=amount))
    with pytest.raises(requests.NotSupported):
        requests.refund(PLAIN, replace(REFUND, amount=amount))
