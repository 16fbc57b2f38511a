"""The life of a payment token: when to refresh it, when it can still be used (gateways/antom.md §9), by whom, and what
speaks against it.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from agreements import schedule
from agreements.schedule import Plan
from agreements.terms import Terms

REFRESH_AHEAD = timedelta(days=15)
"""Antom asks for a refresh at least 10 days before the expiry; five days are left for a provider's outage."""
REFRESH_TOKEN_MARGIN = timedelta(days=1)

_TIED_TO_THE_AGREEMENT = frozenset({"ottu"})
"""Where a token may only be charged for the agreement it was given for (gateways/ottu.md §4: other saved cards must not
be charged for an agreement). Antom's and Pivot's are the customer's, whatever they are charged for.
"""

_MARKS = {
    "prepaid": "a prepaid card: it is good for as long as its balance lasts",
    "virtual": "a virtual card, which its holder may end at any time",
    "single_use": "a card number for a single payment: the next debit is expected to fail",
    "multi_use": "a virtual card number for several payments, which may have a limit",
}
"""What schemes tell of a card (payment-rules §2.2, advice codes 40, 41 and 43; providers have words of their own)."""


class CredentialWarning(BaseModel):
    """Something that will keep a credential from being debited to the end. `code` is for programs."""

    model_config = ConfigDict(frozen=True)

    code: str
    detail: str


class OnFile(Protocol):
    """A credential a customer gave before."""

    gateway: str
    account_id: str
    payment_method: str
    status: str
    expiry_month: int | None
    expiry_year: int | None
    token_expires_at: datetime | None
    refresh_at: datetime | None
    refresh_expires_at: datetime | None


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


def last_day(expiry_month: int | None, expiry_year: int | None) -> date | None:
    """The last day a card can be debited: the last of the month printed on it. None for what is no card."""
    if expiry_month is None or expiry_year is None:
        return None
    return date(expiry_year, expiry_month, monthrange(expiry_year, expiry_month)[1])


def warnings(
    marks: Iterable[str], expiry: date | None, terms: Terms | None, now: datetime
) -> tuple[CredentialWarning, ...]:
    """What merchants should know at once of a credential that serves these terms, or none in particular.

    `expiry` is the card's last day, compared in the terms' zone, else in UTC.
    """
    known = [CredentialWarning(code=mark, detail=_MARKS.get(mark, mark)) for mark in marks]
    return (*known, *_too_short(expiry, terms, now)) if expiry else tuple(known)


def learned(marks: Sequence[str], told: Iterable[str | None]) -> list[str]:
    """The marks of a card with those a decline of it told, in the order they became known."""
    return list(dict.fromkeys([*marks, *(mark for mark in told if mark is not None)]))


def _too_short(expiry: date, terms: Terms | None, now: datetime) -> Iterator[CredentialWarning]:
    """The soonest of what the card will not live to see."""
    if expiry < schedule.today(terms.timezone if terms else "UTC", now):
        yield CredentialWarning(code="expired", detail=f"the card expired on {expiry}")
        return
    if terms is None or not schedule.has_schedule(terms):
        return
    plan = Plan(terms)
    coming, last = schedule.next_cycle_after(plan, now), schedule.last_cycle(plan)
    if last is not None and coming > last:
        return
    if expiry < (day := schedule.cycle_date(terms, coming)):
        yield CredentialWarning(code="expires_before_next_debit", detail=f"the card expires before the debit of {day}")
    elif last is not None and expiry < (day := schedule.cycle_date(terms, last)):
        yield CredentialWarning(
            code="expires_before_last_debit", detail=f"the card expires on {expiry}, before the last debit of {day}"
        )


def refuse_reuse(
    found: OnFile, *, gateway: str, account_id: str, payment_method: str, in_use: bool, now: datetime
) -> str | None:
    """Why another agreement cannot begin with a credential its customer gave before, in plain words; None if it can.

    `in_use`: an agreement that has not ended is charged with it.
    """
    if gateway in _TIED_TO_THE_AGREEMENT:
        return (
            f"{gateway} ties a credential to the agreement it was given for: leave it out, and the customer agrees anew"
        )
    if (found.gateway, found.account_id) != (gateway, account_id):
        return f"it was given through {found.gateway}, by which {gateway} cannot debit it"
    if found.payment_method != payment_method:
        return f"it was given for {found.payment_method}, not for {payment_method}"
    if found.status not in (("active", "kept") if in_use else ("active",)):
        return "it was replaced or released: the customer must give another one"
    card_until = last_day(found.expiry_month, found.expiry_year)
    if card_until is not None and card_until < schedule.today("UTC", now):
        return f"the card expired on {card_until}"
    if not usable(found.token_expires_at, now) and not _refreshable(found, now):
        return "it has expired"
    return None


def _refreshable(found: OnFile, now: datetime) -> bool:
    return found.refresh_at is not None and usable(found.refresh_expires_at, now)
