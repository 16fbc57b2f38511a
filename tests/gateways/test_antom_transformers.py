"""Every answer of Antom's note, and every contradictory one, becomes the verdict it deserves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.declines import DeclineCategory
from gateways.antom import codes, messages, transformers
from gateways.antom.messages import Message
from gateways.port import Verdict
from tests.gateways.antom_fixtures import (
    AMOUNT,
    CALL,
    CHARGE,
    CONSULT,
    REFUND,
    account,
    result,
    signed_answers,
)

PAID = {"paymentRequestId": "att_1", "paymentId": "p1", "paymentAmount": {"currency": "PHP", "value": "49900"}}
REFUNDED = {"refundRequestId": "rfd_1", "refundId": "r1", "refundAmount": {"currency": "PHP", "value": "49900"}}


def message(body: dict[str, Any]) -> Message:
    return messages.read(json.dumps(body).encode())


CHARGES = [
    ("SUCCESS", "S", PAID, Verdict.SUCCEEDED, "SUCCESS"),
    ("SUCCESS", "S", {**PAID, "paymentAmount": {"currency": "PHP", "value": 49900}}, Verdict.SUCCEEDED, "SUCCESS"),
    (
        "SUCCESS",
        "S",
        {**PAID, "paymentAmount": {"currency": "PHP", "value": "499"}},
        Verdict.UNKNOWN,
        "amount_mismatch",
    ),
    (
        "SUCCESS",
        "S",
        {**PAID, "paymentAmount": {"currency": "THB", "value": "49900"}},
        Verdict.UNKNOWN,
        "amount_mismatch",
    ),
    (
        "SUCCESS",
        "S",
        {**PAID, "paymentAmount": {"currency": "PHP", "value": "499.00"}},
        Verdict.UNKNOWN,
        "amount_missing",
    ),
    ("SUCCESS", "S", {}, Verdict.UNKNOWN, "amount_missing"),
    ("SUCCESS", "S", {**PAID, "paymentRequestId": "att_2"}, Verdict.UNKNOWN, "id_mismatch"),
    ("USER_BALANCE_NOT_ENOUGH", "F", {"paymentRequestId": "att_2"}, Verdict.UNKNOWN, "id_mismatch"),
    ("SUCCESS", "F", PAID, Verdict.UNKNOWN, "SUCCESS"),
    ("SUCCESS", "U", PAID, Verdict.UNKNOWN, "SUCCESS"),
    ("SOMETHING_NEW", "S", PAID, Verdict.UNKNOWN, "SOMETHING_NEW"),
    ("PAYMENT_IN_PROCESS", "U", PAID, Verdict.PROCESSING, "PAYMENT_IN_PROCESS"),
    ("PAYMENT_IN_PROCESS", "S", PAID, Verdict.PROCESSING, "PAYMENT_IN_PROCESS"),
    ("PAYMENT_IN_PROCESS", "F", PAID, Verdict.PROCESSING, "PAYMENT_IN_PROCESS"),
    ("PAYMENT_IN_PROCESS", "U", {"normalUrl": "https://w.example"}, Verdict.PROCESSING, "customer_action_required"),
    ("ACCEPTED", "A", PAID, Verdict.PROCESSING, "ACCEPTED"),
    ("UNKNOWN_EXCEPTION", "U", {}, Verdict.UNKNOWN, "UNKNOWN_EXCEPTION"),
    ("UNKNOWN_EXCEPTION", "F", {}, Verdict.UNKNOWN, "UNKNOWN_EXCEPTION"),
    ("REQUEST_TRAFFIC_EXCEED_LIMIT", "U", {}, Verdict.UNKNOWN, "REQUEST_TRAFFIC_EXCEED_LIMIT"),
    ("SOMETHING_NEW", "U", {}, Verdict.UNKNOWN, "SOMETHING_NEW"),
    ("REPEAT_REQ_INCONSISTENT", "F", {}, Verdict.UNKNOWN, "REPEAT_REQ_INCONSISTENT"),
    ("ORDER_STATUS_INVALID", "F", {}, Verdict.UNKNOWN, "ORDER_STATUS_INVALID"),
    ("SOMETHING_NEW", "F", {}, Verdict.DECLINED, "SOMETHING_NEW"),
    ("PROCESS_FAIL", "F", {}, Verdict.DECLINED, "PROCESS_FAIL"),
]


@pytest.mark.parametrize(("code", "status", "fields", "verdict", "evidence"), CHARGES)
async def test_pay(code: str, status: str, fields: dict[str, Any], verdict: Verdict, evidence: str) -> None:
    got = await signed_answers(result(code, status, **fields)).charge(account(), CHARGE, CALL)

    assert (got.verdict, got.evidence) == (verdict, evidence)
    assert (got.decline is not None) == (verdict is Verdict.DECLINED)
    if verdict is Verdict.SUCCEEDED:
        assert (got.payment_id, got.amount) == ("p1", AMOUNT)


CATEGORIES = {
    "USER_BALANCE_NOT_ENOUGH": DeclineCategory.INSUFFICIENT_FUNDS,
    "USER_AMOUNT_EXCEED_LIMIT": DeclineCategory.LIMIT_EXCEEDED,
    "PAYMENT_COUNT_EXCEED_LIMIT": DeclineCategory.LIMIT_EXCEEDED,
    "UNAVAILABLE_PAYMENT_METHOD": DeclineCategory.ISSUER_UNAVAILABLE,
    "ORDER_IS_CLOSED": DeclineCategory.ISSUER_UNAVAILABLE,
    "INVALID_ACCESS_TOKEN": DeclineCategory.INVALID_CREDENTIAL,
    "INVALID_CONTRACT": DeclineCategory.INVALID_CREDENTIAL,
    "AUTHENTICATION_REQUIRED": DeclineCategory.AUTHENTICATION_REQUIRED,
    "USER_KYC_NOT_QUALIFIED": DeclineCategory.AUTHENTICATION_REQUIRED,
    "USER_NOT_EXIST": DeclineCategory.CLOSED_ACCOUNT,
    "RISK_REJECT": DeclineCategory.RISK,
    "FRAUD_REJECT": DeclineCategory.RISK,
    "PAYMENT_PROHIBITED": DeclineCategory.REVIEW,
    "PARAM_ILLEGAL": DeclineCategory.REVIEW,
    "SYSTEM_ERROR": DeclineCategory.REVIEW,
    "CODE_OF_NEXT_YEAR": DeclineCategory.REVIEW,
    "KEY_NOT_FOUND": DeclineCategory.CONFIGURATION,
    "CLIENT_INVALID": DeclineCategory.CONFIGURATION,
    "NO_PAY_OPTIONS": DeclineCategory.CONFIGURATION,
    "INVALID_MERCHANT_STATUS": DeclineCategory.CONFIGURATION,
}


@pytest.mark.parametrize(("code", "category"), CATEGORIES.items())
def test_a_refused_debit_has_the_category_of_its_code(code: str, category: DeclineCategory) -> None:
    refusal = transformers.charge(message(result(code, "F")), CHARGE).decline

    assert refusal is not None
    assert (refusal.category, refusal.raw_code) == (category, code)


def test_what_says_nothing_about_the_money_is_not_listed_as_a_refusal() -> None:
    undecided = codes.IN_PROGRESS | codes.OUTCOME_UNKNOWN | {"SUCCESS"}

    assert {codes.decline(code).code for code in undecided} == {"unlisted_refusal"}
    assert "unlisted_refusal" not in {
        codes.decline(code).code for code in codes.PAY_INQUIRE_FIRST | codes.REFUND_INQUIRE_FIRST
    }


INQUIRIES = [
    ("SUCCESS", "S", {"paymentStatus": "SUCCESS", **PAID}, Verdict.SUCCEEDED, None),
    ("SUCCESS", "S", {"paymentStatus": "PROCESSING", **PAID}, Verdict.PROCESSING, None),
    ("SUCCESS", "S", {"paymentStatus": "PENDING", **PAID}, Verdict.PROCESSING, None),
    ("SUCCESS", "S", {"paymentStatus": "CANCELLED", **PAID}, Verdict.CANCELED, None),
    (
        "SUCCESS",
        "S",
        {"paymentStatus": "FAIL", "paymentResultCode": "USER_BALANCE_NOT_ENOUGH", **PAID},
        Verdict.DECLINED,
        DeclineCategory.INSUFFICIENT_FUNDS,
    ),
    ("SUCCESS", "S", {"paymentStatus": "FAIL", **PAID}, Verdict.DECLINED, DeclineCategory.REVIEW),
    ("SUCCESS", "S", {"paymentStatus": "SUCCESS", **PAID, "paymentRequestId": "att_2"}, Verdict.UNKNOWN, None),
    ("SUCCESS", "S", {"paymentStatus": "SUCCESS", "paymentRequestId": "att_1"}, Verdict.UNKNOWN, None),
    ("SUCCESS", "S", {"paymentStatus": "SUCCESS", **PAID, "paymentAmount": {"value": "49900"}}, Verdict.UNKNOWN, None),
    ("SUCCESS", "S", {"paymentStatus": "FAIL", "paymentRequestId": "att_1"}, Verdict.DECLINED, DeclineCategory.REVIEW),
    ("SUCCESS", "S", {"paymentStatus": "NEW_STATUS"}, Verdict.UNKNOWN, None),
    ("SUCCESS", "S", {}, Verdict.UNKNOWN, None),
    ("ORDER_NOT_EXIST", "F", {}, Verdict.NOT_FOUND, None),
    ("ORDER_NOT_EXIST", "U", {}, Verdict.UNKNOWN, None),
    ("PROCESS_FAIL", "F", {}, Verdict.UNKNOWN, None),
    ("PAYMENT_IN_PROCESS", "U", {}, Verdict.UNKNOWN, None),
    ("UNKNOWN_EXCEPTION", "U", {"paymentStatus": "SUCCESS"}, Verdict.UNKNOWN, None),
]


@pytest.mark.parametrize(("code", "status", "fields", "verdict", "category"), INQUIRIES)
async def test_inquiry_tells_the_query_from_the_money(
    code: str, status: str, fields: dict[str, Any], verdict: Verdict, category: DeclineCategory | None
) -> None:
    got = await signed_answers(result(code, status, **fields)).inquire(account(), "att_1", CALL)

    assert got.verdict is verdict
    assert (got.decline.category if got.decline else None) is category
    if verdict is Verdict.SUCCEEDED:
        assert (got.payment_id, got.amount) == ("p1", AMOUNT)


CANCELS = [
    ("SUCCESS", "S", Verdict.SUCCEEDED),
    ("ORDER_NOT_EXIST", "F", Verdict.NOT_FOUND),
    ("CANCEL_WINDOW_EXCEED", "F", Verdict.DECLINED),
    ("ORDER_STATUS_INVALID", "F", Verdict.DECLINED),
    ("PROCESS_FAIL", "F", Verdict.DECLINED),
    ("UNKNOWN_EXCEPTION", "U", Verdict.UNKNOWN),
    ("REQUEST_TRAFFIC_EXCEED_LIMIT", "U", Verdict.UNKNOWN),
]


@pytest.mark.parametrize(("code", "status", "verdict"), CANCELS)
async def test_cancel(code: str, status: str, verdict: Verdict) -> None:
    got = await signed_answers(result(code, status)).cancel(account(), "att_1", CALL)

    assert (got.verdict, got.evidence) == (verdict, code)
    assert (got.decline.raw_code if got.decline else None) == (code if verdict is Verdict.DECLINED else None)


REFUNDS = [
    ("SUCCESS", "S", REFUNDED, Verdict.SUCCEEDED, "SUCCESS"),
    ("REFUND_IN_PROCESS", "S", REFUNDED, Verdict.PROCESSING, "REFUND_IN_PROCESS"),
    ("REFUND_IN_PROCESS", "U", REFUNDED, Verdict.PROCESSING, "REFUND_IN_PROCESS"),
    (
        "SUCCESS",
        "S",
        {**REFUNDED, "refundAmount": {"currency": "PHP", "value": "1"}},
        Verdict.UNKNOWN,
        "amount_mismatch",
    ),
    ("SUCCESS", "S", {**REFUNDED, "refundRequestId": "rfd_2"}, Verdict.UNKNOWN, "id_mismatch"),
    ("REPEAT_REQ_INCONSISTENT", "F", {}, Verdict.UNKNOWN, "REPEAT_REQ_INCONSISTENT"),
    ("UNKNOWN_EXCEPTION", "U", {}, Verdict.UNKNOWN, "UNKNOWN_EXCEPTION"),
    ("REFUND_WINDOW_EXCEED", "F", {}, Verdict.DECLINED, "REFUND_WINDOW_EXCEED"),
    ("MERCHANT_BALANCE_NOT_ENOUGH", "F", {}, Verdict.DECLINED, "MERCHANT_BALANCE_NOT_ENOUGH"),
    ("PROCESS_FAIL", "F", {}, Verdict.DECLINED, "PROCESS_FAIL"),
]


@pytest.mark.parametrize(("code", "status", "fields", "verdict", "evidence"), REFUNDS)
async def test_refund(code: str, status: str, fields: dict[str, Any], verdict: Verdict, evidence: str) -> None:
    got = await signed_answers(result(code, status, **fields)).refund(account(), REFUND, CALL)

    assert (got.verdict, got.evidence) == (verdict, evidence)


REFUND_INQUIRIES = [
    ("SUCCESS", "S", {"refundStatus": "SUCCESS", **REFUNDED}, Verdict.SUCCEEDED),
    ("SUCCESS", "S", {"refundStatus": "PROCESSING", **REFUNDED}, Verdict.PROCESSING),
    ("SUCCESS", "S", {"refundStatus": "FAIL", **REFUNDED}, Verdict.DECLINED),
    ("SUCCESS", "S", {"refundStatus": "OTHER", **REFUNDED}, Verdict.UNKNOWN),
    ("SUCCESS", "S", {"refundStatus": "SUCCESS", "refundRequestId": "rfd_2"}, Verdict.UNKNOWN),
    ("SUCCESS", "S", {}, Verdict.UNKNOWN),
    ("REFUND_NOT_EXIST", "F", {}, Verdict.NOT_FOUND),
    ("ORDER_NOT_EXIST", "F", {}, Verdict.NOT_FOUND),
    ("PROCESS_FAIL", "F", {}, Verdict.UNKNOWN),
    ("UNKNOWN_EXCEPTION", "U", {}, Verdict.UNKNOWN),
]


@pytest.mark.parametrize(("code", "status", "fields", "verdict"), REFUND_INQUIRIES)
async def test_refund_inquiry(code: str, status: str, fields: dict[str, Any], verdict: Verdict) -> None:
    got = await signed_answers(result(code, status, **fields)).inquire_refund(account(), "rfd_1", CALL)

    assert got.verdict is verdict


REVOKES = [
    ("SUCCESS", "S", Verdict.SUCCEEDED),
    ("INVALID_ACCESS_TOKEN", "F", Verdict.SUCCEEDED),
    ("PROCESS_FAIL", "F", Verdict.DECLINED),
    ("UNKNOWN_EXCEPTION", "U", Verdict.UNKNOWN),
]


@pytest.mark.parametrize(("code", "status", "verdict"), REVOKES)
async def test_revoke(code: str, status: str, verdict: Verdict) -> None:
    assert (await signed_answers(result(code, status)).revoke(account(), "at", CALL)).verdict is verdict


TOKENS = [
    ("SUCCESS", "S", {"accessToken": "at_1"}, Verdict.SUCCEEDED, None),
    ("SUCCESS", "S", {}, Verdict.UNKNOWN, None),
    ("AUTH_IN_PROCESS", "U", {}, Verdict.PROCESSING, None),
    ("AUTH_IN_PROCESS", "F", {}, Verdict.PROCESSING, None),
    ("UNKNOWN_EXCEPTION", "U", {}, Verdict.UNKNOWN, None),
    ("PARAM_ILLEGAL", "F", {}, Verdict.DECLINED, DeclineCategory.INVALID_CREDENTIAL),
    ("EXPIRED_REFRESH_TOKEN", "F", {}, Verdict.DECLINED, DeclineCategory.INVALID_CREDENTIAL),
    ("USER_STATUS_ABNORMAL", "F", {}, Verdict.DECLINED, DeclineCategory.CLOSED_ACCOUNT),
    ("NO_PAY_OPTIONS", "F", {}, Verdict.DECLINED, DeclineCategory.CONFIGURATION),
]


@pytest.mark.parametrize(("code", "status", "fields", "verdict", "category"), TOKENS)
async def test_apply_token(
    code: str, status: str, fields: dict[str, Any], verdict: Verdict, category: DeclineCategory | None
) -> None:
    antom = signed_answers(result(code, status, **fields))

    for got in (
        await antom.exchange(account(), "GCASH", "ac", CALL),
        await antom.refresh(account(), "GCASH", "rt", CALL),
    ):
        assert got.verdict is verdict
        assert (got.decline.category if got.decline else None) is category


def test_a_token_carries_its_life_in_utc_and_hides_itself() -> None:
    pair = {
        "accessToken": "at_1",
        "accessTokenExpiryTime": "2026-02-01T08:00:00+08:00",
        "refreshToken": "rt_1",
        "refreshTokenExpiryTime": "2026-08-01T08:00:00+08:00",
        "userLoginId": "09*****1234",
    }
    token = transformers.token(message(result(**pair))).token

    assert token is not None
    assert token.expires_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert token.refresh_expires_at == datetime(2026, 8, 1, tzinfo=UTC)
    assert (token.access_token, token.refresh_token, token.label) == ("at_1", "rt_1", "09*****1234")
    assert "at_1" not in repr(token)
    assert "rt_1" not in repr(token)


@pytest.mark.parametrize("time", ["2026-02-01T08:00:00", "soon", "", 5, None, "0001-01-01T00:00:00+14:00"])
def test_a_token_whose_expiry_is_unreadable_is_kept(time: object) -> None:
    token = transformers.token(message(result(accessToken="at_1", accessTokenExpiryTime=time))).token

    assert token is not None
    assert token.expires_at is None


CONSULTS = [
    (
        "SUCCESS",
        "S",
        {"normalUrl": "https://w.example/1", "schemeUrl": "w://1"},
        Verdict.SUCCEEDED,
        "https://w.example/1",
    ),
    (
        "SUCCESS",
        "S",
        {"schemeUrl": "w://1", "applinkUrl": "https://w.example/a"},
        Verdict.SUCCEEDED,
        "https://w.example/a",
    ),
    ("SUCCESS", "S", {}, Verdict.UNKNOWN, None),
    ("NO_PAY_OPTIONS", "F", {}, Verdict.DECLINED, None),
    ("UNKNOWN_EXCEPTION", "U", {}, Verdict.UNKNOWN, None),
]


@pytest.mark.parametrize(("code", "status", "fields", "verdict", "url"), CONSULTS)
async def test_consult(code: str, status: str, fields: dict[str, str], verdict: Verdict, url: str | None) -> None:
    got = await signed_answers(result(code, status, **fields)).authorize(account(), CONSULT, CALL)

    assert (got.verdict, got.url) == (verdict, url)


json_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.sampled_from(["SUCCESS", "FAIL", "att_1", "rfd_1", "2026-02-01T08:00:00+08:00", [], {}]),
    st.fixed_dictionaries(
        {"currency": st.sampled_from(["PHP", "XXX", 1]), "value": st.sampled_from(["49900", 49900, 1])}
    ),
)
FIELDS = [
    "paymentRequestId", "paymentId", "paymentAmount", "paymentStatus", "paymentResultCode", "refundId", "refundAmount",
    "refundStatus", "refundRequestId", "accessToken", "accessTokenExpiryTime", "refreshToken", "normalUrl",
    "pspCustomerInfo",
]  # fmt: skip


@given(
    st.sampled_from(["S", "F", "U", "A"]),
    st.sampled_from(["SUCCESS", "PROCESS_FAIL", "PAYMENT_IN_PROCESS", "ORDER_NOT_EXIST", "X"]),
    st.dictionaries(st.sampled_from(FIELDS), json_values),
)
def test_no_answer_makes_the_mapping_raise_or_invent_a_success(status: str, code: str, fields: dict[str, Any]) -> None:
    said = message(result(code, status, **fields))
    charge, refund = transformers.charge(said, CHARGE), transformers.refunded(said, REFUND)
    others = [
        transformers.inquiry(said, "att_1").verdict,
        transformers.refund_inquiry(said, "rfd_1").verdict,
        transformers.token(said).verdict,
        transformers.authorization(said).verdict,
        transformers.canceled(said).verdict,
        transformers.revoked(said).verdict,
    ]

    for verdict in (charge.verdict, refund.verdict, *others):
        assert verdict is not Verdict.SUCCEEDED or (status, code) == ("S", "SUCCESS")
    assert charge.verdict is not Verdict.SUCCEEDED or charge.amount == AMOUNT
    assert charge.verdict is not Verdict.DECLINED or status == "F"
