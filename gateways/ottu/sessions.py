"""What we ask Ottu for: sessions with their agreement, and operations. Source: gateways/ottu.md §2, §3, §8."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from agreements import catalog, schedule
from agreements.money import Money
from agreements.terms import AgreementType, Terms
from gateways.ottu import keys
from gateways.ottu.messages import decimal_text
from gateways.port import Account, AuthorizationRequest, ChargeRequest, RefundRequest

CREATE = "/b/checkout/v1/pymt-txn/"
AUTO_DEBIT = "/b/pbl/v2/auto-debit/"
INQUIRY = "/b/pbl/v2/inquiry/"
OPERATION = "/b/pbl/v2/operation/"
CARDS = "/b/pbl/v2/card/"

PAGE_LIFE = timedelta(hours=1)
"""How long the customer's page can be used; a day if we did not say so."""

_ORDER_NO = 37
"""Characters; what MPGS takes of the 128."""
_CUSTOMER_ID = 64
_CARD_VALID = (30, 365)
"""Days: Ottu's own default, and the most it takes."""


class Incomplete(Exception):
    """The request lacks what a session at Ottu needs."""


def session_path(handle: str) -> str:
    """Where a session is retrieved."""
    return f"{CREATE}{quote(handle, safe='')}/"


def card_path(account: Account, token: str, customer_id: str) -> str:
    """Where a card is deleted."""
    query = urlencode({"customer_id": customer(customer_id), "type": keys.card_type(account)})
    return f"{CARDS}{quote(token, safe='')}/?{query}"


def order_no(request_id: str) -> str:
    """Our request id as Ottu gets it: itself, or if it is too long its beginning and a digest."""
    return _shortened(request_id, _ORDER_NO)


def customer(customer_id: str) -> str:
    """The merchant's customer id as Ottu gets it."""
    return _shortened(customer_id, _CUSTOMER_ID)


def first_payment(account: Account, request: AuthorizationRequest, now: datetime) -> dict[str, Any]:
    """The session in which the customer pays and agrees. Raises Incomplete.

    Without an amount owed the card is verified by a small payment: a saved card has no agreement, and neither an
    agreement without a payment nor one of nothing is documented (gateways/ottu.md §5).
    """
    payment, payer, terms = request.payment, request.payer, request.terms
    if payment is None or payer is None or terms is None or not request.agreement_id:
        raise Incomplete
    amount = payment.amount or _verification(request)
    body = _session(account, keys.pg_code(account, request.payment_method), amount, payment.request_id)
    body |= {
        "customer_id": customer(payer.id),
        "agreement": agreement(request.agreement_id, terms, amount.currency),
        "card_acceptance_criteria": {"min_expiry_time": card_valid_for(terms, now)},
        "webhook_url": request.notify_url,
        "redirect_url": _returning(request.return_url, request.state),
        "expiration_time": _lasting(PAGE_LIFE),
        "extra": {
            "request_id": payment.request_id,
            "order_reference": payment.order_id,
            "authorization_state": request.state,
        },
    }
    known = {"customer_first_name": payer.name and payer.name[:64].strip()}
    if payer.email and len(payer.email) <= 128:
        known["customer_email"] = payer.email
    if payer.phone and len(payer.phone) <= 16:
        known["customer_phone"] = payer.phone
    return body | {name: value for name, value in known.items() if value}


def debit(account: Account, request: ChargeRequest) -> dict[str, Any]:
    """The session of a debit without the customer: the same agreement, and the gateway that holds the card. Raises
    Incomplete.
    """
    if request.terms is None or not request.agreement_id:
        raise Incomplete
    pg_code = request.token_reference or keys.pg_code(account, request.payment_method)
    return _session(account, pg_code, request.amount, request.request_id) | {
        "customer_id": customer(request.customer_id),
        "agreement": agreement(request.agreement_id, request.terms, request.amount.currency),
        "webhook_url": request.notify_url,
        "extra": {"request_id": request.request_id, "order_reference": request.order_id},
    }


def agreement(agreement_id: str, terms: Terms, currency: str) -> dict[str, Any]:
    """The agreement as every session of it carries it. For unscheduled ones nothing else is permitted.

    Dates are sent day first. A month's last day has no name at Ottu, which needs none (gateways/ottu.md §2.2).
    """
    if terms.type is AgreementType.UNSCHEDULED:
        return {"id": agreement_id, "type": terms.type.value, "frequency": "irregular"}
    cap, day = terms.max_amount_per_cycle, terms.payment_processing_day
    fields = {
        "id": agreement_id,
        "type": terms.type.value,
        "amount_variability": terms.amount_variability.value,
        "start_date": terms.start_date and _day_first(terms.start_date),
        "expiry_date": terms.expiry_date and _day_first(terms.expiry_date),
        "max_amount_per_cycle": decimal_text(Money(currency=currency, value=cap)) if cap else None,
        "cycle_interval_days": terms.cycle_interval_days,
        "total_cycles": terms.total_cycles,
        "frequency": terms.frequency and terms.frequency.value,
        "seller": terms.seller and terms.seller.model_dump(exclude_none=True),
        "extra_params": {"payment_processing_day": day} if isinstance(day, int) else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def card_valid_for(terms: Terms, now: datetime) -> int:
    """Days for which a card must still be valid: until the last debit, within what Ottu takes."""
    least, most = _CARD_VALID
    last = schedule.last_cycle(schedule.Plan(terms)) if terms.start_date else None
    ends = [terms.expiry_date] if terms.expiry_date else []
    if last:
        ends.append(schedule.cycle_date(terms, last))
    today = schedule.today(terms.timezone, now)
    return max(least, min(most, *((end - today).days for end in ends))) if ends else least


def cancel(request_id: str, handle: str | None) -> dict[str, Any]:
    """The operation that closes a session for good; without its handle the newest of the order number."""
    which = {"session_id": handle} if handle else {"order_no": order_no(request_id)}
    return {"operation": "cancel", **which}


def void(handle: str) -> dict[str, Any]:
    """The operation that lets go what was only reserved."""
    return {"operation": "void", "session_id": handle}


def refund(request: RefundRequest) -> dict[str, Any]:
    """The operation that gives money back; its tracking key is the request id."""
    return {"operation": "refund", "session_id": request.payment_id, "amount": decimal_text(request.amount)}


def _session(account: Account, pg_code: str, amount: Money, request_id: str) -> dict[str, Any]:
    return {
        "type": keys.plugin(account),
        "payment_type": "auto_debit",
        "amount": decimal_text(amount),
        "currency_code": amount.currency,
        "pg_codes": [pg_code],
        "order_no": order_no(request_id),
    }


def _verification(request: AuthorizationRequest) -> Money:
    entry = catalog.method("ottu", request.payment_method)
    if entry is None or entry.verification is None:
        raise Incomplete
    return Money(currency=entry.currency, value=entry.verification)


def _returning(url: str, state: str) -> str:
    """The customer's way back, which tells us whose session it was; Ottu adds which one."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode({'state': state})}"


def _shortened(value: str, limit: int) -> str:
    if len(value) <= limit:
        return value
    digest = hashlib.sha256(value.encode()).hexdigest()[:16]
    return f"{value[: limit - 17]}-{digest}"


def _lasting(life: timedelta) -> str:
    """As Ottu writes it (gateways/ottu.md §1.5): days, then hours, minutes and seconds."""
    minutes, seconds = divmod(life.seconds, 60)
    return f"{life.days} {minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def _day_first(day: date) -> str:
    return f"{day:%d/%m}/{day.year:04}"
