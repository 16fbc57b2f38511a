"""Reading what Antom sent: exactly, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.money import Money
from gateways.antom import messages
from gateways.antom.messages import Message
from tests.gateways.antom_fixtures import result


def message(body: dict[str, Any]) -> Message:
    return messages.read(json.dumps(body).encode())


@given(st.binary(max_size=200))
def test_reading_garbage_ends_in_unreadable_and_nothing_else(body: bytes) -> None:
    with pytest.raises(messages.Unreadable):
        messages.read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"result":"S"}',
        b'{"result":{"resultStatus":"S"}}',
        b'{"result":{"resultStatus":"Q","resultCode":"SUCCESS"}}',
        b'{"result":{"resultStatus":"S","resultCode":"SUCCESS juan@example.com"}}',
    ],
)
def test_bodies_without_a_well_formed_result_are_unreadable(body: bytes) -> None:
    with pytest.raises(messages.Unreadable):
        messages.read(body)


@pytest.mark.parametrize(
    ("amount", "money"),
    [
        ({"currency": "IDR", "value": "3000000"}, Money(currency="IDR", value=3000000)),
        ({"currency": "JPY", "value": 500}, Money(currency="JPY", value=500)),
        ({"currency": "PHP", "value": "0"}, None),
        ({"currency": "PHP", "value": "-1"}, None),
        ({"currency": "PHP", "value": "1.5"}, None),
        ({"currency": "PHP", "value": 1.5}, None),
        ({"currency": "PHP", "value": True}, None),
        ({"currency": "PHP", "value": "٣"}, None),
        ({"currency": "PHP", "value": "1" * 17}, None),
        ({"currency": "XXX", "value": "1"}, None),
        ({"value": "1"}, None),
        ("PHP 1", None),
    ],
)
def test_amounts_are_read_exactly_or_not_at_all(amount: object, money: Money | None) -> None:
    assert message(result(paymentAmount=amount)).money("paymentAmount") == money


@pytest.mark.parametrize("text", ["", "a\x00b", "a\nb", "a" * 65, 5, None])
def test_identifiers_that_could_hurt_the_ledger_are_dropped(text: object) -> None:
    assert message(result(paymentId=text)).text("paymentId") is None
