"""A payment as Ottu tells it: the body of webhooks, auto-debit answers and inquiries (gateways/ottu.md §3.2, §10)."""

from __future__ import annotations

import zlib
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from gateways.ottu.signing import sign, sign_extended
from sandbox.ottu.formats import day_first, major, timestamp
from sandbox.ottu.mids import MIDS, Mid
from sandbox.ottu.scripts import Reply, Result
from sandbox.ottu.settings import Instance
from sandbox.ottu.state import (
    Attempt,
    Card,
    Merchant,
    Operation,
    Transaction,
    agreements_of,
    cards_of,
    operations_of,
    reference_number,
)

Body = dict[str, Any]

SOON = timedelta(days=30)
"""Invented: how long before its end a card `will_expire_soon`."""
COUNTED = ("paid_amount", "settled_amount", "remaining_amount", "refunded_amount", "voided_amount")
"""Fields that come as text or as numbers, depending on the version."""
OMITTED = ("amount_details", "card_acceptance_criteria", "fee", "gateway_response", "initiator", "pg_params")
"""Fields the specification calls required and samples leave out."""
SUCCEEDED = frozenset({"paid", "authorized"})


def payment(session: Session, merchant: Merchant, txn: Transaction, attempt: Attempt, now: datetime) -> Body:
    """A transaction with one of its attempts, signed."""
    given, instance, mid = txn.given, merchant.instance, MIDS[attempt.pg_code]
    body = {
        **_echoed(given),
        **_address(given.get("billing_address") or {}),
        **_money(txn, operations_of(session, txn), attempt),
        "agreement": agreement(given, instance, first=False),
        "gateway_account": mid.code,
        "gateway_name": mid.pg,
        "gateway_response": _gateway_response(attempt.said),
        "initiator": {},
        "is_sandbox": True,
        "message": attempt.said.message or None,
        "pg_params": _pg_params(attempt, mid, instance),
        "reference_number": attempt.reference_number,
        "result": attempt.said.result.value,
        "session_id": txn.session_id,
        "state": txn.state,
        "timestamp_utc": timestamp(attempt.told) if attempt.said.result is Result.SUCCESS else None,
        "token": _token(session, merchant, attempt, now),
    }
    return signed(merchant, _shaped(body, instance))


def overtaken(merchant: Merchant, body: Body) -> Body:
    """What an earlier attempt at the same payment, one that came to nothing, was told as."""
    only_after_success = ("paid_amount", "settled_amount", "timestamp_utc", "token", "signature")
    return signed(
        merchant,
        {name: value for name, value in body.items() if name not in only_after_success}
        | {
            "gateway_response": {},
            "message": "Unknown Error",
            "pg_params": {},
            "reference_number": reference_number(),
            "remaining_amount": body["amount"],
            "result": Result.ERROR.value,
            "state": "attempted",
        },
    )


def signed(merchant: Merchant, body: Body) -> Body:
    """The body with the signature the merchant's instance makes."""
    make = sign_extended if merchant.instance.signature == "extended" else sign
    return body | {"signature": make(body, merchant.hmac_key)}


def agreement(given: Body, instance: Instance, *, first: bool) -> Body | None:
    """The agreement as the Checkout API (`first`) or a payment spells it."""
    terms: Body | None = given.get("agreement")
    if terms is None or not (instance.dates == "day_first" or (instance.dates == "documented" and first)):
        return terms
    dates = {
        name: day_first(date.fromisoformat(terms[name])) for name in ("start_date", "expiry_date") if name in terms
    }
    return terms | dates


def card(
    session: Session, merchant: Merchant, row: Card, now: datetime, *, listed: bool, preferred: bool = True
) -> Body:
    """A card in the list of cards (`listed`), or as the token of a payment."""
    gateway_field = merchant.instance.card_gateway_field or ("pg_name" if listed else "pg")
    return {
        "brand": row.brand,
        "customer_id": row.customer_id,
        "cvv_required": True,
        "expiry_month": f"{row.expiry_month:02d}",
        "expiry_year": f"{row.expiry_year % 100:02d}",
        "is_expired": now >= row.expires_at,
        "will_expire_soon": now < row.expires_at <= now + SOON,
        "is_preferred": preferred,
        "name_on_card": row.name,
        "number": f"**** {row.number[-4:]}",
        "pg_code": row.pg_code,
        gateway_field: MIDS[row.pg_code].pg,
        "token": row.token,
        "agreements": agreements_of(session, row),
    }


def _token(session: Session, merchant: Merchant, attempt: Attempt, now: datetime) -> Body | None:
    row = session.get(Card, attempt.card_id) if attempt.card_id else None
    if row is None or attempt.said.result is not Result.SUCCESS:
        return None
    newest = cards_of(session, merchant.merchant_id, row.customer_id)[:1]
    return card(session, merchant, row, now, listed=False, preferred=[row] == newest)


def _echoed(given: Body) -> Body:
    names = (
        "card_acceptance_criteria",
        "currency_code",
        "customer_email",
        "customer_first_name",
        "customer_id",
        "customer_last_name",
        "customer_phone",
        "extra",
        "order_no",
        "payment_type",
    )
    return {name: given.get(name) for name in names}


def _address(address: Body) -> Body:
    return {f"customer_address_{name}": value for name, value in address.items()}


def _money(txn: Transaction, operations: list[Operation], attempt: Attempt) -> Body:
    currency, total = txn.currency, major(txn.amount, txn.currency)
    taken = txn.state in SUCCEEDED
    paid = attempt.said.result is Result.SUCCESS

    def of(*states: str) -> str | None:
        units = sum(child.amount for child in operations if child.state in states)
        return major(units, currency) if units else None

    return {
        "amount": total,
        "amount_details": {"currency_code": currency, "amount": total, "total": total, "fee": major(0, currency)},
        "fee": f"{major(0, currency)} {currency}",
        "paid_amount": (total if txn.state == "paid" else of("paid")) if paid else None,
        "settled_amount": total if paid else None,
        "remaining_amount": None if taken else total,
        "refunded_amount": of("refunded"),
        "voided_amount": of("voided"),
        "transactions": [child(txn, operation) for operation in operations] or None,
    }


def child(txn: Transaction, operation: Operation) -> Body:
    """An operation as the child transaction that it is."""
    return {
        "amount": major(operation.amount, txn.currency),
        "currency_code": txn.currency,
        "order_no": "",
        "session_id": operation.session_id,
        "state": operation.state,
    }


def _gateway_response(said: Reply) -> Body:
    if not said.code:
        return {}
    word = {Result.SUCCESS: "SUCCESS", Result.PENDING: "PENDING"}.get(said.result, "FAILURE")
    response = {"gatewayCode": said.code, "acquirerCode": said.acquirer_code}
    return {"result": word, "response": {name: value for name, value in response.items() if value}}


def _pg_params(attempt: Attempt, mid: Mid, instance: Instance) -> Body | str:
    said, params = attempt.said, {}
    if said.result is Result.SUCCESS:
        number = attempt.card_number or ""
        code = zlib.crc32(attempt.reference_number.encode())
        params = {
            "auth_code": f"A{code % 100_000:05d}",
            "result": "CAPTURED" if mid.operation == "purchase" else "APPROVED",
            "rrn": f"{code:012d}",
            "card_number": f"{number[:6]}xxxxxx{number[-4:]}",
            "transaction_id": "1",
        }
    elif said.code and said.result is not Result.PENDING:
        params = {"result": "DECLINED", "pg_message": said.message}
    if instance.pg_params == "text":
        return "pg_params"
    if instance.pg_params == "flat":
        return params
    return {
        name: {"value": value, "verbose_name_en": name.replace("_", " ").title(), "verbose_name_ar": name}
        for name, value in params.items()
    }


def _shaped(body: Body, instance: Instance) -> Body:
    """The body without what it lacks, in the merchant's version's form."""
    shaped = {name: value for name, value in body.items() if value is not None}
    if instance.sparse:
        shaped = {name: value for name, value in shaped.items() if name not in OMITTED}
    if instance.amounts == "numbers":
        shaped |= {name: float(shaped[name]) for name in COUNTED if name in shaped}
    if instance.unknown_fields:
        shaped |= {"loyalty_hint": {"points": [1, None]}}
    return shaped
