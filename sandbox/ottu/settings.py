"""What may be tuned in Ottu's sandbox: for the whole process, and per merchant, since each has an Ottu of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class OttuSettings:
    """Times are those of the object's clock unless they say `real`."""

    public_url: str | None = None
    """Address of the sandbox as browsers reach it; by default the one the session was created at."""
    hold: float = 20.0
    """Real seconds for which `timeout` leaves the caller waiting before the connection is cut."""
    notification_delay: timedelta = timedelta(milliseconds=100)
    """Real head start of an API answer over the webhook about the same thing."""
    answer_within: float = 15.0
    """Real seconds a merchant has to answer a webhook; also how long the customer's page waits for that answer."""
    resend_after: timedelta = timedelta(seconds=5)
    speed: float = 1.0
    """Divides every wait that is not on a test clock: expiry, automatic inquiry, resends."""
    settle_refund_after: timedelta = timedelta(hours=1)
    """Invented: a queued refund's way to its outcome."""


class Instance(BaseModel):
    """How a merchant's Ottu is configured, and which of the forms that the sources disagree about it speaks.

    The numbers are rows of gateways/ottu.md §13.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    signature: Literal["standard", "extended"] = "standard"
    """#16"""
    webhooks_for_debits: bool = False
    """#1: whether debits without the customer are told too."""
    expire_sessions: bool = True
    """`Expire Payment Transactions?`. Off: a session expires when somebody next tries to pay it."""
    only_linked_card: bool = True
    """#7: a debit with another valid card of the customer is refused."""
    declined_status: Literal[200, 400] = 200
    """#2"""
    one_step_declined_status: Literal[201, 400] = 201
    """#3"""
    throttled_status: Literal[429, 400] = 429
    """#20"""
    refunds: Literal["real_time", "queued", "rejected"] = "real_time"
    """`rejected`: queued first, and refused when the gateway gets to it."""
    pg_params: Literal["flat", "verbose", "text"] = "flat"
    """#14"""
    amounts: Literal["text", "numbers"] = "text"
    """Of `paid_amount` and its like."""
    card_gateway_field: Literal["pg", "pg_name"] | None = None
    """Name of a card's gateway. None: `pg` in a payment's token, `pg_name` in the list of cards, as documented."""
    dates: Literal["documented", "iso", "day_first"] = "documented"
    """#11: documented is day first from the Checkout API and ISO in payments."""
    sparse: bool = False
    """Leaves out of payments what the specification calls required and samples omit."""
    unknown_fields: bool = False
    """Adds a field nobody has heard of."""
