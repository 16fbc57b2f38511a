"""The re-consent table: which terms may change how without asking the payer again, and why the rest may not.

What takes less from the payer than was agreed is allowed; what widens the agreement or moves its debits needs a new
authorization: raising the agreed amount needs strong customer authentication (payment-rules §2.5), and providers have
no call that changes an agreement (gateways/ottu.md §2.2, where amounts may differ only when variable).
`docs/amendments.md` is the same as a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from agreements.amounts import currency_of
from agreements.terms import AmountVariability, Terms

_Keeps = Callable[[Terms, Terms, str | None], bool]
"""Whether the terms after keep to the terms before, given the agreement's currency."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`allowed` is what may be done to a field at any time, `otherwise` why anything else needs a new authorization."""

    allowed: str
    otherwise: str
    keeps: _Keeps


class Needed(NamedTuple):
    """A change that only a new authorization allows. `pointer` is a JSON pointer (RFC 6901) relative to the terms."""

    pointer: str
    reason: str


def _amount(before: Terms, after: Terms, currency: str | None) -> bool:
    if before.amount_variability is AmountVariability.FIXED:
        return False
    if after.amount is None:
        return True
    consented, cap = currency_of(before, currency), before.max_amount_per_cycle
    return after.amount.currency == (consented or after.amount.currency) and (cap is None or after.amount.value <= cap)


def _only_smaller(field: str) -> _Keeps:
    def keeps(before: Terms, after: Terms, _: str | None) -> bool:
        old, new = getattr(before, field), getattr(after, field)
        return new is not None and (old is None or new <= old)

    return keeps


def _never(before: Terms, after: Terms, currency: str | None) -> bool:
    return False


def _fixed(otherwise: str) -> Rule:
    return Rule("nothing", otherwise, _never)


_OTHER_DAYS = "it moves debits to days the payer did not agree to"
_OTHER_AGREEMENT = "it makes another agreement of it"

TABLE: Mapping[str, Rule] = {
    "amount": Rule(
        "where variable: any amount up to the cap in the same currency, or none",
        "a fixed amount, an amount above the cap or another currency was not agreed to",
        _amount,
    ),
    "max_amount_per_cycle": Rule(
        "a lower cap", "the payer agreed to this much at most", _only_smaller("max_amount_per_cycle")
    ),
    "expiry_date": Rule("an earlier date", "the payer agreed to be debited until then", _only_smaller("expiry_date")),
    "total_cycles": Rule("fewer cycles", "the payer agreed to this many debits", _only_smaller("total_cycles")),
    "type": _fixed(_OTHER_AGREEMENT),
    "amount_variability": _fixed(_OTHER_AGREEMENT),
    "frequency": _fixed(_OTHER_DAYS),
    "cycle_interval_days": _fixed("the payer agreed to this many days between debits"),
    "payment_processing_day": _fixed(_OTHER_DAYS),
    "start_date": _fixed(_OTHER_DAYS),
    "timezone": _fixed(_OTHER_DAYS),
    "debit_time": _fixed("it moves debits to an hour the payer does not expect"),
    "debit_window_minutes": _fixed("it moves debits to an hour the payer does not expect"),
    "business_days": _fixed(_OTHER_DAYS),
    "catch_up": _fixed("it decides when and with how much a missed debit is made up for"),
    "seller": _fixed("the payer's bank knows the agreement under this seller"),
}
"""Every field of the terms."""


def changed(before: Terms, after: Terms) -> list[str]:
    """The fields that are not the same."""
    return [field for field in TABLE if getattr(before, field) != getattr(after, field)]


def needed(before: Terms, after: Terms, currency: str | None) -> list[Needed]:
    """What of a change of terms needs a new authorization; [] when the payer need not be asked.

    `currency` is what the first amount fixed where the terms name none.
    """
    return [
        Needed(f"/{field}", TABLE[field].otherwise)
        for field in changed(before, after)
        if not TABLE[field].keeps(before, after, currency)
    ]
