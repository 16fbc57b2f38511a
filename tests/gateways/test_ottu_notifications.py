"""Ottu's webhooks: believed only when signed, and of what is signed only (gateways/ottu.md §7)."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements.declines import DeclineCategory
from gateways.notifications import INBOXES
from gateways.ottu import notifications
from gateways.ottu.notifications import from_return, parse, refusal
from gateways.ottu.sessions import order_no
from gateways.ottu.signing import sign_extended
from gateways.port import Account, BadNotification, News, NewsKind, Verdict
from tests.gateways.ottu_fixtures import AMOUNT, HMAC_KEY, ORDER, PAID, REFUNDED, SESSION, account, declined, signed

BY_CUSTOMER = {"extra": {"authorization_state": "as_1", "request_id": ORDER}}


def take(body: Any, at: Account | None = None) -> list[News]:
    return parse(at or account(), "POST", "/n", {}, json.dumps(body).encode())


def one(body: dict[str, Any]) -> News:
    (news,) = take(signed(body))
    return news


def refused(body: bytes, at: Account | None = None) -> str:
    with pytest.raises(BadNotification) as error:
        parse(at or account(), "POST", "/n", {}, body)
    return error.value.code


def test_a_paid_debit_is_news_of_its_order_number() -> None:
    news = one(PAID)
    assert (news.kind, news.verdict, news.request_id, news.payment_id, news.amount) == (
        NewsKind.PAYMENT,
        Verdict.SUCCEEDED,
        ORDER,
        SESSION,
        AMOUNT,
    )


def test_either_signature_is_right_and_no_other() -> None:
    assert take(PAID | {"signature": sign_extended(PAID, HMAC_KEY)})
    assert refused(json.dumps(PAID | {"signature": "0" * 64}).encode()) == "bad_signature"
    assert refused(json.dumps(signed(PAID, "another key")).encode()) == "bad_signature"
    assert refused(json.dumps(signed(PAID) | {"amount": "1.000"}).encode()) == "bad_signature"
    assert refused(json.dumps(signed(PAID) | {"state": "failed"}).encode()) == "bad_signature"
    for missing in (PAID, PAID | {"signature": ""}, PAID | {"signature": None}):
        assert refused(json.dumps(missing).encode()) == "unsigned"
    assert refused(json.dumps(PAID | {"signature": 7}).encode()) == "bad_signature"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"result": "failed", "state": "attempted"}, Verdict.DECLINED),
        ({"result": "failed", "state": "failed"}, Verdict.DECLINED),
        ({"result": "canceled", "state": "canceled"}, Verdict.CANCELED),
        ({"result": "error", "state": "attempted"}, Verdict.UNKNOWN),
        ({"result": "pending", "state": "pending"}, Verdict.PROCESSING),
        ({"state": "authorized"}, Verdict.PROCESSING),
        ({"paid_amount": "0.000"}, Verdict.UNKNOWN),
        ({"result": "cod", "state": "cod"}, Verdict.UNKNOWN),
    ],
)
def test_a_debits_news_is_read_like_its_answer(changes: dict[str, Any], verdict: Verdict) -> None:
    assert one(PAID | changes).verdict is verdict


def test_a_declined_debit_says_why() -> None:
    news = one(declined("DECLINED", "51"))
    assert news.decline is not None
    assert (news.decline.category, news.decline.network_code) == (DeclineCategory.INSUFFICIENT_FUNDS, "51")


@pytest.mark.parametrize(
    "changes", [{"result": "failed", "state": "attempted"}, {"result": "pending", "state": "pending"}]
)
def test_the_customer_may_try_again_so_a_failed_try_decides_nothing(changes: dict[str, Any]) -> None:
    news = one(PAID | BY_CUSTOMER | changes)
    assert (news.kind, news.verdict, news.decline) == (NewsKind.PAYMENT, Verdict.PROCESSING, None)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.SUCCEEDED),
        ({"result": "failed", "state": "failed"}, Verdict.DECLINED),
        ({"result": "canceled", "state": "expired"}, Verdict.DECLINED),
    ],
)
def test_the_end_of_a_customers_payment_sends_us_to_its_session(changes: dict[str, Any], verdict: Verdict) -> None:
    code, payment = take(signed(PAID | BY_CUSTOMER | changes))
    assert (code.kind, code.code, code.authorization_state, code.request_id) == (
        NewsKind.AUTHORIZATION_CODE,
        SESSION,
        "as_1",
        ORDER,
    )
    assert (payment.kind, payment.verdict) == (NewsKind.PAYMENT, verdict)
    assert "as_1" not in code.dedupe_key
    assert SESSION not in repr(code)


def test_the_token_of_a_webhook_is_not_believed() -> None:
    stolen = {"token": {"token": "9400999999999999", "pg_code": "mpgs-kwd"}}
    assert "9400999999999999" not in repr([vars(news) for news in take(signed(PAID | BY_CUSTOMER | stolen))])


def test_a_request_id_counts_only_if_the_signed_order_number_stands_for_it() -> None:
    long = "agr_01jd3w00000000000000000000-c123-a10"
    assert one(PAID | {"order_no": order_no(long), "extra": {"request_id": long}}).request_id == long
    assert one(PAID | {"extra": {"request_id": "agr_2-c1-a1"}}).request_id == ORDER


def test_repeats_have_one_key_and_other_news_another() -> None:
    keys = [one(body).dedupe_key for body in (PAID, PAID | {"reference_number": "r2"}, declined())]
    assert one(PAID).dedupe_key == keys[0]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("result", "state", "verdict"),
    [
        ("success", "refunded", Verdict.SUCCEEDED),
        ("queued", "refund_queued", Verdict.PROCESSING),
        ("rejected", "refund_rejected", Verdict.DECLINED),
    ],
)
@pytest.mark.parametrize("operation", ["refund", None])
def test_a_refund_is_known_by_its_payment_and_its_own_handle(
    operation: str | None, result: str, state: str, verdict: Verdict
) -> None:
    body = REFUNDED | {"operation": operation, "result": result, "txn": REFUNDED["txn"] | {"state": state}}
    news = one(body)
    assert (news.kind, news.verdict, news.amount) == (NewsKind.REFUND, verdict, AMOUNT)
    assert (news.payment_id, news.reversal_id, news.request_id) == (SESSION, "child-1", None)


@pytest.mark.parametrize(("operation", "state"), [("capture", "paid"), ("void", "voided"), (None, "voided")])
def test_other_operations_are_acknowledged_and_ignored(operation: str | None, state: str) -> None:
    body = REFUNDED | {"operation": operation, "txn": REFUNDED["txn"] | {"state": state}}
    assert take(signed(body)) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml/>",
        b"[]",
        json.dumps(signed(PAID | {"order_no": None})).encode(),
        json.dumps(signed(PAID | {"session_id": "../../x"})).encode(),
        json.dumps(signed(PAID | {"state": None})).encode(),
        json.dumps(signed(REFUNDED | {"session_id": None})).encode(),
    ],
)
def test_what_cannot_be_read_changes_nothing(body: bytes) -> None:
    assert refused(body) == "unreadable"


def test_refusals_have_a_status() -> None:
    assert refused(b"{}", Account("gwa_1", False, "https://x", {"api_key": "a.b"})) == "unsigned"
    keyless = Account("gwa_1", False, "https://x", {"api_key": "a.b"})
    assert refused(json.dumps(signed(PAID)).encode(), keyless) == "account_keys"
    codes = ("unsigned", "bad_signature", "account_keys", "unreadable", "anything")
    assert [refusal(code)[0] for code in codes] == [401, 401, 503, 400, 400]
    assert json.loads(refusal("unsigned")[1]) == {"detail": "unsigned"}


def test_the_customer_brings_the_session_back() -> None:
    news = from_return({"state": "as_1", "session_id": SESSION, "order_no": ORDER, "reference_number": "r1"})
    assert (news.kind, news.code, news.authorization_state) == (NewsKind.AUTHORIZATION_CODE, SESSION, "as_1")
    again = from_return({"state": "as_1", "session_id": SESSION, "reference_number": "r2"})
    assert news.dedupe_key != again.dedupe_key, "a second try is news again"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"state": "as_1"}, "no_code"),
        ({"session_id": SESSION}, "unreadable"),
        ({"state": "as_1", "session_id": "../x"}, "unreadable"),
        ({"state": "a\nb", "session_id": SESSION}, "unreadable"),
    ],
)
def test_a_way_back_without_them_is_none(query: dict[str, str], code: str) -> None:
    with pytest.raises(BadNotification) as error:
        from_return(query)
    assert error.value.code == code


@given(st.binary(max_size=60), st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4))
def test_strange_bodies_and_queries_are_refused_and_nothing_else(body: bytes, query: dict[str, str]) -> None:
    for ask in (lambda: parse(account(), "POST", "/n", {}, body), lambda: from_return(query)):
        with pytest.raises(BadNotification):
            ask()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["state", "session_id"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*PAID, "txn", "operation", "extra"]), JSON))
def test_whatever_is_rightly_signed_is_read_or_refused(body: dict[str, Any]) -> None:
    with suppress(BadNotification):
        news = take(signed({**PAID, **body}))
        assert all(each.verdict is not Verdict.SUCCEEDED or each.amount for each in news if each.request_id)


def test_the_inbox_is_registered_and_free_of_the_http_client() -> None:
    assert INBOXES["ottu"] is notifications
    code = "import sys, gateways.ottu.notifications; assert 'httpx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
