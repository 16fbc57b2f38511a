"""Whether an amount somebody names for a debit fits what the payer consented to and what the payment method takes.

The gate asks `agreements/enforcement.py` again before every call; here the merchant hears early, and which field it is.
"""

from __future__ import annotations

from typing import NamedTuple

from agreements import catalog
from agreements.catalog import PaymentMethod
from agreements.money import Money
from agreements.terms import AmountVariability, Terms


class AmountProblem(NamedTuple):
    """Why an amount is refused. `pointer` is a JSON pointer (RFC 6901) relative to the amount."""

    pointer: str
    detail: str


def currency_of(terms: Terms, first: str | None) -> str | None:
    """The one currency an agreement is debited in: that of the terms' amount, else that of its first amount (`first`).

    None while nobody has named an amount.
    """
    return terms.amount.currency if terms.amount else first


def problem(terms: Terms, money: Money, currency: str | None, method: PaymentMethod | None) -> AmountProblem | None:
    """What speaks against debiting `money`; None if nothing does. `currency` is `currency_of` the agreement."""
    if currency is not None and money.currency != currency:
        return AmountProblem("/currency", f"the agreement is debited in {currency} only, not {money.currency}")
    if method and (refused := catalog.refuse(method, money)):
        return AmountProblem("/value" if money.currency == method.currency else "/currency", refused)
    if terms.amount_variability is AmountVariability.FIXED and terms.amount not in (None, money):
        return AmountProblem("/value", f"the payer agreed to {terms.amount} each time, not {money}")
    cap = terms.max_amount_per_cycle
    if cap is not None and money.value > cap:
        most = Money(currency=money.currency, value=cap)
        return AmountProblem("/value", f"the payer agreed to {most} at most, not {money}")
    return None
