"""Pivot's callbacks and the customer who comes back (gateways/pay-and-save.md §5)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.notifications import INBOXES
from gateways.pivot import notifications, requests
from gateways.pivot.references import encoded
from gateways.port import BadNotification, News, NewsKind, Verdict
from tests.gateways.pivot_fixtures import CALLBACK_KEY, PAGE, PAYER, REQUEST_ID, Data, account, charge_of, session

OURS = account()
STATES: Data = {"metadata": {"invoice": "agr_01jd3w-c1", "state": "as_1"}}


def parse(body: Any, **headers: str) -> list[News]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = headers or {"X-API-Key": CALLBACK_KEY}
    return notifications.parse(OURS, "POST", "/notifications/pivot/gwa_1", sent, content)


def callback(event: str, data: Data) -> Data:
    return {"event": event, "data": data}


def test_the_inbox_is_known_to_the_engine() -> None:
    assert INBOXES["pivot"] is notifications


@pytest.mark.parametrize(
    ("event", "claims"),
    [
        ("PAYMENT.PROCESSING", Verdict.PROCESSING),
        ("PAYMENT.PAID", Verdict.SUCCEEDED),
        ("PAYMENT.SUCCESS", Verdict.SUCCEEDED),
        ("PAYMENT.CANCELLED", Verdict.DECLINED),
    ],
)
@pytest.mark.parametrize("reference", [REQUEST_ID, encoded(REQUEST_ID)])
def test_a_payments_callback_states_no_fact_but_whom_to_look_at(event: str, claims: Verdict, reference: str) -> None:
    [news] = parse(callback(event, session(clientReferenceId=reference)))
    assert (news.kind, news.request_id, news.payment_id) == (NewsKind.PAYMENT, REQUEST_ID, "ses_1")
    assert (news.verdict, news.claims) == (Verdict.UNKNOWN, claims)
    assert (news.amount, news.decline) == (None, None)


@pytest.mark.parametrize("event", ["PAYMENT.PAID", "PAYMENT.CANCELLED"])
def test_the_end_of_a_customers_page_is_news_of_its_authorization(event: str) -> None:
    [news] = parse(callback(event, session(mode="REDIRECT", **STATES)))
    assert (news.kind, news.authorization_state, news.code) == (NewsKind.AUTHORIZATION_CODE, "as_1", "ses_1")
    assert news.request_id == REQUEST_ID
    assert "as_1" not in news.dedupe_key
    assert parse(callback("PAYMENT.PROCESSING", session("PROCESSING", mode="REDIRECT", **STATES))) == []


@pytest.mark.parametrize(
    ("event", "claims"),
    [
        ("REFUND.PENDING", Verdict.PROCESSING),
        ("REFUND.WAITING_BANK_TRANFER", Verdict.PROCESSING),
        ("REFUND.WAITING_BANK_TRANSFER", Verdict.PROCESSING),
        ("REFUND.SUCCESS", Verdict.SUCCEEDED),
        ("REFUND.FAILED", Verdict.DECLINED),
    ],
)
def test_a_refunds_callback_states_no_fact_either(event: str, claims: Verdict) -> None:
    data = {"id": "r_1", "clientReferenceId": encoded("rfd_1"), "paymentSessionId": "ses_1", "status": "SUCCESS"}
    [news] = parse(callback(event, data))
    assert (news.kind, news.request_id, news.payment_id) == (NewsKind.REFUND, "rfd_1", "ses_1")
    assert (news.verdict, news.claims) == (Verdict.UNKNOWN, claims)


def test_repeats_are_one_and_every_step_is_another() -> None:
    shown = session()
    first, again = (parse(callback("PAYMENT.PAID", shown))[0].dedupe_key for _ in range(2))
    assert first == again
    others = [
        callback("PAYMENT.CANCELLED", shown),
        callback("PAYMENT.PAID", shown | {"id": "ses_2"}),
        callback("PAYMENT.PAID", shown | {"status": "PROCESSING"}),
        callback("PAYMENT.PAID", shown | {"updatedAt": "2026-01-10T08:02:06Z"}),
    ]
    assert len({first, *(parse(other)[0].dedupe_key for other in others)}) == 5


@pytest.mark.parametrize("event", ["CHARGE.SUCCESS", "PAYOUT.DONE", None, 7, ["PAYMENT.PAID"]])
def test_events_that_do_not_concern_us_are_acknowledged(event: Any) -> None:
    assert parse({"event": event, "data": session()}) == []


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-type": "application/JSON"}, "unsigned"),
        ({"x-api-key": ""}, "unsigned"),
        ({"x-api-key": "guess"}, "bad_signature"),
        ({"x-api-key": CALLBACK_KEY + " "}, "bad_signature"),
        ({"x-api-key": "schlüssel\udc00"}, "bad_signature"),
    ],
)
def test_only_the_accounts_key_is_believed(headers: dict[str, str], code: str) -> None:
    with pytest.raises(BadNotification) as refused:
        parse(callback("PAYMENT.PAID", session()), **headers)
    assert refused.value.code == code


def test_an_account_without_a_key_believes_nobody_and_lets_pivot_try_again() -> None:
    keyless = replace(OURS, keys={"callback_api_key": ""})
    with pytest.raises(BadNotification) as refused:
        notifications.parse(keyless, "POST", "/n", {"x-api-key": "x"}, b"{}")
    assert refused.value.code == "account_keys"
    assert notifications.refusal("account_keys")[0] == 503
    assert [notifications.refusal(code)[0] for code in ("unsigned", "bad_signature", "unreadable")] == [401, 401, 400]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        callback("PAYMENT.PAID", {}),
        callback("PAYMENT.PAID", session(id="")),
        callback("REFUND.SUCCESS", session() | {"status": None}),
        {"event": "PAYMENT.PAID", "data": None},
    ],
)
def test_what_cannot_be_read_is_refused(body: Any) -> None:
    with pytest.raises(BadNotification) as refused:
        parse(body)
    assert refused.value.code == "unreadable"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(
    event=st.sampled_from(["PAYMENT.PAID", "REFUND.SUCCESS", "X"]),
    name=st.sampled_from([*session(), "metadata"]),
    value=_JSON,
)
def test_no_callback_raises_anything_else_or_states_a_fact(event: str, name: str, value: Any) -> None:
    try:
        found = parse(callback(event, session("PAID", charge_of()) | {name: value}))
    except BadNotification:
        return
    assert all(news.verdict in (None, Verdict.UNKNOWN) and news.amount is None for news in found)


# The customer who comes back


@pytest.mark.parametrize("which", ["successReturnUrl", "failureReturnUrl", "expirationReturnUrl"])
def test_a_customer_comes_back_by_any_of_the_three_addresses(which: str) -> None:
    assert PAGE.payment is not None
    urls = requests.page(OURS, PAGE, PAGE.payment, PAYER)["redirectUrl"]
    news = notifications.from_return(dict(parse_qsl(urlsplit(urls[which]).query)))
    assert (news.kind, news.authorization_state, news.code) == (NewsKind.AUTHORIZATION_CODE, PAGE.state, None)
    assert PAGE.state not in news.dedupe_key


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "no_code"),
        ({"state": "as_1"}, "no_code"),
        ({"pivot": "success"}, "no_code"),
        ({"pivot": "paid", "state": "as_1"}, "no_code"),
        ({"pivot": "success", "state": "a\x00b"}, "unreadable"),
        ({"pivot": "success", "state": "a" * 257}, "unreadable"),
    ],
)
def test_an_address_that_is_none_of_the_three_tells_nothing(query: dict[str, str], code: str) -> None:
    with pytest.raises(BadNotification) as refused:
        notifications.from_return(query)
    assert refused.value.code == code
