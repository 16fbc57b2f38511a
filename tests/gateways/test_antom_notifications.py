"""Antom's notifications: believed only when signed by Antom, for us, over exactly these bytes and this path."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from agreements.declines import DeclineCategory
from gateways.antom import signing
from gateways.antom.notifications import ACKNOWLEDGED, from_return, parse, refusal
from gateways.port import Account, BadNotification, News, NewsKind, Verdict
from tests.gateways.antom_fixtures import AMOUNT, ANTOM_KEY, CLIENT_ID, FORGER_KEY, MERCHANT_KEY, account, result

PATH = "/notifications/antom/gwa_1?src=a%20b"
PAYMENT: dict[str, Any] = {
    "notifyType": "PAYMENT_RESULT",
    "paymentRequestId": "att_1",
    "paymentId": "p1",
    "paymentAmount": {"currency": "PHP", "value": "49900"},
}
REFUND: dict[str, Any] = {
    "notifyType": "REFUND_RESULT",
    "refundRequestId": "rfd_1",
    "refundId": "r1",
    "refundStatus": "SUCCESS",
}
AUTHCODE: dict[str, Any] = {"authorizationNotifyType": "AUTHCODE_CREATED", "authCode": "ac_secret", "authState": "as_1"}


def signed(body: bytes, key: rsa.RSAPrivateKey = ANTOM_KEY, client_id: str = CLIENT_ID) -> dict[str, str]:
    time = "2025-08-01T08:00:05+08:00"
    signature = signing.sign(key, "POST", PATH, client_id, time, body)
    return {"Client-Id": client_id, "Request-Time": time, "Signature": signature}


def take(body: dict[str, Any]) -> list[News]:
    raw = json.dumps(body).encode()
    return parse(account(), "POST", PATH, signed(raw), raw)


def one(body: dict[str, Any]) -> News:
    (news,) = take(body)
    return news


def refused(headers: dict[str, str], body: bytes, path: str = PATH, at: Account | None = None) -> str:
    with pytest.raises(BadNotification) as error:
        parse(at or account(), "POST", path, headers, body)
    return error.value.code


def test_paid_is_a_payment_result_with_s_and_nothing_weaker() -> None:
    news = one(result(**PAYMENT))

    assert (news.kind, news.verdict, news.request_id, news.payment_id, news.amount) == (
        NewsKind.PAYMENT,
        Verdict.SUCCEEDED,
        "att_1",
        "p1",
        AMOUNT,
    )
    assert one(result(**{**PAYMENT, "notifyType": "PAYMENT_PENDING"})).verdict is Verdict.PROCESSING
    assert one(result("PAYMENT_IN_PROCESS", "U", **PAYMENT)).verdict is Verdict.UNKNOWN
    assert one(result("PAYMENT_IN_PROCESS", "F", **PAYMENT)).verdict is Verdict.UNKNOWN
    assert one(result("SUCCESS", "A", **PAYMENT)).verdict is Verdict.UNKNOWN


def test_a_failed_payment_says_why() -> None:
    news = one(result("SUSPECTED_RISK", "F", **PAYMENT))

    assert news.verdict is Verdict.DECLINED
    assert news.decline is not None
    assert (news.decline.category, news.decline.raw_code) == (DeclineCategory.RISK, "SUSPECTED_RISK")


@pytest.mark.parametrize(
    ("status", "verdict"), [("SUCCESS", Verdict.SUCCEEDED), ("FAIL", Verdict.DECLINED), ("OTHER", Verdict.UNKNOWN)]
)
def test_a_refund_is_decided_by_its_own_status(status: str, verdict: Verdict) -> None:
    news = one(result(**{**REFUND, "refundStatus": status}))

    assert (news.kind, news.request_id, news.verdict) == (NewsKind.REFUND, "rfd_1", verdict)


def test_the_three_authorization_messages() -> None:
    code = one(result(**AUTHCODE))
    created = one(result(authorizationNotifyType="TOKEN_CREATED", accessToken="at_secret", authState="as_1"))
    ended = one(result(authorizationNotifyType="TOKEN_CANCELED", accessToken="at_secret", reason="by customer"))

    assert (code.kind, code.code, code.authorization_state) == (NewsKind.AUTHORIZATION_CODE, "ac_secret", "as_1")
    assert (created.kind, created.token, created.authorization_state) == (NewsKind.TOKEN_CREATED, "at_secret", "as_1")
    assert (ended.kind, ended.token, ended.reason) == (NewsKind.TOKEN_CANCELED, "at_secret", "by customer")
    for news in (code, created, ended):
        assert "secret" not in news.dedupe_key
        assert "secret" not in repr(news)


@pytest.mark.parametrize(
    "body",
    [
        result(notifyType="UPDATE_AMOUNT_RESULT"),
        result(notifyType="DISPUTE_CREATED"),
        result(authorizationNotifyType="SOMETHING_NEW"),
        result("PROCESS_FAIL", "F", **AUTHCODE),
        result(),
    ],
)
def test_what_is_not_for_us_is_acknowledged_and_ignored(body: dict[str, Any]) -> None:
    assert take(body) == []


@pytest.mark.parametrize(
    "body",
    [
        {"notifyType": "PAYMENT_RESULT"},
        result(notifyType="PAYMENT_RESULT"),
        result(**{**PAYMENT, "paymentAmount": {"currency": "PHP", "value": "499.00"}}),
        result(**{**REFUND, "refundStatus": None}),
        result(authorizationNotifyType="AUTHCODE_CREATED", authState="as_1"),
        result(authorizationNotifyType="TOKEN_CANCELED"),
    ],
)
def test_signed_but_incomplete_is_unreadable(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()

    assert refused(signed(raw), raw) == "unreadable"


def test_forgeries_and_re_encodings_are_refused() -> None:
    body = json.dumps(result(**PAYMENT), ensure_ascii=False).encode()
    spaced = json.dumps(json.loads(body), indent=3).encode()

    assert refused(signed(body, key=FORGER_KEY), body) == "bad_signature"
    assert refused(signed(body, key=MERCHANT_KEY), body) == "bad_signature"
    assert refused(signed(body), spaced) == "bad_signature"
    assert refused(signed(body), body, path="/notifications/antom/gwa_2") == "bad_signature"
    assert refused({**signed(body), "Request-Time": "2025-08-01T08:00:06+08:00"}, body) == "bad_signature"
    assert refused({**signed(body), "Signature": "algorithm=none,signature=x"}, body) == "bad_signature"
    assert refused(signed(body, client_id="SANDBOX_other"), body) == "wrong_client"
    assert refused(signed(body), body, at=account(public_key="broken")) == "account_keys"
    for name in ("Client-Id", "Request-Time", "Signature"):
        assert refused({k: v for k, v in signed(body).items() if k != name}, body) == "unsigned"


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_one_changed_byte_is_one_too_many(position: int, change: int) -> None:
    body = bytearray(json.dumps(result(**PAYMENT)).encode())
    headers = signed(bytes(body))
    body[position % len(body)] ^= change

    assert refused(headers, bytes(body)) == "bad_signature"


def test_repeats_share_a_key_and_different_messages_do_not() -> None:
    bodies = [
        result(**PAYMENT),
        result("RISK_REJECT", "F", **PAYMENT),
        result(**{**PAYMENT, "notifyType": "PAYMENT_PENDING"}),
        result(**{**PAYMENT, "paymentId": "p2"}),
        result(**REFUND),
        result(**{**REFUND, "refundStatus": "FAIL"}),
        result(**AUTHCODE),
        result(**{**AUTHCODE, "authState": "as_2"}),
        result(authorizationNotifyType="TOKEN_CREATED", accessToken="at", authState="as_1"),
        result(authorizationNotifyType="TOKEN_CANCELED", accessToken="at"),
    ]
    keys = [one(body).dedupe_key for body in bodies]

    assert len(set(keys)) == len(keys)
    assert keys == [one(body).dedupe_key for body in bodies]


def test_the_customer_who_comes_back_is_the_same_news_as_the_notification() -> None:
    back = from_return({"authCode": "ac_secret", "authState": "as_1", "ref": "sub_01"})

    assert back == one(result(**AUTHCODE))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "no_code"),
        ({"authState": "as_1"}, "no_code"),
        ({"authCode": "ac"}, "unreadable"),
        ({"authCode": "a" * 129, "authState": "as_1"}, "unreadable"),
        ({"authCode": "a\x00", "authState": "as_1"}, "unreadable"),
    ],
)
def test_a_return_without_a_usable_code_is_refused(query: dict[str, str], code: str) -> None:
    with pytest.raises(BadNotification) as error:
        from_return(query)

    assert error.value.code == code


def test_answers_in_the_providers_own_format() -> None:
    assert json.loads(ACKNOWLEDGED) == {
        "result": {"resultCode": "SUCCESS", "resultStatus": "S", "resultMessage": "success"}
    }
    for code, status in [("bad_signature", 401), ("unsigned", 401), ("wrong_client", 401), ("unreadable", 400)]:
        got, body = refusal(code)
        assert got == status
        assert json.loads(body)["result"]["resultStatus"] == "F"


def test_the_api_can_import_it_without_the_http_client() -> None:
    script = "import sys, gateways.antom.notifications; sys.exit('httpx' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
