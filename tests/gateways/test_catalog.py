"""The payment methods a buyer can be offered, and the amounts they can never move."""

from __future__ import annotations

import pytest

from agreements import catalog
from agreements.money import Money, exponent


def test_every_entry_can_be_found_and_is_plausible() -> None:
    for entry in catalog.METHODS:
        assert entry.gateway in {"antom", "ottu", "pivot"}
        assert catalog.method(entry.gateway, entry.type) is entry
        assert exponent(entry.currency) in (0, 2, 3)
        assert entry.minimum % entry.multiple_of == 0 or entry.minimum == 1


def test_only_what_can_be_collected_is_offered() -> None:
    assert {entry.gateway for entry in catalog.offered()} == set(catalog.GATEWAYS)


@pytest.mark.parametrize("withdrawn", ["BKASH", "EASYPAISA", "GRABPAY_ID", "PAYMAYA", "", "gcash"])
def test_what_is_not_offered_is_absent(withdrawn: str) -> None:
    assert catalog.method("antom", withdrawn) is None
    assert catalog.method("nobody", "GCASH") is None


@pytest.mark.parametrize(
    ("type_", "currency", "value", "reason"),
    [
        ("GCASH", "PHP", 100, None),
        ("GCASH", "PHP", 99, "GCash takes at least PHP 1.00, not PHP 0.99"),
        ("GCASH", "THB", 100, "GCash takes PHP only, not THB"),
        ("DANA", "IDR", 30000, None),
        ("DANA", "IDR", 29900, "DANA takes at least IDR 300.00, not IDR 299.00"),
        ("DANA", "IDR", 30050, "DANA takes multiples of IDR 1.00 only, not IDR 300.50"),
        ("JKOPAY", "TWD", 150, "JKOPay takes multiples of TWD 1.00 only, not TWD 1.50"),
        ("KAKAOPAY", "KRW", 50, None),
        ("KAKAOPAY", "KRW", 49, "Kakao Pay takes at least KRW 50, not KRW 49"),
        ("MOMO", "VND", 1, None),
    ],
)
def test_amounts_are_refused_in_plain_words(type_: str, currency: str, value: int, reason: str | None) -> None:
    entry = catalog.method("antom", type_)

    assert entry is not None
    assert catalog.refuse(entry, Money(currency=currency, value=value)) == reason


@pytest.mark.parametrize(
    ("code", "currency", "region"),
    [
        ("mpgs-kwd", "KWD", "KW"),
        ("cybersource-aed", "AED", "AE"),
        ("tap-kwd", "KWD", "KW"),
        ("benefit-bhd", "BHD", "BH"),
        ("omannet-omr", "OMR", "OM"),
    ],
)
def test_gateways_at_ottu_with_auto_debit_are_offered_in_their_currency(code: str, currency: str, region: str) -> None:
    entry = catalog.method("ottu", code)

    assert entry is not None
    assert (entry.currency, entry.region) == (currency, region)
    assert entry.verification is not None
    assert catalog.refuse(entry, Money(currency=currency, value=entry.verification)) is None


@pytest.mark.parametrize("without", ["kpay-kwd", "knet-kwd", "benefit-kwd", "checkoutcom-usd", "mpgs-sar"])
def test_gateways_at_ottu_without_auto_debit_or_a_list_of_cards_are_not(without: str) -> None:
    assert catalog.method("ottu", without) is None
