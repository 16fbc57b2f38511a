"""What may be tuned in Antom's sandbox. Where Antom is silent the value is invented and says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class AntomSettings:
    """Times are those of the object's clock unless they say `real`."""

    public_url: str | None = None
    """Address of the sandbox as browsers reach it; by default the one the consult was sent to."""
    hold: float = 20.0
    """Real seconds for which `timeout` leaves the caller waiting before the connection is cut."""
    notification_delay: timedelta = timedelta(milliseconds=100)
    """Real head start of an API answer over the notification about the same thing."""
    acknowledge_within: float = 5.0
    """Real seconds the approval page waits for AUTHCODE_CREATED to be acknowledged before it redirects."""
    speed: float = 1.0
    """Divides every wait that is not on a test clock: settlement, closing of orders, resends."""
    resend: bool = True
    """Off: every notification is sent once, as the real Antom sandbox does."""
    request_time_tolerance: timedelta | None = timedelta(minutes=5)
    """How far `request-time` may be from the real time; None: any. Invented."""
    page_lifetime: timedelta = timedelta(minutes=15)
    code_lifetime: timedelta = timedelta(seconds=60)
    code_repeats: bool = True
    """An identical applyToken within the code's lifetime gets the same tokens again, since Antom's page tells merchants
    to repeat the identical call when no answer came. Off: a code works strictly once."""
    refresh_grace: timedelta = timedelta(minutes=5)
    """How long a used refresh token still gets the pair it was exchanged for. Alipay+; unverified for Antom."""
    settle_after: timedelta = timedelta(seconds=30)
    close_after: timedelta = timedelta(seconds=60)
    bad_auth_code: str = "PARAM_ILLEGAL"
    """Result code for a wrong, used or expired authCode. Invented: unverified for Antom."""
    invalid_refresh_token: str = "INVALID_REFRESH_TOKEN"  # noqa: S105
    expired_refresh_token: str = "EXPIRED_REFRESH_TOKEN"  # noqa: S105
    """Alipay+'s names; unverified for Antom."""
    refund_not_found: str = "REFUND_NOT_EXIST"
    """Invented: unverified for Antom."""
