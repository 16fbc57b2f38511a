"""What Pivot's answers mean, held to gateways/pay-and-save.md §2.8, §6 and §9.7; and that none of them ever raises."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreements.declines import DeclineCategory as Category
from agreements.money import Money
from gateways.pivot import messages, saved
from gateways.pivot.sessions import PaidCard
from gateways.port import ChargeAnswer, Verdict
from tests.gateways.pivot_fixtures import (
    AMOUNT,
    CALL,
    CHARGE,
    PAGE,
    REFUND,
    REQUEST_ID,
    Data,
    account,
    answers,
    charge_of,
    connector,
    error,
    failed,
    ok,
    session,
)

OURS = account(references="plain")


async def charged(status: int, body: Any) -> ChargeAnswer:
    return await answers(status, body).charge(OURS, CHARGE, CALL)


async def looked_up(body: Data) -> ChargeAnswer:
    return await answers(200, ok(body)).inquire(OURS, REQUEST_ID, CALL, "ses_1")


@pytest.mark.parametrize(
    ("shown", "verdict", "evidence"),
    [
        (session("PAID"), Verdict.SUCCEEDED, "PAID"),
        (session("PAID", chargeDetails=None), Verdict.SUCCEEDED, "PAID"),
        (session("PROCESSING", charge_of("PROCESSING")), Verdict.PROCESSING, "PROCESSING"),
        (session("PROCESSING", charge_of("WAITING_FOR_CAPTURE")), Verdict.PROCESSING, "WAITING_FOR_CAPTURE"),
        (session("REQUIRE_ACTION", mode="REDIRECT"), Verdict.PROCESSING, "customer_action_required"),
        (session("REQUIRE_ACTION", autoConfirm=False), Verdict.PROCESSING, "customer_action_required"),
        (session("REQUIRE_ACTION"), Verdict.DECLINED, "customer_action_required"),
        (session("REQUIRE_CONFIRMATION"), Verdict.PROCESSING, "customer_action_required"),
        (session("CANCELLED", failed("INSUFFICIENT_FUND", "51")), Verdict.DECLINED, "INSUFFICIENT_FUND:51"),
        (session("CANCELLED", cancellationReason="VOID_SESSION"), Verdict.CANCELED, "VOID_SESSION"),
        (session("CANCELLED", cancellationReason="REQUESTED_BY_CUSTOMER"), Verdict.CANCELED, "REQUESTED_BY_CUSTOMER"),
        (session("CANCELLED", cancellationReason="FRAUDULENT"), Verdict.DECLINED, "FRAUDULENT"),
        (session("EXPIRED"), Verdict.CANCELED, "EXPIRED"),
        (session("EXPIRED", charge_of("EXPIRED", failureCode="CHARGE_EXPIRED")), Verdict.DECLINED, "CHARGE_EXPIRED"),
        (
            session("EXPIRED", charge_of("EXPIRED", failureCode="CHARGE_EXPIRED"), mode="REDIRECT"),
            Verdict.CANCELED,
            "EXPIRED",
        ),
        # What contradicts itself or is not known is looked at again, never counted.
        (session("PAID", failed("INSUFFICIENT_FUND", "51")), Verdict.UNKNOWN, "paid_without_charge"),
        (session("PAID", charge_of(), charge_of()), Verdict.UNKNOWN, "paid_more_than_once"),
        (session("PAID", charge_of(amount=None, capturedAmount=None)), Verdict.UNKNOWN, "amount_missing"),
        (session("CANCELLED", charge_of("SUCCESS")), Verdict.UNKNOWN, "charge_status_SUCCESS"),
        (session("EXPIRED", charge_of("PROCESSING")), Verdict.UNKNOWN, "charge_status_PROCESSING"),
        (session("INACTIVE"), Verdict.UNKNOWN, "session_status_INACTIVE"),
        (session("SETTLED_SOMEHOW"), Verdict.UNKNOWN, "session_status_SETTLED_SOMEHOW"),
        (session(clientReferenceId="agr_other-c1-a1"), Verdict.UNKNOWN, "id_mismatch"),
        ({"id": "ses_1"}, Verdict.UNKNOWN, "unreadable"),
    ],
)
async def test_a_session_means(shown: Data, verdict: Verdict, evidence: str) -> None:
    got = await looked_up(shown)
    assert (got.verdict, got.evidence) == (verdict, evidence)
    assert (got.decline is not None) == (verdict is Verdict.DECLINED)
    assert got.amount == (AMOUNT if verdict is Verdict.SUCCEEDED else None)


async def test_a_first_attempt_that_failed_does_not_hide_the_second_that_succeeded() -> None:
    got = await looked_up(session("PAID", failed("INSUFFICIENT_FUND", "51"), charge_of()))
    assert (got.verdict, got.amount) == (Verdict.SUCCEEDED, AMOUNT)


async def test_a_banks_approval_is_no_reason_for_a_decline() -> None:
    got = await looked_up(session("CANCELLED", failed("BLOCKED_BY_FDS", "00")))
    assert got.decline is not None
    assert (got.decline.raw_code, got.decline.network_code) == ("BLOCKED_BY_FDS", None)


@pytest.mark.parametrize(
    ("status", "body", "verdict", "category"),
    [
        (400, error("api_validation_error", "amount.value"), Verdict.DECLINED, Category.REVIEW),
        (400, error("api_validation_error", "paymentMethod.card.token"), Verdict.DECLINED, Category.INVALID_CREDENTIAL),
        (400, error("400100123"), Verdict.DECLINED, Category.REVIEW),
        (403, error("forbidden_access"), Verdict.DECLINED, Category.CONFIGURATION),
        (404, error("resource_missing"), Verdict.DECLINED, Category.INVALID_CREDENTIAL),
        (404, error("not_found"), Verdict.DECLINED, Category.CONFIGURATION),
        (401, error("credentials_invalid"), Verdict.UNKNOWN, None),
        (408, error("timeout"), Verdict.UNKNOWN, None),
        (409, error("duplicate_error"), Verdict.UNKNOWN, None),
        (409, error("idempotency_error"), Verdict.UNKNOWN, None),
        (429, error("frequency_above_limit"), Verdict.UNKNOWN, None),
        (500, error("internal_error"), Verdict.UNKNOWN, None),
        (503, error("service_unavailable"), Verdict.UNKNOWN, None),
        (302, b"", Verdict.UNKNOWN, None),
        (404, b"<html>", Verdict.UNKNOWN, None),
        (200, b"{", Verdict.UNKNOWN, None),
        (200, error("api_validation_error"), Verdict.UNKNOWN, None),
        (400, ok(session()), Verdict.UNKNOWN, None),
        (200, ok(session(charges=None, amount={"value": 1, "currency": "IDR"}, chargeDetails=None)), "mismatch", None),
    ],
)
async def test_a_debit_is_refused_only_by_an_answer_that_says_so(
    status: int, body: Any, verdict: Verdict | str, category: Category | None
) -> None:
    got = await charged(status, body)
    if verdict == "mismatch":
        assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "amount_mismatch")
        return
    assert got.verdict is verdict
    assert (got.decline.category if got.decline else None) is category


@pytest.mark.parametrize(
    ("rows", "verdict", "evidence"),
    [
        ([], Verdict.NOT_FOUND, "no_session"),
        ([session("CANCELLED", failed("INSUFFICIENT_FUND")), session()], Verdict.SUCCEEDED, "PAID"),
        ([session(), session(id="ses_2")], Verdict.UNKNOWN, "paid_more_than_once"),
        ([session("CANCELLED"), session("PROCESSING")], Verdict.PROCESSING, "PROCESSING"),
        ([session(clientReferenceId="someone-elses")], Verdict.UNKNOWN, "id_mismatch"),
        (None, Verdict.UNKNOWN, "unreadable"),
    ],
)
async def test_sessions_found_by_reference(rows: list[Data] | None, verdict: Verdict, evidence: str) -> None:
    got = await answers(200, ok(rows)).inquire(OURS, REQUEST_ID, CALL)
    assert (got.verdict, got.evidence) == (verdict, evidence)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("PENDING", Verdict.PROCESSING),
        ("WAITING_BANK_TRANSFER", Verdict.PROCESSING),
        ("SUCCESS", Verdict.SUCCEEDED),
        ("FAILED", Verdict.DECLINED),
        ("CANCELLED", Verdict.DECLINED),
        ("LOST", Verdict.UNKNOWN),
    ],
)
async def test_a_refund_means(status: str, verdict: Verdict) -> None:
    money = {"currency": "IDR", "value": "50000.00"}
    shown = {"id": "r_1", "clientReferenceId": "rfd_01jd3w", "status": status, "amount": money}
    got = await answers(200, ok(shown)).refund(OURS, REFUND, CALL)
    assert (got.verdict, got.reversal_id) == (verdict, "r_1")
    less = await answers(200, ok(shown | {"amount": {"currency": "IDR", "value": "1.00"}})).refund(OURS, REFUND, CALL)
    assert less.verdict is Verdict.UNKNOWN
    other = await answers(200, ok(shown)).inquire_refund(OURS, "rfd_other", CALL, "r_1")
    assert (other.verdict, other.evidence) == (Verdict.UNKNOWN, "id_mismatch")


async def test_a_refund_is_found_on_a_later_page_and_missing_only_when_all_were_read() -> None:
    def network(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        row = {"id": f"r_{page}", "clientReferenceId": f"rfd_{page}", "status": "SUCCESS"}
        return httpx.Response(200, json=ok([row], pagination={"page": page, "totalPages": 3}))

    pivot = connector(network)
    assert (await pivot.inquire_refund(OURS, "rfd_3", CALL)).reversal_id == "r_3"
    assert (await pivot.inquire_refund(OURS, "rfd_4", CALL)).verdict is Verdict.NOT_FOUND
    endless = answers(200, ok([{"id": "r", "clientReferenceId": "x", "status": "SUCCESS"}]))
    assert (await endless.inquire_refund(OURS, "rfd_4", CALL)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("written", "minor"),
    [
        (10000, 10_000_00),
        (Decimal("10000.5"), 10_000_50),
        ("50000.00", 50_000_00),
        ("50000", 50_000_00),
        (Decimal("1E+3"), 1_000_00),
        (True, None),
        (-1, None),
        (0, None),
        ("1_000", None),
        (" 1", None),
        ("", None),
        ("NaN", None),
        (Decimal("0.001"), None),
        (Decimal("1E+999999"), None),
        (10**40, None),
        (None, None),
        ([], None),
    ],
)
def test_money_is_read_exactly_or_not_at_all(written: Any, minor: int | None) -> None:
    got = messages.money({"value": written, "currency": "IDR"})
    assert got == (None if minor is None else Money(currency="IDR", value=minor))


def test_nine_digits_of_a_second_are_read() -> None:
    assert messages.time("2026-01-10T08:02:05.020691396Z") == datetime(2026, 1, 10, 8, 2, 5, 20691, UTC)
    assert messages.time("2026-01-10T08:02:05") is None


# Which saved card is it


def stored(token: str, created: str = "2026-01-10T08:02:05.1Z", **card: Any) -> Data:
    usual = {"fingerprint": "fp_1", "network": "VISA", "first8": "44400001", "last4": "0002"}
    shown = usual | {"expMonth": "01", "expYear": "39"} | card
    return {"token": token, "paymentMethod": "CARD", "status": "ACTIVE", "createdAt": created, "card": shown}


PAID = PaidCard("fp_1", "44400001", "0002", "01", "39")
UNMARKED = PaidCard(None, "44400001", "0002", "01", "39")


@pytest.mark.parametrize(
    ("paid", "methods", "token"),
    [
        (PAID, [stored("other", fingerprint="fp_2"), stored("mine")], "mine"),
        (PAID, [stored("other", fingerprint="fp_2")], None),
        (PAID, [stored("mine") | {"status": "INACTIVE"}], None),
        (PAID, [stored("mine") | {"paymentMethod": "card", "status": "active"}], "mine"),
        (UNMARKED, [stored("old"), stored("new", "2026-01-11T00:00:00Z")], "new"),
        (UNMARKED, [stored("other", expYear="40")], None),
        (PaidCard(None, None, None, None, None), [stored("any", first8=None)], None),
        (PAID, None, None),
    ],
)
def test_the_token_of_a_payment_is_that_of_its_card(paid: PaidCard, methods: Any, token: str | None) -> None:
    got = saved.card_token({"storedPaymentMethods": methods}, paid, "pivot-customer-1")
    assert (got.access_token if got else None) == token


def test_the_older_spelling_of_the_saved_methods_is_read_and_a_prepaid_card_marked() -> None:
    paid = PaidCard("fp_1", None, None, None, None, prepaid=True)
    got = saved.card_token({"storePaymentMethods": [stored("mine", expMonth="12")]}, paid, "pivot-customer-1")
    assert got is not None
    assert got.card is not None
    assert got.card.marks == ("prepaid",)
    assert got.expires_at == datetime(2040, 1, 1, tzinfo=UTC)  # to the end of December 2039
    assert "mine" not in repr(got)


# Nothing raises

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = (*session(), "failureCode", "card", "storedPaymentMethods", "paymentUrl", "metadata", "amount", "token")


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return draw(st.binary(max_size=40))
    shown: Any = session(draw(st.sampled_from(["PAID", "CANCELLED", "REQUIRE_ACTION"])), failed("X"), charge_of())
    target = shown if draw(st.booleans()) else shown["chargeDetails"][0]
    target[draw(st.sampled_from(_FIELDS))] = draw(_JSON)
    data = draw(st.sampled_from([shown, [shown], shown["chargeDetails"]])) if draw(st.booleans()) else draw(_JSON)
    envelope = {"code": draw(st.sampled_from(["00", "api_validation_error", ""])), "data": data, "error": draw(_JSON)}
    return json.dumps(envelope | {"pagination": draw(_JSON)}).encode()


@settings(max_examples=150, deadline=None)
@given(status=st.sampled_from([200, 201, 204, 302, 400, 401, 404, 409, 422, 500]), body=_bodies())
async def test_no_answer_whatsoever_raises_or_counts_as_success_by_accident(status: int, body: bytes) -> None:
    pivot = answers(status, body)
    charge = await pivot.charge(OURS, CHARGE, CALL)
    got: list[Any] = [
        charge,
        await pivot.authorize(OURS, PAGE, CALL),
        await pivot.exchange(OURS, "CARD", "ses_1", CALL),
        await pivot.inquire(OURS, REQUEST_ID, CALL),
        await pivot.inquire(OURS, REQUEST_ID, CALL, "ses_1"),
        await pivot.cancel(OURS, REQUEST_ID, CALL),
        await pivot.refund(OURS, REFUND, CALL),
        await pivot.inquire_refund(OURS, "rfd_01jd3w", CALL),
    ]
    assert all(isinstance(answer.verdict, Verdict) for answer in got)
    if charge.verdict is Verdict.SUCCEEDED:
        assert charge.amount == AMOUNT
