"""The terms, enforced before a provider is called (design promise 3)."""

from __future__ import annotations

from datetime import datetime, timedelta

from agreements import schedule
from agreements.money import Money
from agreements.terms import AmountVariability, Terms


def refusal(terms: Terms, amount: Money, number: int | None, now: datetime, currency: str | None = None) -> str | None:
    """Why this debit would break the terms, as a short code; None when it keeps them.

    `number` says which of `total_cycles` it is, `currency` what the first amount fixed where the terms name none.
    Checked when an attempt is prepared and again when it is sent. The gap between scheduled cycles is a matter of their
    due dates, settled when the agreement was made.
    """
    consented = terms.amount
    if amount.currency != (consented.currency if consented else currency or amount.currency):
        return "currency_not_consented"
    if terms.amount_variability is AmountVariability.FIXED and consented is not None and amount != consented:
        return "amount_not_consented"
    if terms.max_amount_per_cycle is not None and amount.value > terms.max_amount_per_cycle:
        return "above_cap"
    if terms.start_date is not None and schedule.today(terms.timezone, now) < terms.start_date:
        return "before_start"
    ends_at = schedule.ends_at(terms)
    if ends_at is not None and now >= ends_at:
        return "after_expiry"
    if number is not None and terms.total_cycles is not None and number > terms.total_cycles:
        return "too_many_cycles"
    return None


def may_carry(terms: Terms, unpaid: Money, coming: int | None) -> bool:
    """Whether a cycle of `coming` minor units may take an unpaid amount in: variable amounts only, up to the cap."""
    variable = terms.amount_variability is AmountVariability.VARIABLE
    cap = terms.max_amount_per_cycle
    return variable and coming is not None and (cap is None or unpaid.value + coming <= cap)


def catch_up_at(terms: Terms, last_success: datetime | None, now: datetime) -> datetime:
    """When a missed cycle may be collected: now, or the minimum gap after the last success."""
    if last_success is None or terms.cycle_interval_days is None:
        return now
    return max(now, last_success + timedelta(days=terms.cycle_interval_days))


def too_late(terms: Terms, due_at: datetime, now: datetime) -> bool:
    """Whether a cycle that was never tried is past the catch-up limit and is skipped (payment-rules §3.2 rule 9)."""
    return now - due_at > schedule.catch_up_limit(terms)
