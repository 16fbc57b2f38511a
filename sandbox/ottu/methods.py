"""The Payment Methods API (gateways/ottu.md §9)."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from sandbox.ottu.answers import Answer, Call, Refused, field_errors
from sandbox.ottu.messages import MethodsRequest
from sandbox.ottu.mids import MIDS, Mid
from sandbox.ottu.state import cards_of


def list_methods(call: Call) -> Answer:
    """The gateway accounts that fit the filters and that the caller may use."""
    try:
        request = MethodsRequest.model_validate(call.body)
    except ValidationError as error:
        raise Refused(400, field_errors(error)) from error
    codes = [mid.code for mid in MIDS.values() if _fits(mid, request) and _may_use(call, mid)]
    mine = codes
    if request.customer_id is not None:
        cards = cards_of(call.session, call.merchant.merchant_id, request.customer_id)
        held = {card.pg_code for card in cards}
        mine = [code for code in codes if code in held]
    methods = [_shown(MIDS[code], call.base_url) for code in codes]
    return Answer(200, {"customer_payment_methods": mine, "payment_methods": methods})


def _fits(mid: Mid, request: MethodsRequest) -> bool:
    return all(
        (
            request.type != "production",
            request.currencies is None or set(request.currencies) & set(mid.currencies),
            request.operation in (None, mid.operation),
            request.auto_debit in (None, mid.auto_debit),
            request.tokenizable in (None, mid.tokenizable),
            request.pg_names is None or mid.pg in request.pg_names,
            request.tags is None or set(request.tags) & set(mid.tags),
            not request.payment_services,
        )
    )


def _may_use(call: Call, mid: Mid) -> bool:
    return call.user is None or f"Can use {mid.code}" in call.user.permissions


def _shown(mid: Mid, base_url: str) -> dict[str, Any]:
    return {
        "code": mid.code,
        "name": mid.name,
        "pg": mid.pg.upper(),
        "is_sandbox": True,
        "logo": f"{base_url}/static/card.png",
        "wallets": [],
        "payment_services": [],
        "default_currency": mid.currency,
        "accepted_currencies": list(mid.currencies),
        "operation": mid.operation,
        "operations": list(mid.operations),
        "is_tokenizable": mid.tokenizable,
        "auto_debit_enabled": mid.auto_debit,
        "tags": list(mid.tags),
    }
