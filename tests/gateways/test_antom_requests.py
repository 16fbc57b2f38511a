"""Requests as Antom's documentation wants them."""

from __future__ import annotations

import json
from typing import Any

import httpx

from gateways.antom import transformers
from tests.gateways.antom_fixtures import CALL, CHARGE, CONSULT, REFUND, account, answer, connector, result


def test_pay_is_written_as_the_documentation_wants_it() -> None:
    assert transformers.pay(CHARGE, {"settlement_currency": "USD", "merchant_region": "SG"}) == {
        "productCode": "AGREEMENT_PAYMENT",
        "paymentRequestId": "att_1",
        "order": {
            "referenceOrderId": "chg_1",
            "orderDescription": "Monthly plan, August",
            "orderAmount": {"currency": "PHP", "value": "49900"},
            "buyer": {"referenceBuyerId": "cus-7"},
        },
        "paymentAmount": {"currency": "PHP", "value": "49900"},
        "paymentMethod": {"paymentMethodType": "GCASH", "paymentMethodId": "at_secret"},
        "settlementStrategy": {"settlementCurrency": "USD"},
        "env": {"terminalType": "WEB"},
        "paymentNotifyUrl": "https://engine.example/notifications/antom/gwa_1",
        "merchantRegion": "SG",
    }
    assert not {"settlementStrategy", "merchantRegion", "paymentExpiryTime"} & transformers.pay(CHARGE, {}).keys()


async def test_every_scalar_on_the_wire_is_a_string_that_says_something() -> None:
    bodies: list[Any] = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return answer(request.url.path, json.dumps(result()).encode())

    antom, at = connector(handler), account()
    await antom.authorize(at, CONSULT, CALL)
    await antom.exchange(at, "GCASH", "ac", CALL)
    await antom.refresh(at, "GCASH", "rt", CALL)
    await antom.charge(at, CHARGE, CALL)
    await antom.inquire(at, "att_1", CALL)
    await antom.cancel(at, "att_1", CALL)
    await antom.refund(at, REFUND, CALL)
    await antom.inquire_refund(at, "rfd_1", CALL)
    await antom.revoke(at, "at", CALL)

    def scalars(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for inner in value.values() for leaf in scalars(inner)]
        return [leaf for inner in value for leaf in scalars(inner)] if isinstance(value, list) else [value]

    assert len(bodies) == 9
    assert all(isinstance(leaf, str) and leaf for leaf in scalars(bodies))
