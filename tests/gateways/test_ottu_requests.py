"""What Ottu is asked for, field by field (gateways/ottu.md §1.5, §2.1-2.3, §3.1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.money import Money
from agreements.terms import AgreementType, AmountVariability, Frequency, Terms
from gateways.ottu import sessions
from gateways.ottu.messages import Message, decimal_text
from gateways.port import FirstPayment, Payer
from tests.gateways.ottu_fixtures import CALL, CHARGE, PAGE, START, TERMS, account, answers, connector

AGREEMENT = {
    "id": "agr_1",
    "type": "recurring",
    "amount_variability": "fixed",
    "start_date": "20/11/2026",
    "expiry_date": "20/11/2027",
    "cycle_interval_days": 25,
    "total_cycles": 12,
    "frequency": "monthly",
    "seller": {"name": "Desert Books", "short_name": "DBK", "category_code": "5942"},
    "extra_params": {"payment_processing_day": 20},
}
ON_DEMAND = {"type": AgreementType.UNSCHEDULED, "frequency": Frequency.IRREGULAR, "total_cycles": None}


def test_the_customers_session() -> None:
    assert sessions.first_payment(account(), PAGE, START) == {
        "type": "e_commerce",
        "payment_type": "auto_debit",
        "amount": "12.500",
        "currency_code": "KWD",
        "pg_codes": ["mpgs-kwd"],
        "order_no": "agr_1-c1-a1",
        "customer_id": "cust_7781",
        "customer_first_name": "Noor A",
        "customer_email": "noor@example.test",
        "customer_phone": "+9651234567",
        "agreement": AGREEMENT,
        # Until the twelfth cycle, 20 October 2027.
        "card_acceptance_criteria": {"min_expiry_time": (date(2027, 10, 20) - date(2026, 11, 20)).days},
        "webhook_url": "https://engine.example/notifications/ottu/gwa_1",
        "redirect_url": "https://engine.example/returns/ottu/as_1?state=as_1",
        "expiration_time": "0 01:00:00",
        "extra": {
            "request_id": "agr_1-c1-a1",
            "order_reference": "agr_1-c1",
            "authorization_state": "as_1",
        },
    }


def test_a_debits_session_carries_the_identical_agreement_and_the_cards_gateway() -> None:
    body = sessions.debit(account(pg_code="acme-mpgs"), replace(CHARGE, token_reference="mpgs-kwd-2"))
    assert body == {
        "type": "e_commerce",
        "payment_type": "auto_debit",
        "amount": "12.500",
        "currency_code": "KWD",
        "pg_codes": ["mpgs-kwd-2"],
        "order_no": "agr_1-c2-a1",
        "customer_id": "cust_7781",
        "agreement": sessions.first_payment(account(), PAGE, START)["agreement"],
        "webhook_url": "https://engine.example/notifications/ottu/gwa_1",
        "extra": {"request_id": "agr_1-c2-a1", "order_reference": "agr_1-c2"},
    }


@pytest.mark.parametrize(
    ("keys", "codes"),
    [
        ({}, ["mpgs-kwd"]),
        ({"pg_code": "acme"}, ["acme"]),
        ({"pg_code": "acme", "pg_code.mpgs-kwd": "acme-kwd"}, ["acme-kwd"]),
        ({"pg_code.tap-kwd": "acme-tap"}, ["mpgs-kwd"]),
    ],
)
def test_a_merchant_may_call_the_gateway_something_else(keys: dict[str, Any], codes: list[str]) -> None:
    assert sessions.first_payment(account(**keys), PAGE, START)["pg_codes"] == codes
    assert sessions.debit(account(**keys), replace(CHARGE, token_reference=None))["pg_codes"] == codes


def test_another_plugin_is_the_accounts_choice() -> None:
    assert sessions.debit(account(plugin="payment_request"), CHARGE)["type"] == "payment_request"


def test_nothing_but_three_fields_is_permitted_for_unscheduled() -> None:
    terms = Terms(type=AgreementType.UNSCHEDULED, frequency=Frequency.IRREGULAR, max_amount_per_cycle=5_000)
    assert sessions.agreement("agr_1", terms, "KWD") == {"id": "agr_1", "type": "unscheduled", "frequency": "irregular"}


def test_a_cap_is_in_major_units_and_the_last_day_is_left_out() -> None:
    changes = {
        "amount": None,
        "amount_variability": AmountVariability.VARIABLE,
        "max_amount_per_cycle": 20_500,
        "payment_processing_day": "last",
        "seller": None,
    }
    got = sessions.agreement("agr_1", TERMS.model_copy(update=changes), "KWD")
    assert (got["amount_variability"], got["max_amount_per_cycle"]) == ("variable", "20.500")
    assert got.keys() & {"extra_params", "seller"} == set()


@pytest.mark.parametrize(
    ("changes", "days"),
    [
        ({"total_cycles": None}, 365),
        # The last debit is on 20 February, although the terms end on 19 March.
        ({"total_cycles": None, "expiry_date": date(2027, 3, 19)}, (date(2027, 2, 20) - date(2026, 11, 20)).days),
        ({**ON_DEMAND, "expiry_date": date(2027, 1, 19)}, 60),
        ({"total_cycles": 3}, (date(2027, 1, 20) - date(2026, 11, 20)).days),
        ({"total_cycles": 1}, 30),
        ({"total_cycles": None, "expiry_date": None}, 30),
        ({"total_cycles": 48, "expiry_date": None}, 365),
    ],
)
def test_a_card_must_last_until_the_last_debit_within_what_ottu_takes(changes: dict[str, Any], days: int) -> None:
    # From 20 November: until the expiry date, the last cycle, or as far as Ottu can look.
    assert sessions.card_valid_for(TERMS.model_copy(update=changes), START) == days


def test_the_day_is_the_payers() -> None:
    late = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)  # half past midnight in Kuwait
    terms = TERMS.model_copy(update={"total_cycles": 4})
    assert sessions.card_valid_for(terms, START) - sessions.card_valid_for(terms, late) == 1


def test_with_nothing_owed_a_small_payment_verifies_the_card() -> None:
    page = replace(PAGE, payment=FirstPayment("ver_1", "ver_1", "x", None))
    assert sessions.first_payment(account(), page, START)["amount"] == "0.100"
    dirhams = replace(page, payment_method="mpgs-aed")
    body = sessions.first_payment(account(), dirhams, START)
    assert (body["amount"], body["currency_code"]) == ("1.00", "AED")
    with pytest.raises(sessions.Incomplete):
        sessions.first_payment(account(), replace(page, payment_method="GCASH"), START)


@pytest.mark.parametrize("without", ["terms", "payer", "payment", "agreement_id"])
async def test_a_page_that_lacks_what_ottu_needs_is_not_asked_for(without: str) -> None:
    page = replace(PAGE, **{without: "" if without == "agreement_id" else None})  # type: ignore[arg-type]
    got = await connector(answers()).authorize(account(), page, CALL)
    assert got.evidence == "incomplete_request"
    if without in ("terms", "agreement_id"):
        debit = replace(CHARGE, **{without: "" if without == "agreement_id" else None})  # type: ignore[arg-type]
        assert (await connector(answers()).open(account(), debit, CALL)).evidence == "incomplete_request"


def test_what_ottu_would_refuse_of_a_person_is_left_out() -> None:
    page = replace(PAGE, payer=Payer("c" * 65, "N" * 65, "e" * 128 + "@example.test", "+" + "9" * 16))
    body = sessions.first_payment(account(), page, START)
    assert body["customer_first_name"] == "N" * 64
    assert len(body["customer_id"]) == 64
    assert body.keys() & {"customer_email", "customer_phone"} == set()


def test_the_customer_comes_back_with_the_state_whatever_the_address_holds() -> None:
    body = sessions.first_payment(account(), replace(PAGE, return_url="https://e.example/r?a=1", state="a&b"), START)
    assert body["redirect_url"] == "https://e.example/r?a=1&state=a%26b"


@given(st.text(alphabet="abc_-0123456789", min_size=1, max_size=80), st.text(alphabet="abc_-0123456789", max_size=80))
def test_order_numbers_fit_and_stay_apart(one: str, other: str) -> None:
    assert len(sessions.order_no(one)) <= 37
    assert (sessions.order_no(one) == one) is (len(one) <= 37)
    assert (sessions.order_no(one) == sessions.order_no(other)) is (one == other)


@given(st.sampled_from(["KWD", "BHD", "OMR", "AED", "USD", "JPY"]), st.integers(1, 10**12))
def test_an_amount_written_is_read_back(currency: str, value: int) -> None:
    money = Money(currency=currency, value=value)
    assert Message({"amount": decimal_text(money), "currency_code": currency}).money() == money


async def test_a_page_ends_an_hour_after_it_was_asked_for() -> None:
    made = {"session_id": "s-1", "state": "created", "checkout_url": "https://desert.ottu.example/b/x?session_id=s-1"}
    got = await connector(answers((201, made))).authorize(account(), PAGE, CALL)
    assert (got.handle, got.url, got.expires_at) == ("s-1", made["checkout_url"], START + timedelta(hours=1))
