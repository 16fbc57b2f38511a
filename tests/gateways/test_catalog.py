"""The payment methods a buyer can be offered, and the amounts they can never move."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agreements import catalog
from agreements.money import Money, exponent

ANTOM = """
ACH_DIRECT_DEBIT                US/USD -      -                                  -
ALIPAY_CN                       CN/CNY 0.10   300000/debit,3000000/year          550
ALIPAY_HK                       HK/HKD 0.01   50000/debit,200000/year            365
BOOST                           MY/MYR 0.05   50000/month                        365
DANA                            ID/IDR 300    10000000/debit,20000000/day        365
DIRECTDEBIT_YAPILY              GB/GBP -      -                                  -
DIRECT_DEBIT_KRUNGTHAIBANK      TH/THB -      -                                  -
DIRECT_DEBIT_SIAMCOMMERCIALBANK TH/THB -      -                                  -
GCASH                           PH/PHP 1      100000/day                         365
GRABPAY_MY                      MY/MYR 0.01   1500/unstated                      365
GRABPAY_PH                      PH/PHP 10     25000/unstated                     365
GRABPAY_SG                      SG/SGD 0.01   5000/unstated                      365
KAKAOPAY                        KR/KRW 50     2000000/debit                      365
KPLUS                           TH/THB 1      2000000/unstated                   365
MAYA                            PH/PHP 1      100000/unstated                    365
MOMO                            VN/VND -      -                                  -
NAVERPAY                        KR/KRW -      -                                  -
PAYPAY                          JP/JPY 1      500000/day,2000000/month           365
RABBIT_LINE_PAY                 TH/THB 0.01   50000/unstated                     365
TNG                             MY/MYR 0.05   20000/debit,25000/month,300000/year 365
TOSSPAY                         KR/KRW -      -                                  -
TRUEMONEY                       TH/THB 1      30000/debit,50000/day              365
ZALOPAY                         VN/VND 1000   10000000/debit,20000000/day,100000000/month 180
"""
"""gateways/antom.md §7.2 with its amounts in major units: region and currency, least, limits, days for refunds."""


def _minor(major: str, currency: str) -> int | None:
    return None if major == "-" else int(Decimal(major).scaleb(exponent(currency)))


@pytest.mark.parametrize("row", ANTOM.split("\n")[1:-1])
def test_methods_of_antom_are_those_of_its_table(row: str) -> None:
    type_, place, least, limits, refunds = row.split()
    region, currency = place.split("/")
    entry = catalog.method("antom", type_)
    assert entry is not None
    assert (entry.region, entry.currency) == (region, currency)
    assert entry.minimum == _minor(least, currency)
    stated = [] if limits == "-" else [limit.split("/") for limit in limits.split(",")]
    assert [(limit.value, limit.per) for limit in entry.limits] == [
        (_minor(value, currency), per) for value, per in stated
    ]
    assert entry.refund_days == (None if refunds == "-" else int(refunds))
    assert entry.refreshable is (False if type_ == "ZALOPAY" else None)
    assert entry.refresh_days == (None if type_ == "ZALOPAY" else 10)
    assert entry.verification is None
    assert catalog.refuse_new(entry) is None


def test_every_entry_can_be_found_and_is_plausible() -> None:
    for entry in catalog.METHODS:
        assert entry.gateway in {"antom", "ottu", "pivot"}
        assert catalog.method(entry.gateway, entry.type) is entry
        assert exponent(entry.currency) in (0, 2, 3)
        assert (entry.minimum or 0) % entry.multiple_of == 0
        assert entry.verification is None or (entry.verification >= (entry.minimum or 1))
        assert all(limit.value >= (entry.minimum or 1) for limit in entry.limits)
    assert len(ANTOM.split("\n")[1:-1]) + 2 == sum(entry.gateway == "antom" for entry in catalog.METHODS)


def test_only_what_can_be_collected_is_listed() -> None:
    assert {entry.gateway for entry in catalog.listed()} == set(catalog.GATEWAYS)


@pytest.mark.parametrize(("gateway", "type_"), [("antom", "GRABPAY_ID"), ("antom", "JKOPAY"), ("pivot", "OVO")])
def test_what_no_source_vouches_for_is_listed_with_the_reason_and_refused(gateway: str, type_: str) -> None:
    entry = catalog.method(gateway, type_)
    assert entry is not None
    assert entry in catalog.METHODS
    assert entry.note
    assert (catalog.refuse_new(entry) or "").endswith(f"through {gateway} is not verified: {entry.note}")


@pytest.mark.parametrize("withdrawn", ["BKASH", "EASYPAISA", "PAYMAYA", "MPAY", "", "gcash"])
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
