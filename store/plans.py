"""What an agreement's instants are computed from, read from its row and the rulebook."""

from __future__ import annotations

from datetime import date, datetime

from agreements import rulebook, schedule
from agreements.schedule import ForbiddenWindow, Plan
from agreements.terms import Terms
from store.tables import Agreement


def of(agreement: Agreement, terms: Terms, now: datetime) -> Plan:
    """The plan by the rulebook's word of the day: the forbidden hours of the rail the payment method runs on."""
    on = schedule.today(terms.timezone, now)
    return Plan(terms, agreement.id, windows(agreement.gateway, agreement.payment_method, on))


def windows(gateway: str, payment_method: str, on: date) -> tuple[ForbiddenWindow, ...]:
    """The hours in which a payment method takes no debits, as of a day."""
    rail = rulebook.current().rail(gateway, payment_method, on)
    return rail.windows if rail else ()
