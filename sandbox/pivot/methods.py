"""What an account may offer: `GET /v2/payment-method-configs` (gateways/pay-and-save.md §1.7), and its limits.

Bank accounts and QR codes cannot be charged again and again; this sandbox's accounts have them switched off.
"""

from __future__ import annotations

from datetime import timedelta

from sandbox.pivot.answers import Answer, ApiError, Call, amount, success
from sandbox.pivot.messages import CreateRequest, Nothing

LIMITS = {"CARD": (10_000, 9_999_999_999), "EWALLET": (10_000, 9_999_999)}
"""Least and most per payment, in rupiah."""
LONGEST = {"CARD": timedelta(days=30), "EWALLET": timedelta(minutes=30)}
"""How far ahead `expiryAt` may be."""


def configs(_call: Call, _request: Nothing) -> Answer:
    """Cards and wallets, with their limits."""
    off = {"enabled": False, "acceptedChannels": []}
    return success(
        {
            "card": {
                **_limits("CARD"),
                "acceptedChannels": ["VISA", "MASTERCARD", "JCB"],
                "maximumExpiry": "30 DAYS",
                "installmentConfig": None,
            },
            "virtualAccount": off,
            "qr": {"enabled": False},
            "ewallet": {
                **_limits("EWALLET"),
                "acceptedChannels": ["DANA", "SHOPEEPAY", "OVO"],
                "maximumExpiry": "30 MINUTES",
            },
            "installment": {"enabled": False, "acceptedChannels": {}},
        }
    )


def _limits(method: str) -> dict[str, object]:
    least, most = LIMITS[method]
    return {"enabled": True, "minimumAmount": amount("IDR", least), "maximumAmount": amount("IDR", most)}


def check(method: str | None, request: CreateRequest) -> None:
    """Raises ApiError for a payment this account cannot take with this method."""
    if method is not None and method not in LIMITS:
        raise ApiError("forbidden_access", "paymentMethod.type", "is not enabled for this account")
    if request.payment_type == "MULTIPLE":
        raise ApiError("api_validation_error", "paymentType", "MULTIPLE is for QR and VIRTUAL_ACCOUNT")
    least, most = LIMITS[method or "CARD"]
    if not least <= request.amount.value <= most:
        raise ApiError("api_validation_error", "amount.value", f"must be between {least} and {most}")
