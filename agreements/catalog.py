"""Which payment methods a buyer can be offered through which gateway: reference data.

Sources: gateways/antom.md §7.2, gateways/ottu.md §4, gateways/pay-and-save.md §1.7.

What depends on the customer or on a contract is told, never enforced: there the provider's answer decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from agreements.money import Money, exponent

GATEWAYS: tuple[str, ...] = ("antom", "ottu", "pivot")
"""Those this release collects through: only their methods are offered."""


class Availability(StrEnum):
    """Whether a buyer can be offered a method."""

    AVAILABLE = "available"
    CONFIRMATION_NEEDED = "confirmation_needed"
    """Undocumented in part: the account's keys must say that the provider has confirmed it to the merchant."""
    UNVERIFIED = "unverified"
    """Listed so that nobody looks for it in vain, refused for new agreements. `note` says why."""


class Per(StrEnum):
    """What a limit counts over."""

    DEBIT = "debit"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    UNSTATED = "unstated"


@dataclass(frozen=True)
class Limit:
    """The most a method takes, in minor units. The customer's own standing and the contract may allow less."""

    value: int
    per: Per


@dataclass(frozen=True)
class PaymentMethod:
    """One method of one gateway, in one region and one currency.

    `minimum` and `multiple_of` are minor units and hold for debits and refunds; a minimum of None is not published.
    """

    gateway: str
    type: str
    name: str
    region: str
    currency: str
    minimum: int | None = None
    limits: tuple[Limit, ...] = ()
    multiple_of: int = 1
    refreshable: bool | None = None
    """Whether its tokens can be refreshed without the customer; None where only the token itself will tell."""
    refresh_days: int | None = None
    """How many days before a token's expiry the provider wants it refreshed, where it can be."""
    refund_days: int | None = None
    """Days from the payment, the longest any contract is known to give; None where nothing is known."""
    verification: int | None = None
    """Minor units that prove a credential where nothing is owed and nothing can be verified for free; they go back."""
    availability: Availability = Availability.AVAILABLE
    customs: bool = False
    """Payments with it can be declared at customs."""
    note: str | None = None

    @property
    def consent_by_payment(self) -> bool:
        """Whether the customer agrees by a payment of theirs: the first cycle's, or a verification."""
        return self.verification is not None


def _antom(
    type_: str,
    name: str,
    place: str,
    minimum: str | None = None,
    limits: str = "",
    refund_days: int | None = 365,
    multiple_of: int = 1,
    refreshable: bool | None = None,
    availability: Availability = Availability.AVAILABLE,
    note: str | None = None,
) -> PaymentMethod:
    """A row of Antom's table as it stands there: amounts in major units, limits as `500 debit, 20000 day`."""
    region, currency = place.split()
    pairs = [entry.split() for entry in limits.split(",") if entry]
    return PaymentMethod(
        "antom",
        type_,
        name,
        region,
        currency,
        minimum=_minor(minimum, currency) if minimum else None,
        limits=tuple(Limit(_minor(value, currency), Per(per)) for value, per in pairs),
        multiple_of=multiple_of,
        refreshable=refreshable,
        refresh_days=None if refreshable is False else 10,  # gateways/antom.md §9
        refund_days=refund_days,
        availability=availability,
        customs=type_ == "ALIPAY_CN",  # gateways/antom.md §3.9
        note=note,
    )


def _minor(major: str, currency: str) -> int:
    whole, _, fraction = major.partition(".")
    return int(whole + fraction.ljust(exponent(currency), "0"))


_GULF = (("KWD", "KW", 100), ("BHD", "BH", 100), ("OMR", "OM", 100), ("QAR", "QA", 100), ("AED", "AE", 100))
_WIDER = (*_GULF, ("JOD", "JO", 100), ("EGP", "EG", 5_00), ("USD", "US", 50))
"""Currency, where it is at home, and a verification of ten to fifty US cents."""


def _ottu(integration: str, name: str, *currencies: tuple[str, str, int]) -> Iterator[PaymentMethod]:
    """One method a currency, named as gateways usually are at Ottu; an account may name its own.

    None for Saudi Arabia, where the cards of an agreement cannot be listed (gateways/ottu.md §6).
    """
    for currency, region, verification in currencies:
        code = f"{integration}-{currency.lower()}"
        yield PaymentMethod("ottu", code, name, region, currency, refreshable=False, verification=verification)


def _pivot(type_: str, name: str, most: int, availability: Availability, note: str) -> PaymentMethod:
    """Whole rupiah. The least and the most are those of Pivot's sample configuration; a merchant's own may differ."""
    least = 10_000_00
    return PaymentMethod(
        "pivot",
        type_,
        name,
        "ID",
        "IDR",
        minimum=least,
        limits=(Limit(most, Per.DEBIT),),
        multiple_of=100,
        refreshable=False,
        verification=least,
        availability=availability,
        note=note,
    )


_SAMPLE = "The limits are those of Pivot's sample configuration; a merchant's own may differ."
_WALLET = f"Debits of a saved wallet need Pivot's confirmation: `wallet_tokens=on` in the account's keys. {_SAMPLE}"
_PHONE = (
    "Needs the phone number of the customer's wallet beforehand, and debits of a saved OVO wallet are undocumented."
)
_BANK = "What the bank's one-time payments take is known (1 to 2,000,000, no refund), not what debits do."

METHODS: tuple[PaymentMethod, ...] = (
    _antom(
        "ACH_DIRECT_DEBIT",
        "ACH direct debit",
        "US USD",
        refund_days=None,
        note="The customer authenticates again about once a year.",
    ),
    _antom(
        "ALIPAY_CN",
        "Alipay",
        "CN CNY",
        "0.10",
        "300000 debit, 3000000 year",
        refund_days=550,
        note="365 days for refunds, 18 months with one acquirer.",
    ),
    _antom("ALIPAY_HK", "AlipayHK", "HK HKD", "0.01", "50000 debit, 200000 year"),
    _antom("BOOST", "Boost", "MY MYR", "0.05", "50000 month"),
    # Two decimals on the wire, whole rupiah only.
    _antom("DANA", "DANA", "ID IDR", "300", "10000000 debit, 20000000 day", multiple_of=100),
    _antom("DIRECTDEBIT_YAPILY", "Open banking direct debit", "GB GBP", refund_days=None),
    _antom("DIRECT_DEBIT_KRUNGTHAIBANK", "Krungthai Bank direct debit", "TH THB", refund_days=None, note=_BANK),
    _antom(
        "DIRECT_DEBIT_SIAMCOMMERCIALBANK", "Siam Commercial Bank direct debit", "TH THB", refund_days=None, note=_BANK
    ),
    _antom("GCASH", "GCash", "PH PHP", "1", "100000 day"),
    _antom(
        "GRABPAY_ID",
        "GrabPay",
        "ID IDR",
        multiple_of=100,
        refund_days=None,
        availability=Availability.UNVERIFIED,
        note="One overview of Antom's names Indonesia; no later list and no SDK knows a value for it.",
    ),
    _antom("GRABPAY_MY", "GrabPay", "MY MYR", "0.01", "1500 unstated"),
    _antom("GRABPAY_PH", "GrabPay", "PH PHP", "10", "25000 unstated", note="One-time payments may be of up to 50,000."),
    _antom(
        "GRABPAY_SG",
        "GrabPay",
        "SG SGD",
        "0.01",
        "5000 unstated",
        note="A refund on the day of the payment can fail.",
    ),
    _antom(
        "JKOPAY",
        "JKOPay",
        "TW TWD",
        "1",
        refund_days=None,
        multiple_of=100,
        availability=Availability.UNVERIFIED,
        note="In no list of methods with Auto Debit; only Antom's SDK knows the value.",
    ),
    _antom("KAKAOPAY", "Kakao Pay", "KR KRW", "50", "2000000 debit"),
    _antom("KPLUS", "K PLUS", "TH THB", "1", "2000000 unstated"),
    _antom("MAYA", "Maya", "PH PHP", "1", "100000 unstated"),
    _antom("MOMO", "MoMo", "VN VND", refund_days=None),
    _antom("NAVERPAY", "NAVER Pay", "KR KRW", refund_days=None),
    _antom(
        "PAYPAY",
        "PayPay",
        "JP JPY",
        "1",
        "500000 day, 2000000 month",
        note="Another acquirer takes 999,999 per debit, 100,000 of customers without KYC, and refunds for 30 days only"
        " at one of the two.",
    ),
    _antom("RABBIT_LINE_PAY", "Rabbit LINE Pay", "TH THB", "0.01", "50000 unstated"),
    _antom("TNG", "Touch 'n Go", "MY MYR", "0.05", "20000 debit, 25000 month, 300000 year"),
    _antom("TOSSPAY", "Toss Pay", "KR KRW", refund_days=None),
    _antom("TRUEMONEY", "TrueMoney", "TH THB", "1", "30000 debit, 50000 day"),
    _antom(
        "ZALOPAY",
        "ZaloPay",
        "VN VND",
        "1000",
        "10000000 debit, 20000000 day, 100000000 month",
        refund_days=180,
        refreshable=False,
    ),
    *_ottu("mpgs", "Card (Mastercard Gateway)", *_WIDER),
    *_ottu("cybersource", "Card (Cybersource)", *_WIDER),
    *_ottu("tap", "Card (Tap)", *_GULF),
    *_ottu("benefit", "Benefit", ("BHD", "BH", 100)),
    *_ottu("omannet", "OmanNet", ("OMR", "OM", 100)),
    _pivot("CARD", "Card", 9_999_999_999_00, Availability.AVAILABLE, _SAMPLE),
    _pivot("DANA", "DANA", 9_999_999_00, Availability.CONFIRMATION_NEEDED, _WALLET),
    _pivot("SHOPEEPAY", "ShopeePay", 9_999_999_00, Availability.CONFIRMATION_NEEDED, _WALLET),
    _pivot("OVO", "OVO", 9_999_999_00, Availability.UNVERIFIED, _PHONE),
)

_BY_TYPE = {(entry.gateway, entry.type): entry for entry in METHODS}


def listed() -> Iterator[PaymentMethod]:
    """The methods of the gateways this release collects through, the unverified ones included."""
    return (entry for entry in METHODS if entry.gateway in GATEWAYS)


def method(gateway: str, payment_method: str) -> PaymentMethod | None:
    """The method of that type at that gateway; None if the gateway is not known to debit by it."""
    return _BY_TYPE.get((gateway, payment_method))


def refuse(entry: PaymentMethod, money: Money) -> str | None:
    """Why this method can never move this amount, in plain words; None if nothing speaks against it."""
    if money.currency != entry.currency:
        return f"{entry.name} takes {entry.currency} only, not {money.currency}"
    if entry.minimum is not None and money.value < entry.minimum:
        return f"{entry.name} takes at least {Money(currency=entry.currency, value=entry.minimum)}, not {money}"
    if money.value % entry.multiple_of:
        step = Money(currency=entry.currency, value=entry.multiple_of)
        return f"{entry.name} takes multiples of {step} only, not {money}"
    return None


def refuse_new(entry: PaymentMethod) -> str | None:
    """Why no agreement is made with this method, in plain words; None if it can be."""
    if entry.availability is not Availability.UNVERIFIED:
        return None
    return f"{entry.name} in {entry.region} through {entry.gateway} is not verified: {entry.note}"
