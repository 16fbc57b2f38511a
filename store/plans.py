"""What an agreement's instants are computed from, read from its row and the rulebook."""

from __future__ import annotations

from datetime import datetime

from agreements import rulebook, schedule
from agreements.schedule import Plan
from agreements.terms import Terms
from store.tables import Agreement


def of(agreement: Agreement, terms: Terms, now: datetime) -> Plan:
    """The plan by the rulebook's word of the day: the forbidden hours of the rail the payment method runs on."""
    on = schedule.today(terms.timezone, now)
    rail = rulebook.current().rail(agreement.gateway, agreement.payment_method, on)
    return Plan(terms, agreement.id, rail.windows if rail else ())
