"""The Checkout API: create, retrieve and update payment transactions (gateways/ottu.md §2)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from sandbox.ottu.answers import Answer, Call, Refused, failed, field_errors, not_found
from sandbox.ottu.debits import Debits
from sandbox.ottu.formats import due, major
from sandbox.ottu.messages import CheckoutRequest, contradictions
from sandbox.ottu.mids import MIDS
from sandbox.ottu.payments import Payments
from sandbox.ottu.results import agreement
from sandbox.ottu.state import PAYABLE, Link, Merchant, Transaction, session_id, transaction_of

DEFAULT_MIN_EXPIRY = {"min_expiry_time": 30}
"""Days a card must still be valid, for auto_debit."""
PLUGINS = {"payment_request": "payment requests", "e_commerce": "e-commerce payments"}
"""As permissions call them."""


@dataclass
class Sessions:
    """The life of a payment transaction on the Checkout API."""

    payments: Payments
    debits: Debits

    def create(self, call: Call) -> Answer:
        """A transaction to pay later; with `payment_instrument`, one that is paid at once."""
        request = _checked(call, call.body)
        call.need(f"Can add {PLUGINS[request.type]}")
        _need_gateways(call, request.pg_codes)
        fields = _fields(request)
        txn = Transaction(
            session_id=session_id(),
            merchant_id=call.merchant.merchant_id,
            fields=json.dumps(fields),
            order_no=request.order_no,
            currency=request.currency_code,
            amount=request.units(),
            created=call.moment.now,
            expires_at=call.moment.now + request.expiration_time,
            clock=call.moment.clock,
            base_url=call.base_url,
        )
        call.session.add(txn)
        call.session.flush()
        if request.payment_instrument is not None:
            return self.debits.in_one_step(call, txn, request.payment_instrument)
        self.payments.plan_expiry(call.session, call.moment, txn)
        return Answer(201, shown(call.merchant, txn))

    def retrieve(self, call: Call) -> Answer:
        """A transaction with its state; nothing about its attempts."""
        txn = _own(call)
        call.need(*(f"Can {verb} {PLUGINS[txn.given['type']]}" for verb in ("view", "add", "change")))
        self.payments.lapse(call.session, call.inherit(txn).moment.now, txn, paying=False)
        return Answer(200, shown(call.merchant, txn))

    def replace(self, call: Call) -> Answer:
        """PUT: all fields anew."""
        txn = _own(call)
        _need_gateways(call, txn.given["pg_codes"])
        return self._update(call, txn, call.body)

    def change(self, call: Call) -> Answer:
        """PATCH: the fields sent, checked together with those that stay."""
        txn = _own(call)
        return self._update(call, txn, txn.given | call.body)

    def _update(self, call: Call, txn: Transaction, wanted: dict[str, Any]) -> Answer:
        call = call.inherit(txn)
        call.need(f"Can change {PLUGINS[txn.given['type']]}")
        request = _checked(call, {name: value for name, value in wanted.items() if name != "payment_instrument"})
        if request.pg_codes != txn.given["pg_codes"]:
            _need_gateways(call, request.pg_codes)
        self.payments.lapse(call.session, call.moment.now, txn, paying=False)
        if txn.state not in PAYABLE:
            raise failed("The payment transaction cannot be changed in its current state.")
        txn.fields = json.dumps(_fields(request))
        txn.order_no, txn.currency, txn.amount = request.order_no, request.currency_code, request.units()
        txn.expires_at = txn.created + request.expiration_time
        self.payments.plan_expiry(call.session, call.moment, txn)
        return Answer(200, shown(call.merchant, txn))


def shown(merchant: Merchant, txn: Transaction) -> dict[str, Any]:
    """A transaction as the Checkout API tells it."""
    given = txn.given
    amount = major(txn.amount, txn.currency)
    page = f"{txn.base_url}/b/checkout/redirect/start/?{urlencode({'session_id': txn.session_id})}"
    body = given | {
        "agreement": agreement(given, merchant.instance, first=True),
        "amount": amount,
        "checkout_url": page,
        "due_datetime": given.get("due_datetime") or due(txn.created),
        "operation": MIDS[given["pg_codes"][0]].operation,
        "payment_methods": [_method(txn, code, amount, page) for code in given["pg_codes"]],
        "session_id": txn.session_id,
        "settled_pg_code": txn.settled_pg_code,
        "state": txn.state,
    }
    return {name: value for name, value in body.items() if value is not None}


def _method(txn: Transaction, code: str, amount: str, page: str) -> dict[str, str]:
    mid = MIDS[code]
    return {
        "code": code,
        "name": mid.name,
        "pg": mid.pg.upper(),
        "type": "sandbox",
        "amount": amount,
        "currency_code": txn.currency,
        "fee": major(0, txn.currency),
        "fee_description": "",
        "icon": f"{txn.base_url}/static/card.png",
        "flow": "redirect",
        "redirect_url": f"{page}&{urlencode({'pg_code': code})}",
    }


def _checked(call: Call, fields: dict[str, Any]) -> CheckoutRequest:
    try:
        request = CheckoutRequest.model_validate(fields)
    except ValidationError as error:
        raise Refused(400, field_errors(error)) from error
    if errors := contradictions(request, _known(call, request)):
        raise Refused(400, errors)
    return request


def _known(call: Call, request: CheckoutRequest) -> bool:
    """Whether the agreement has a card already."""
    if request.agreement is None or request.customer_id is None:
        return False
    return call.session.get(Link, (call.merchant.merchant_id, request.customer_id, request.agreement.id)) is not None


def _fields(request: CheckoutRequest) -> dict[str, Any]:
    fields = request.model_dump(mode="json", exclude_none=True)
    if request.payment_type == "auto_debit":
        fields.setdefault("card_acceptance_criteria", DEFAULT_MIN_EXPIRY)
    return fields


def _need_gateways(call: Call, codes: list[str]) -> None:
    for code in codes:
        call.need(f"Can use {code}")


def _own(call: Call) -> Transaction:
    txn = transaction_of(call.session, call.merchant.merchant_id, call.path["session_id"])
    if txn is None:
        raise not_found()
    return txn
