"""What may be tuned in Pivot's sandbox, with the switches of gateways/pay-and-save.md §7. Defaults are that note's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class PivotSettings:
    """Times are those of the object's clock unless they say `real`."""

    public_url: str | None = None
    """Address of the sandbox as browsers reach it; by default the one the session was created at."""
    hold: float = 20.0
    """Real seconds for which `timeout` leaves the caller waiting before the connection is cut."""
    notification_delay: timedelta = timedelta(milliseconds=100)
    """Real head start of an API answer over the callback about it, and of one callback over the next."""
    acknowledge_within: float = 5.0
    """Real seconds a page waits for its callbacks to be acknowledged before it redirects."""
    speed: float = 1.0
    """Divides every wait that is not on a test clock: settlement, expiry, resends."""
    resend: bool = True
    """Off: every callback is sent once."""
    token_life: timedelta = timedelta(seconds=900)
    session_life: timedelta = timedelta(minutes=15)
    remembers_requests_for: timedelta = timedelta(hours=24)
    settle_after: timedelta = timedelta(seconds=30)
    """From "processing" to the result, and from each state of a refund to the next. Invented."""
    requires_request_id: bool = True
    """`X-REQUEST-ID` is mandatory where a payment is created, as documented; the real one may be lax (§7 no. 9)."""
    strict_references: bool = False
    """On: `clientReferenceId` is letters and digits only, as documented. Public integrations send dashes."""
    unique_references: bool = True
    """A repeated `clientReferenceId` is a 409 (§7 no. 8)."""
    requires_cvc: bool = False
    """A token cannot be charged without `cvc` (§7 no. 2)."""
    tells_expiry: bool = True
    """An expired session is told as `PAYMENT.CANCELLED` (§7 no. 7)."""
    wallet_tokens: bool = False
    """`paymentMethod.ewallet.token` charges a stored wallet (§7 no. 14, experimental)."""
