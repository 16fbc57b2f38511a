"""Answers of Ottu read into the port's, by tables from gateways/ottu.md §2.7, §3, §8, §10."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.declines import DeclineCategory as Category
from agreements.money import Money
from gateways.ottu import codes, transformers
from gateways.ottu.messages import Answer, Message
from gateways.port import ChargeAnswer, Verdict
from tests.gateways.ottu_fixtures import AMOUNT, CHARGE, ORDER, PAID, REFUND, REFUNDED, SESSION, declined

RESULTS = ("success", "failed", "canceled", "error", "pending", "cod", None, "new")
STATES = ("created", "pending", "attempted", "authorized", "paid", "cod", "failed", "canceled", "expired", "invalided")
TABLE: dict[tuple[str | None, str | None], Verdict] = {
    ("success", "paid"): Verdict.SUCCEEDED,
    ("success", "authorized"): Verdict.PROCESSING,
    **{("pending", state): Verdict.PROCESSING for state in ("created", "pending", "attempted")},
    **{
        (result, state): Verdict.DECLINED
        for result in ("failed", "canceled")
        for state in ("attempted", "failed", "expired")
    },
    ("failed", "canceled"): Verdict.CANCELED,
    ("canceled", "canceled"): Verdict.CANCELED,
}


@pytest.mark.parametrize(("result", "state"), list(product(RESULTS, (*STATES, None, "refunded"))))
def test_result_and_state_decide_together_and_what_does_not_fit_is_unknown(
    result: str | None, state: str | None
) -> None:
    assert transformers.verdict(result, state) is TABLE.get((result, state), Verdict.UNKNOWN)


def charged(**changes: Any) -> ChargeAnswer:
    return transformers.charged(Message(PAID | changes), CHARGE)


def test_paid_is_our_session_our_order_our_amount() -> None:
    got = charged()
    assert (got.verdict, got.payment_id, got.amount) == (Verdict.SUCCEEDED, SESSION, AMOUNT)
    assert charged(paid_amount=Decimal("12.5")).verdict is Verdict.SUCCEEDED
    assert charged(remaining_amount="0.000").verdict is Verdict.SUCCEEDED
    missing = {name: value for name, value in PAID.items() if name not in ("paid_amount", "settled_amount")}
    assert transformers.charged(Message(missing), CHARGE).verdict is Verdict.SUCCEEDED


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        ({"session_id": "another"}, "id_mismatch"),
        ({"session_id": 7}, "id_mismatch"),
        ({"order_no": "another"}, "id_mismatch"),
        ({"session_id": None, "order_no": None}, "id_mismatch"),
        ({"amount": "12.501", "paid_amount": "12.501", "settled_amount": "12.501"}, "amount_mismatch"),
        ({"currency_code": "BHD"}, "amount_mismatch"),
        ({"paid_amount": "0.000"}, "amount_mismatch"),
        ({"settled_amount": "1.000"}, "amount_mismatch"),
        ({"remaining_amount": "1.000"}, "amount_mismatch"),
        ({"amount": "12,5"}, "amount_mismatch"),
        ({"amount": None}, "amount_mismatch"),
        ({"result": "error"}, "error:paid"),
        ({"state": "attempted"}, "success:attempted"),
    ],
)
def test_a_success_about_anything_else_is_not_one(changes: dict[str, Any], evidence: str) -> None:
    got = charged(**changes)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, evidence)


NOTE = {
    Category.INSUFFICIENT_FUNDS: ["INSUFFICIENT_FUNDS"],
    Category.DO_NOT_HONOR: ["DECLINED", "REFERRED", "UNSPECIFIED_FAILURE"],
    Category.ISSUER_UNAVAILABLE: ["ACQUIRER_SYSTEM_ERROR", "SYSTEM_ERROR", "LOCK_FAILURE"],
    Category.EXPIRED_CARD: ["EXPIRED_CARD"],
    Category.INVALID_CREDENTIAL: [
        "DECLINED_DO_NOT_CONTACT",
        "DECLINED_PAYMENT_PLAN",
        "BLOCKED",
        "NOT_SUPPORTED",
        "EXCEEDED_RETRY_LIMIT",
        "INVALID_CSC",
        "DECLINED_CSC",
        "DECLINED_AVS",
        "DECLINED_AVS_CSC",
    ],
    Category.AUTHENTICATION_REQUIRED: [
        "DECLINED_INVALID_PIN",
        "DECLINED_PIN_REQUIRED",
        "AUTHENTICATION_FAILED",
        "NOT_ENROLLED_3D_SECURE",
        "CANCELLED",
        "ABORTED",
    ],
}


@pytest.mark.parametrize(("category", "code"), [(kind, code) for kind, listed in NOTE.items() for code in listed])
def test_every_gateway_code_of_the_note_means_its_class(category: Category, code: str) -> None:
    got = transformers.charged(Message(declined(code)), CHARGE)
    assert got.verdict is Verdict.DECLINED
    assert got.decline is not None
    assert (got.decline.category, got.decline.raw_code) == (category, code)


@pytest.mark.parametrize("code", sorted(codes.UNDECIDED))
def test_a_failure_the_gateway_does_not_confirm_is_asked_about_first(code: str) -> None:
    message = Message(declined(code))
    asked = transformers.inquired(message, ORDER, SESSION)
    assert transformers.charged(message, CHARGE).verdict is Verdict.UNKNOWN
    assert asked.verdict is Verdict.DECLINED
    assert asked.decline is not None
    assert asked.decline.raw_code == "failed"


DETAILS = [
    (declined("DECLINED", "51"), Category.INSUFFICIENT_FUNDS, "DECLINED:51", "51"),
    (declined("DECLINED", "41"), Category.LOST_OR_STOLEN, "DECLINED:41", "41"),
    (declined("DECLINED", "99"), Category.DO_NOT_HONOR, "DECLINED:99", "99"),
    (declined("DECLINED_DO_NOT_CONTACT", "05"), Category.INVALID_CREDENTIAL, "DECLINED_DO_NOT_CONTACT:05", "05"),
    (declined("DECLINED_DO_NOT_CONTACT", "R1"), Category.REVOKED_BY_PAYER, "DECLINED_DO_NOT_CONTACT:R1", "R1"),
    (declined(None, "54"), Category.DO_NOT_HONOR, "failed", None),
    (declined(pg_params={"result": "54"}), Category.EXPIRED_CARD, "54", "54"),
    (declined(pg_params={"result": {"value": "61", "verbose_name_en": "x"}}), Category.LIMIT_EXCEEDED, "61", "61"),
    (declined(pg_params={"decision": "REJECT"}), Category.RISK, "REJECT", None),
    (declined(pg_params="text"), Category.DO_NOT_HONOR, "failed", None),
    (declined(result="canceled"), Category.AUTHENTICATION_REQUIRED, "canceled", None),
    (declined("DECLINED", token={"is_expired": True}), Category.EXPIRED_CARD, "token_expired", None),
    (declined("DECLINED", "5199"), Category.DO_NOT_HONOR, "DECLINED", None),
    (declined("declined with a sentence"), Category.DO_NOT_HONOR, "failed", None),
]


@pytest.mark.parametrize(("body", "category", "raw", "issuer"), DETAILS)
def test_the_most_telling_code_is_read(body: dict[str, Any], category: Category, raw: str, issuer: str | None) -> None:
    got = codes.refusal(Message(body))
    assert (got.category, got.raw_code, got.network_code) == (category, raw, issuer)


def test_a_code_is_found_in_an_order_with_transactions() -> None:
    transactions = [
        {"response": {"gatewayCode": "APPROVED"}},
        {"response": {"gatewayCode": "EXPIRED_CARD", "acquirerCode": "54", "merchantAdviceCode": "03"}},
    ]
    got = codes.refusal(Message(declined(gateway_response={"result": "FAILURE", "transaction": transactions})))
    assert (got.raw_code, got.network_code, got.network_advice) == ("EXPIRED_CARD:54", "54", "03")


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("created", Verdict.NOT_FOUND),
        ("pending", Verdict.UNKNOWN),
        ("attempted", Verdict.UNKNOWN),
        ("failed", Verdict.UNKNOWN),
        ("expired", Verdict.UNKNOWN),
        ("invalided", Verdict.UNKNOWN),
        ("authorized", Verdict.PROCESSING),
        ("paid", Verdict.SUCCEEDED),
        ("canceled", Verdict.CANCELED),
        ("cod", Verdict.UNKNOWN),
        ("anything", Verdict.UNKNOWN),
        (None, Verdict.UNKNOWN),
    ],
)
def test_a_session_alone_never_says_that_a_debit_failed(state: str | None, verdict: Verdict) -> None:
    session = Message({"session_id": SESSION, "order_no": ORDER, "amount": "12.5", "currency_code": "KWD"})
    got = transformers.retrieved(replace(session, fields={**session.fields, "state": state}), ORDER, SESSION)
    assert got.verdict is verdict
    assert got.evidence == (state or "missing")


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("created", Verdict.NOT_FOUND),
        ("pending", Verdict.PROCESSING),
        ("attempted", Verdict.NOT_FOUND),
        ("authorized", Verdict.PROCESSING),
        ("paid", Verdict.SUCCEEDED),
        ("failed", Verdict.DECLINED),
        ("expired", Verdict.DECLINED),
        ("invalided", Verdict.DECLINED),
        ("canceled", Verdict.CANCELED),
        ("cod", Verdict.UNKNOWN),
        (None, Verdict.UNKNOWN),
    ],
)
def test_the_customers_payment_is_open_as_long_as_its_page_is(state: str | None, verdict: Verdict) -> None:
    session = Message({"session_id": SESSION, "amount": "12.500", "currency_code": "KWD", "state": state})
    assert transformers.first_payment(session, SESSION).verdict is verdict
    other = transformers.first_payment(session, "another")
    assert (other.verdict, other.evidence) == (Verdict.UNKNOWN, "id_mismatch")


CARD: dict[str, Any] = {
    "token": "9400112233445566",
    "pg_code": "mpgs-kwd",
    "brand": "VISA",
    "number": "**** 1019",
    "expiry_month": "12",
    "expiry_year": "29",
    "agreements": ["agr_1"],
}
GOT = ChargeAnswer(Verdict.SUCCEEDED, SESSION, amount=AMOUNT)


def test_the_linked_card_becomes_the_token() -> None:
    got = transformers.token([CARD], "agr_1", GOT)
    assert got.token is not None
    assert got.token.card is not None
    assert got.token.expires_at == datetime(2030, 1, 1, tzinfo=UTC)
    assert (got.token.card.network, got.token.card.last4, got.token.card.expiry_year) == ("visa", "1019", 2029)
    assert got.token.reference == "mpgs-kwd"
    assert CARD["token"] not in repr(got)


@pytest.mark.parametrize(
    "cards", [[], [CARD | {"agreements": ["agr_2"]}], [CARD | {"agreements": []}], [{}], ["x"], [CARD | {"token": 1}]]
)
def test_a_paid_session_without_its_card_goes_back(cards: list[Any]) -> None:
    got = transformers.token(cards, "agr_1", GOT)
    assert (got.verdict, got.payment, got.token) == (Verdict.DECLINED, GOT, None)


@pytest.mark.parametrize(
    ("changes", "network", "dated"),
    [
        ({"brand": None}, "card", True),
        ({"brand": "Master Card"}, "mastercard", True),
        ({"expiry_month": "13"}, "visa", False),
        ({"expiry_year": None}, "visa", False),
        ({"expiry_year": "2031"}, "visa", True),
        ({"expiry_month": 7, "expiry_year": 31}, "visa", True),
        ({"agreements": None, "number": None}, "visa", True),
    ],
)
def test_a_card_with_gaps_is_still_one(changes: dict[str, Any], network: str, dated: bool) -> None:
    got = transformers.token([CARD | changes], "agr_1", GOT)
    assert got.token is not None
    assert got.token.card is not None
    assert got.token.card.network == network
    assert (got.token.expires_at is not None) is dated is (got.token.card.expiry_year is not None)


@pytest.mark.parametrize(
    ("result", "state", "verdict"),
    [
        ("success", "refunded", Verdict.SUCCEEDED),
        (None, "refunded", Verdict.SUCCEEDED),
        ("failed", "refunded", Verdict.UNKNOWN),
        ("queued", "refund_queued", Verdict.PROCESSING),
        ("success", "refund_queued", Verdict.PROCESSING),
        ("rejected", "refund_rejected", Verdict.DECLINED),
        ("success", "paid", Verdict.UNKNOWN),
        ("success", "", Verdict.UNKNOWN),
    ],
)
def test_a_refund_is_decided_by_its_childs_state_in_both_shapes(
    result: str | None, state: str, verdict: Verdict
) -> None:
    first = transformers.refunded(
        Message(REFUNDED | {"result": result, "txn": REFUNDED["txn"] | {"state": state}}), REFUND
    )
    replay = {"amount": "12.500", "currency_code": "KWD", "result": result, "session_id": "child-1", "state": state}
    again = transformers.refunded(Message(replay), REFUND)
    assert first.verdict is again.verdict is verdict
    assert first.reversal_id == again.reversal_id == "child-1"


def test_a_refund_of_another_payment_or_amount_says_nothing() -> None:
    other = transformers.refunded(Message(REFUNDED | {"session_id": "another"}), REFUND)
    less = transformers.refunded(Message(REFUNDED), replace(REFUND, amount=Money(currency="KWD", value=1)))
    assert (other.verdict, other.evidence) == (Verdict.UNKNOWN, "id_mismatch")
    assert (less.verdict, less.evidence) == (Verdict.UNKNOWN, "amount_mismatch")


MADE = {"session_id": "s-1", "state": "created"}
OPENED = [
    ({}, Verdict.SUCCEEDED, "created"),
    ({"amount": Decimal("12.5"), "currency_code": "KWD"}, Verdict.SUCCEEDED, "created"),
    ({"amount": "1.000", "currency_code": "KWD"}, Verdict.UNKNOWN, "not_what_was_asked"),
    ({"order_no": "another"}, Verdict.UNKNOWN, "not_what_was_asked"),
    ({"session_id": "a/../b"}, Verdict.UNKNOWN, "unreadable"),
    ({"state": None}, Verdict.UNKNOWN, "unreadable"),
    ({"operation": "authorize"}, Verdict.DECLINED, "authorize"),
]
SENT = {"amount": "12.500", "currency_code": "KWD", "order_no": ORDER, "customer_id": "c"}


@pytest.mark.parametrize(("changes", "verdict", "evidence"), OPENED)
def test_a_session_is_open_when_it_is_the_one_that_was_asked_for(
    changes: dict[str, Any], verdict: Verdict, evidence: str
) -> None:
    got = transformers.opened(Answer(201, MADE | changes), SENT)
    assert (got.verdict, got.evidence) == (verdict, evidence)


@pytest.mark.parametrize(
    ("status", "body", "category", "evidence"),
    [
        (400, {"detail": "x", "result": "failed"}, Category.REVIEW, "http_400"),
        (400, {"pg_codes": ["x"], "agreement": {}, "a b": 1}, Category.REVIEW, "http_400:agreement,pg_codes"),
        (401, {"detail": "x"}, Category.CONFIGURATION, "http_401"),
        (403, {"detail": "x"}, Category.CONFIGURATION, "http_403"),
        (415, {"detail": "x"}, Category.REVIEW, "http_415"),
    ],
)
def test_a_session_refused_says_whose_fault_it_is(
    status: int, body: dict[str, Any], category: Category, evidence: str
) -> None:
    got = transformers.opened(Answer(status, body), SENT)
    assert got.decline is not None
    assert (got.verdict, got.decline.category, got.evidence) == (Verdict.DECLINED, category, evidence)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["paid", "success", "KWD", "12.500"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*PAID, "txn", "token"]), inner),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from([*PAID, "txn", "token", "pg_params", "gateway_response", "agreements"]), JSON)


@given(BODIES)
def test_no_message_is_too_strange_to_read(body: dict[str, Any]) -> None:
    message = Message(body)
    answers = [
        transformers.charged(message, CHARGE),
        transformers.inquired(message, ORDER, SESSION),
        transformers.retrieved(message, ORDER, SESSION),
        transformers.first_payment(message, SESSION),
        transformers.refused_debit(message, CHARGE, body),
    ]
    transformers.refunded(message, REFUND)
    transformers.token([body], "agr_1", GOT)
    transformers.opened(Answer(201, body), PAID)
    codes.refusal(message)
    for answer in answers:
        assert (answer.decline is not None) is (answer.verdict in (Verdict.DECLINED, Verdict.CANCELED))
        assert answer.verdict is not Verdict.SUCCEEDED or answer.amount is not None
