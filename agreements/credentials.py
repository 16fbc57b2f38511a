"""The life of a payment token: when to refresh it, when it can still be used (gateways/antom.md §9)."""

from __future__ import annotations

from datetime import datetime, timedelta

REFRESH_AHEAD = timedelta(days=15)
"""Antom asks for a refresh at least 10 days before the expiry; five days are left for a provider's outage."""
REFRESH_TOKEN_MARGIN = timedelta(days=1)


def refresh_at(
    expires_at: datetime | None, refresh_expires_at: datetime | None, refreshable: bool, issued_at: datetime
) -> datetime | None:
    """When to refresh a token issued at `issued_at`. None if it cannot be, or never expires, or came already expired.

    15 days before its expiry, or at two thirds of its life if that is later (a token of less than 45 days). Never later
    than a day before the refresh token dies; where that one lives less than two days, at half of its life. So a fresh
    token is never due for a refresh at once.
    """
    if not refreshable or expires_at is None or expires_at <= issued_at:
        return None
    at = max(expires_at - REFRESH_AHEAD, issued_at + (expires_at - issued_at) * 2 / 3)
    if refresh_expires_at is None:
        return at
    if refresh_expires_at <= issued_at:
        return None
    return min(at, max(refresh_expires_at - REFRESH_TOKEN_MARGIN, issued_at + (refresh_expires_at - issued_at) / 2))


def usable(expires_at: datetime | None, now: datetime) -> bool:
    """Whether a token can be debited at `now`. One without a known expiry can until the provider refuses it."""
    return expires_at is None or now < expires_at
