"""Which payment methods a buyer can be offered through which gateway: reference data.

Sources: gateways/antom.md §7.2, gateways/ottu.md §4, gateways/pay-and-save.md §1.7.

Only what never depends on the customer or on a contract is here. Limits that do are left to the provider's answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agreements.money import Money

GATEWAYS: tuple[str, ...] = ("antom",)
"""Those this release collects through: only their methods are offered. The others' connectors are being brought in."""


@dataclass(frozen=True)
class PaymentMethod:
    """One method of one gateway, in one region and one currency.

    `minimum` and `multiple_of` are minor units and hold for debits and refunds. A minimum of 1 also stands for one that
    is not published. `refreshable` is None where only the token itself will tell, `refund_days` (counted from the
    payment) where the window is not known or a contract may widen it.
    """

    gateway: str
    type: str
    name: str
    region: str
    currency: str
    minimum: int = 1
    multiple_of: int = 1
    refreshable: bool | None = None
    refund_days: int | None = 365
    verification: int | None = None
    """Minor units that prove a credential where nothing is owed and nothing can be verified for free; they go back."""


_GULF = (("KWD", "KW", 100), ("BHD", "BH", 100), ("OMR", "OM", 100), ("QAR", "QA", 100), ("AED", "AE", 100))
_WIDER = (*_GULF, ("JOD", "JO", 100), ("EGP", "EG", 5_00), ("USD", "US", 50))
"""Currency, where it is at home, and a verification of about a third of a dollar."""


def _ottu(integration: str, name: str, *currencies: tuple[str, str, int]) -> Iterator[PaymentMethod]:
    """One method a currency, named as gateways usually are at Ottu; an account may name its own.

    None for Saudi Arabia, where the cards of an agreement cannot be listed (gateways/ottu.md §6).
    """
    for currency, region, verification in currencies:
        code = f"{integration}-{currency.lower()}"
        yield PaymentMethod("ottu", code, name, region, currency, refund_days=None, verification=verification)


def _pivot(type_: str, name: str) -> PaymentMethod:
    """Whole rupiah, at least what Pivot's sample configuration says; a merchant's own minimum may differ."""
    least = 10_000_00
    return PaymentMethod("pivot", type_, name, "ID", "IDR", least, 100, False, None, verification=least)


METHODS: tuple[PaymentMethod, ...] = (
    PaymentMethod("antom", "ACH_DIRECT_DEBIT", "ACH direct debit", "US", "USD", refund_days=None),
    PaymentMethod("antom", "ALIPAY_CN", "Alipay", "CN", "CNY", minimum=10, refund_days=None),
    PaymentMethod("antom", "ALIPAY_HK", "AlipayHK", "HK", "HKD", minimum=1),
    PaymentMethod("antom", "BOOST", "Boost", "MY", "MYR", minimum=5),
    # Two decimals on the wire, whole rupiah only.
    PaymentMethod("antom", "DANA", "DANA", "ID", "IDR", minimum=300_00, multiple_of=100),
    PaymentMethod("antom", "DIRECTDEBIT_YAPILY", "Open banking direct debit", "GB", "GBP", refund_days=None),
    PaymentMethod("antom", "DIRECT_DEBIT_KRUNGTHAIBANK", "Krungthai Bank direct debit", "TH", "THB", refund_days=None),
    PaymentMethod(
        "antom", "DIRECT_DEBIT_SIAMCOMMERCIALBANK", "Siam Commercial Bank direct debit", "TH", "THB", refund_days=None
    ),
    PaymentMethod("antom", "GCASH", "GCash", "PH", "PHP", minimum=1_00),
    PaymentMethod("antom", "GRABPAY_MY", "GrabPay", "MY", "MYR", minimum=1),
    PaymentMethod("antom", "GRABPAY_PH", "GrabPay", "PH", "PHP", minimum=10_00),
    PaymentMethod("antom", "GRABPAY_SG", "GrabPay", "SG", "SGD", minimum=1),
    PaymentMethod("antom", "JKOPAY", "JKOPay", "TW", "TWD", minimum=1_00, multiple_of=100, refund_days=None),
    PaymentMethod("antom", "KAKAOPAY", "Kakao Pay", "KR", "KRW", minimum=50),
    PaymentMethod("antom", "KPLUS", "K PLUS", "TH", "THB", minimum=1_00),
    PaymentMethod("antom", "MAYA", "Maya", "PH", "PHP", minimum=1_00),
    PaymentMethod("antom", "MOMO", "MoMo", "VN", "VND", refund_days=None),
    PaymentMethod("antom", "NAVERPAY", "NAVER Pay", "KR", "KRW", refund_days=None),
    PaymentMethod("antom", "PAYPAY", "PayPay", "JP", "JPY", minimum=1),
    PaymentMethod("antom", "RABBIT_LINE_PAY", "Rabbit LINE Pay", "TH", "THB", minimum=1),
    PaymentMethod("antom", "TNG", "Touch 'n Go", "MY", "MYR", minimum=5),
    PaymentMethod("antom", "TOSSPAY", "Toss Pay", "KR", "KRW", refund_days=None),
    PaymentMethod("antom", "TRUEMONEY", "TrueMoney", "TH", "THB", minimum=1_00),
    PaymentMethod("antom", "ZALOPAY", "ZaloPay", "VN", "VND", minimum=1_000, refreshable=False, refund_days=180),
    *_ottu("mpgs", "Card (Mastercard Gateway)", *_WIDER),
    *_ottu("cybersource", "Card (Cybersource)", *_WIDER),
    *_ottu("tap", "Card (Tap)", *_GULF),
    *_ottu("benefit", "Benefit", ("BHD", "BH", 100)),
    *_ottu("omannet", "OmanNet", ("OMR", "OM", 100)),
    # Debiting a saved wallet is not documented: the account's keys say whether Pivot confirmed it to the merchant. OVO
    # is left out, since it asks a phone number given beforehand.
    *(_pivot(type_, name) for type_, name in (("CARD", "Card"), ("DANA", "DANA"), ("SHOPEEPAY", "ShopeePay"))),
)

_BY_TYPE = {(entry.gateway, entry.type): entry for entry in METHODS}


def offered() -> Iterator[PaymentMethod]:
    """The methods a buyer can be offered today."""
    return (entry for entry in METHODS if entry.gateway in GATEWAYS)


def method(gateway: str, payment_method: str) -> PaymentMethod | None:
    """The method of that type at that gateway; None if the gateway does not offer it for recurring debits."""
    return _BY_TYPE.get((gateway, payment_method))


def refuse(entry: PaymentMethod, money: Money) -> str | None:
    """Why this method can never move this amount, in plain words; None if nothing speaks against it."""
    if money.currency != entry.currency:
        return f"{entry.name} takes {entry.currency} only, not {money.currency}"
    if money.value < entry.minimum:
        return f"{entry.name} takes at least {Money(currency=entry.currency, value=entry.minimum)}, not {money}"
    if money.value % entry.multiple_of:
        step = Money(currency=entry.currency, value=entry.multiple_of)
        return f"{entry.name} takes multiples of {step} only, not {money}"
    return None
