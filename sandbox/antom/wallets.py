"""What the sandbox knows of each wallet: its currency, its smallest payment, how long its tokens live.

Currencies, minimums and refund windows are Antom's (gateways/antom.md §7.2; where that table has a question mark, one
minor unit and 365 days). Token lifetimes are invented: Antom publishes none, so a connector must read the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

LONG_LIVED = timedelta(days=3650)


@dataclass(frozen=True)
class Wallet:
    """`minimum` in minor units; `refresh_life` None: tokens are long-lived and come without a refresh token."""

    name: str
    label: str
    currency: str
    minimum: int = 1
    access_life: timedelta = timedelta(days=180)
    refresh_life: timedelta | None = timedelta(days=365)
    refund_window: timedelta = timedelta(days=365)
    multiple: int = 1
    """Amounts are multiples of this many minor units."""
    refunds_at_once: bool = True
    """Wallets refund at once; of what is no wallet a refund is only accepted at first (gateways/antom.md §3.7)."""


def _lasting(
    name: str,
    label: str,
    currency: str,
    minimum: int = 1,
    refund_window: timedelta = timedelta(days=365),
    refunds_at_once: bool = False,
) -> Wallet:
    return Wallet(name, label, currency, minimum, LONG_LIVED, None, refund_window, refunds_at_once=refunds_at_once)


WALLETS = {
    wallet.name: wallet
    for wallet in (
        Wallet("ALIPAY_CN", "Alipay", "CNY", 10),
        Wallet("ALIPAY_HK", "AlipayHK", "HKD", 1),
        Wallet("BOOST", "Boost", "MYR", 5),
        Wallet("DANA", "DANA", "IDR", 30_000, multiple=100),
        Wallet("GCASH", "GCash", "PHP", 100),
        Wallet("GRABPAY_MY", "GrabPay", "MYR", 1),
        Wallet("GRABPAY_PH", "GrabPay", "PHP", 1_000),
        Wallet("GRABPAY_SG", "GrabPay", "SGD", 1),
        Wallet("JKOPAY", "JKOPay", "TWD", 100, multiple=100),
        Wallet("KAKAOPAY", "KakaoPay", "KRW", 50),
        Wallet("KPLUS", "K PLUS", "THB", 100),
        Wallet("MAYA", "Maya", "PHP", 100),
        Wallet("MOMO", "MoMo", "VND"),
        Wallet("NAVERPAY", "NAVER Pay", "KRW"),
        Wallet("PAYPAY", "PayPay", "JPY", 1),
        Wallet("RABBIT_LINE_PAY", "Rabbit LINE Pay", "THB", 1),
        Wallet("TNG", "Touch'n Go eWallet", "MYR", 5),
        Wallet("TOSSPAY", "Toss Pay", "KRW"),
        Wallet("TRUEMONEY", "TrueMoney", "THB", 100),
        _lasting("ZALOPAY", "ZaloPay", "VND", 1_000, timedelta(days=180), refunds_at_once=True),
        _lasting("DIRECT_DEBIT_KRUNGTHAIBANK", "Krungthai Bank", "THB"),
        _lasting("DIRECT_DEBIT_SIAMCOMMERCIALBANK", "Siam Commercial Bank", "THB"),
        _lasting("DIRECTDEBIT_YAPILY", "Open banking by Yapily", "GBP"),
        _lasting("ACH_DIRECT_DEBIT", "ACH Direct Debit", "USD"),
    )
}
