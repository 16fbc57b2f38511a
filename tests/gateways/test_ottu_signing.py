"""Ottu's signature against the worked vectors of gateways/ottu.md §7.3 and §7.4."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.ottu.signing import EXTENDED, STANDARD, BadSignature, sign, sign_extended, verify

LOCAL = "local-sandbox-hmac-key"
V1: dict[str, Any] = {
    "agreement": {"id": "AGR-0042", "type": "recurring"},
    "amount": "12.500",
    "currency_code": "KWD",
    "customer_email": "noor@example.test",
    "customer_first_name": "Noor",
    "customer_id": "cust_7781",
    "customer_phone": "",
    "gateway_account": "mpgs-kwd",
    "gateway_name": "mpgs",
    "order_no": "INV-2026-11-0042",
    "payment_type": "auto_debit",
    "reference_number": "sandboxQ7K2M",
    "result": "success",
    "session_id": "3f1c0a9be27d4b6f8a5d90c1e4b7723a6d58f0e1",
    "state": "paid",
    "token": {"token": "9400112233445566", "pg_code": "mpgs-kwd", "customer_id": "cust_7781"},
}
DECLINED = V1 | {"result": "failed", "state": "attempted"}
OPERATION = {
    "amount": "12.500",
    "operation": "refund",
    "order_no": "INV-2026-11-0042",
    "pg_code": "mpgs-kwd",
    "reference_number": "sandboxR9T4W",
    "result": "success",
    "session_id": "3f1c0a9be27d4b6f8a5d90c1e4b7723a6d58f0e1",
    "txn": {"amount": "12.500", "currency_code": "KWD", "order_no": "", "state": "refunded"},
}
PUBLISHED = {"amount": "86.000", "currency_code": "KWD", "customer_first_name": "example-customer"}
GOLDEN = {"amount": "100.000", "result": "success", "session_id": "sess-1", "token": {"token": "tok-1"}, "state": ""}


@pytest.mark.parametrize(
    ("message", "key", "digest"),
    [
        (PUBLISHED, "pu9MpX3yPR", "6143b8ad4bd283540721ab000f6de746e722231aaaa90bc38f639081d3ff9f67"),
        (V1, LOCAL, "6ec823061d7e3fdb9a5dad042f239bbc2c899d209eba95dd91f7c20e2195adb3"),
        (DECLINED, LOCAL, "0e1dad1f19273a8da6863b15a3b975a5c91baf8c748b6085cd0255f745a35fae"),
        (OPERATION, LOCAL, "382acf2e69ab1b15d3d2e453f262c5e23449f36e9cedcbe5c92cf5255a26a16c"),
    ],
    ids=["published by Ottu", "V1", "V1 declined", "operation"],
)
def test_the_standard_signature_has_the_vectors_digest(message: dict[str, Any], key: str, digest: str) -> None:
    assert sign(message, key) == digest


@pytest.mark.parametrize(
    ("message", "key", "digest"),
    [
        (GOLDEN, "test-key", "46ba93a62680c8750567583bb8074e37ccaadc6f374268b78a0c574c8424baff"),
        (V1, LOCAL, "69070d19810557b063709084a4c666529b8c8702c98581cbe731e121b05f74b9"),
        (DECLINED, LOCAL, "bd06088450916af624bbf36903a074c476c3077422cda0ee62d200047eaed610"),
    ],
    ids=["golden vector of the SDK", "V1", "V1 declined"],
)
def test_the_extended_signature_has_the_vectors_digest(message: dict[str, Any], key: str, digest: str) -> None:
    assert sign_extended(message, key) == digest


def test_the_lists_are_those_of_the_note() -> None:
    assert len(STANDARD) == 18
    assert len(EXTENDED) == 26
    assert list(STANDARD) == sorted(STANDARD)


@pytest.mark.parametrize("signer", [sign, sign_extended])
def test_either_signature_is_accepted(signer: Any) -> None:
    verify(V1 | {"signature": signer(V1, LOCAL)}, LOCAL)


@pytest.mark.parametrize("signature", [None, "", 7, "é", "0" * 64])
def test_anything_else_is_refused(signature: object) -> None:
    with pytest.raises(BadSignature):
        verify(V1 | {"signature": signature}, LOCAL)


@pytest.mark.parametrize("change", [{"amount": "12.50"}, {"state": "attempted"}, {"order_no": "INV-2026-11-0043"}])
def test_a_changed_field_is_noticed(change: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        verify(V1 | {"signature": sign(V1, LOCAL)} | change, LOCAL)


def test_the_token_is_covered_by_the_extended_signature_only() -> None:
    other = V1 | {"token": V1["token"] | {"token": "9400112233445567"}}
    verify(other | {"signature": sign(V1, LOCAL)}, LOCAL)
    with pytest.raises(BadSignature):
        verify(other | {"signature": sign_extended(V1, LOCAL)}, LOCAL)


@given(st.sampled_from(EXTENDED), st.sampled_from([None, ""]))
def test_a_field_that_is_empty_counts_as_missing(path: str, empty: str | None) -> None:
    message: dict[str, Any] = {"amount": "1.000"}
    outer, _, inner = path.partition(".")
    message[outer] = {inner: empty} if inner else empty
    rest = {} if outer == "amount" else {"amount": "1.000"}
    assert sign_extended(message, LOCAL) == sign_extended(rest, LOCAL)
