"""The gateway accounts ("MIDs") every merchant has at the sandbox, by their `pg_code`.

Which gateways tokenize and auto-debit, and how long each is waited for before Ottu inquires, is from gateways/ottu.md
§3.5 and §4. The codes are invented, since at Ottu a merchant names its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

ORDER_NO_LIMITS = {"mpgs": 37}
"""Characters of `order_no` by gateway, where it is fewer than Ottu's own 128."""


@dataclass(frozen=True)
class Mid:
    """One gateway account. `inquire_after`: Ottu's automatic inquiry of a payment without a result."""

    code: str
    name: str
    pg: str
    currencies: tuple[str, ...]
    """The first is the account's own; refunds, captures and voids work in that one only."""
    operation: str = "purchase"
    tokenizable: bool = True
    auto_debit: bool = True
    multiple_attempts: bool = True
    inquire_after: timedelta = timedelta(minutes=11)
    operations: tuple[str, ...] = ("refund", "void")
    tags: tuple[str, ...] = ()

    @property
    def currency(self) -> str:
        return self.currencies[0]


def _mpgs(currency: str, *more: str) -> Mid:
    return Mid(f"mpgs-{currency.lower()}", "Credit Card", "mpgs", (currency, *more), tags=("subscriptions",))


MIDS = {
    mid.code: mid
    for mid in (
        _mpgs("KWD", "SAR", "BHD"),
        _mpgs("BHD"),
        _mpgs("OMR"),
        _mpgs("SAR"),
        _mpgs("AED"),
        _mpgs("QAR"),
        _mpgs("JOD"),
        _mpgs("EGP"),
        _mpgs("USD"),
        _mpgs("EUR"),
        _mpgs("JPY"),
        _mpgs("PHP"),
        Mid(
            "mpgs-kwd-auth",
            "Credit Card, authorized first",
            "mpgs",
            ("KWD",),
            operation="authorize",
            operations=("capture", "refund", "void"),
        ),
        Mid("mpgs-kwd-single", "Credit Card, one attempt", "mpgs", ("KWD",), multiple_attempts=False),
        Mid("tap-kwd", "Tap", "tap", ("KWD",), inquire_after=timedelta(minutes=20), operations=("refund",)),
        Mid("checkout-usd", "Checkout.com", "checkoutcom", ("USD",), auto_debit=False),
        Mid(
            "knet-kwd",
            "KNET",
            "kpay",
            ("KWD",),
            tokenizable=False,
            auto_debit=False,
            inquire_after=timedelta(minutes=8),
            operations=("refund",),
        ),
    )
}
