"""What a provider guarantees about repeats, silences and questions; the rules of collecting follow it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class QueryLimits:
    """When a provider lets itself be asked what became of a debit, counted from the moment it was sent."""

    first_after: timedelta = timedelta(0)
    apart: timedelta = timedelta(0)
    per_day: int | None = None


AT_ANY_TIME = QueryLimits()


@dataclass(frozen=True)
class Traits:
    """What a provider guarantees; the charging gate follows it."""

    repeat_is_safe: timedelta | None
    """How long a repeat with the same request id is answered like the first; None: never repeat."""
    settling_time: timedelta
    """"Not found" means nothing before this much time has passed since the request was sent."""
    cancel_unfinished_after: timedelta | None
    """An attempt still processing after this long is canceled before any new one; None: it ends by itself."""
    authorization_life: timedelta
    """How long the customer's page can be used."""
    queries: QueryLimits = AT_ANY_TIME
    consent_by_payment: bool = False
    """The customer authorizes by paying: that payment is the first cycle, or a verification."""
    opens: bool = False
    """A debit is opened first: the handle it gets is committed before the step that moves money (design promise 1)."""
    cancel_stands: bool = True
    """A success reported after an accepted cancel stays canceled (gateways/antom.md §3.6); else it counts."""
