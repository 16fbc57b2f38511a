"""The Antom sandbox over real HTTP: authentication, authorization, tokens (gateways/antom.md §1-3, §12)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from sandbox.antom.keys import public_text
from tests.sandbox.support import CLIENT_ID, FAST, PATIENT, START, Inbox, Merchant, a_sandbox, code, until

DAY = timedelta(days=1)


def at(merchant: Merchant, later: timedelta) -> None:
    """Lets the merchant's next calls happen this much later."""
    assert merchant.now is not None
    merchant.now += later


# Who is calling


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"client_id": "SANDBOX_nobody"}, "UNKNOWN_CLIENT"),
        ({"signature": "algorithm=RSA256,keyVersion=1,signature=QUJD"}, "INVALID_SIGNATURE"),
        ({"signature": ""}, "INVALID_SIGNATURE"),
        ({"request_time": "1754006400123"}, "INVALID_SIGNATURE"),
        ({"request_time": "soon"}, "INVALID_SIGNATURE"),
        ({"content_type": "text/plain"}, "MEDIA_TYPE_NOT_ACCEPTABLE"),
        ({"method": "PUT"}, "METHOD_NOT_SUPPORTED"),
    ],
)
async def test_a_caller_that_is_not_authenticated_gets_an_unsigned_refusal(
    merchant: Merchant, change: dict[str, str], expected: str
) -> None:
    answer = await merchant.send("payments/inquiryPayment", b'{"paymentRequestId":"pr_1"}', **change)
    assert answer.status_code == 200
    assert code(answer.json()) == expected
    assert "signature" not in answer.headers


async def test_a_changed_byte_is_noticed(merchant: Merchant) -> None:
    signed = await merchant.send("payments/inquiryPayment", b'{"paymentRequestId":"pr_1"}')
    headers = {name: signed.request.headers[name] for name in ("client-id", "request-time", "signature")}
    answer = await merchant.http.post(
        signed.request.url,
        content=b'{"paymentRequestId":"pr_2"}',
        headers=headers | {"content-type": "application/json"},
    )
    assert code(answer.json()) == "INVALID_SIGNATURE"


async def test_a_re_registered_key_replaces_the_old_one(merchant: Merchant, inbox: Inbox) -> None:
    old = merchant.key
    merchant.key = generate_private_key(65537, 2048)
    await merchant.register(inbox.url)
    assert code(await merchant.inquire()) == "ORDER_NOT_EXIST"
    merchant.key = old
    answer = await merchant.send("payments/inquiryPayment", b'{"paymentRequestId":"pr_1"}')
    assert code(answer.json()) == "INVALID_SIGNATURE"


@pytest.mark.parametrize("prefix", ["/ams/api/v1/", "/ams/sandbox/api/v1/"])
@pytest.mark.parametrize("spelling", ["epoch", "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%S+0000"])
async def test_both_paths_and_every_spelling_of_the_time_are_accepted(
    merchant: Merchant, prefix: str, spelling: str
) -> None:
    now = datetime.now(UTC)
    time = str(int(now.timestamp() * 1000)) if spelling == "epoch" else now.strftime(spelling)
    answer = await merchant.send(
        "payments/inquiryPayment", b'{"paymentRequestId":"pr_1"}', prefix=prefix, request_time=time
    )
    merchant.check(answer)
    assert code(answer.json()) == "ORDER_NOT_EXIST"
    names = [name.decode() for name, _ in answer.headers.raw]
    assert {"client-id", "response-time", "signature"} <= set(names)


async def test_an_unknown_api_is_refused_with_a_signature(merchant: Merchant) -> None:
    answer = await merchant.send("payments/unheardOf", b"{}")
    merchant.check(answer)
    assert code(answer.json()) == "NO_INTERFACE_DEF"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'"text"', b"\xff", b'{"paymentRequestId":""}'])
async def test_a_body_that_is_no_request_is_illegal(merchant: Merchant, body: bytes) -> None:
    answer = await merchant.send("payments/inquiryPayment", body)
    merchant.check(answer)
    assert code(answer.json()) == "PARAM_ILLEGAL"


# The customer's page


async def test_the_page_names_merchant_wallet_and_scopes_and_the_customer_comes_back(
    merchant: Merchant, inbox: Inbox
) -> None:
    page = await merchant.consult()
    shown = await merchant.http.get(page)
    assert shown.status_code == 200
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    for expected in (CLIENT_ID, "GCash", "Charge your wallet", 'value="approve"', 'value="reject"', 'name="script"'):
        assert expected in shown.text

    back = await merchant.http.post(page, data={"decision": "approve"})
    assert back.status_code == 303
    created = inbox.of("AUTHCODE_CREATED")  # acknowledged before the answer
    location = urlsplit(back.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == "https://shop.example/back"
    assert parse_qs(location.query) == {"ref": ["1"], "authCode": [created[0]["authCode"]], "authState": ["as_1"]}


async def test_text_from_outside_is_escaped_on_the_page(merchant: Merchant) -> None:
    await merchant.admin(
        "clients",
        {"client_id": "5X1", "public_key": public_text(merchant.key), "name": "<script>alert(1)</script>"},
    )
    merchant.client_id = "5X1"
    shown = await merchant.http.get(await merchant.consult())
    assert "<script>" not in shown.text
    assert "&lt;script&gt;" in shown.text


async def test_a_link_works_once(merchant: Merchant) -> None:
    page = await merchant.consult()
    await merchant.approve(page)
    for again in (await merchant.http.get(page), await merchant.http.post(page, data={"decision": "approve"})):
        assert again.status_code == 409
        assert "Already answered" in again.text


async def test_a_link_expires_with_its_clock(merchant: Merchant) -> None:
    page = await merchant.consult()
    at(merchant, timedelta(minutes=15))
    await merchant.inquire()
    assert (await merchant.http.get(page)).status_code == 410
    assert (await merchant.http.post(page, data={"decision": "approve"})).status_code == 410
    assert (await merchant.http.get(page + "x")).status_code == 404


async def test_a_customer_who_declines_is_not_sent_back(merchant: Merchant, inbox: Inbox) -> None:
    page = await merchant.consult()
    answer = await merchant.http.post(page, data={"decision": "reject"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/wallet/declined")
    assert (await merchant.http.get(f"{merchant.base_url}/wallet/declined")).status_code == 200
    assert (await merchant.http.post(page, data={"decision": "approve"})).status_code == 409
    assert inbox.received == []


async def test_an_unknown_script_or_decision_changes_nothing(merchant: Merchant) -> None:
    page = await merchant.consult()
    assert (await merchant.http.post(page, data={"decision": "approve", "script": "win"})).status_code == 422
    assert (await merchant.http.post(page, data={"decision": "perhaps"})).status_code == 422
    await merchant.approve(page, "risk_reject")


async def test_a_merchant_that_does_not_acknowledge_delays_the_redirect_only(merchant: Merchant, inbox: Inbox) -> None:
    inbox.answers = [(500, {})]
    await merchant.approve(await merchant.consult())
    assert len(inbox.of("AUTHCODE_CREATED")) == 1


async def test_a_merchant_that_never_answers_delays_the_redirect_for_a_while(tmp_path: Path) -> None:
    async with a_sandbox(tmp_path, replace(FAST, acknowledge_within=0.3)) as (merchant, inbox):
        inbox.hold.clear()
        assert await merchant.approve(await merchant.consult())
        assert inbox.received == []
        inbox.hold.set()
        await merchant.quiet()
        assert len(inbox.of("AUTHCODE_CREATED")) == 1


async def test_the_notify_url_of_the_request_wins(merchant: Merchant, inbox: Inbox) -> None:
    elsewhere = inbox.url.replace("/hooks/antom", "/elsewhere")
    await merchant.approve(await merchant.consult(authNotifyUrl=elsewhere))
    assert (await merchant.admin("notifications"))["data"][0]["url"] == elsewhere


async def test_a_consult_is_repeatable_until_the_customer_decided(merchant: Merchant) -> None:
    first, second = await merchant.consult(), await merchant.consult()
    assert first != second
    await merchant.approve(second)
    assert (await merchant.http.get(first)).status_code == 409
    with pytest.raises(AssertionError, match="authState was used before"):
        await merchant.consult()
    assert await merchant.consult(state="as_2")


CONSULT = {
    "customerBelongsTo": "GCASH",
    "authRedirectUrl": "https://shop.example/back",
    "scopes": ["AGREEMENT_PAY"],
    "authState": "as_1",
    "terminalType": "WEB",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"customerBelongsTo": "NO_SUCH_WALLET"}, "NO_PAY_OPTIONS"),
        ({"authState": ""}, "PARAM_ILLEGAL"),
        ({"authState": "x" * 257}, "PARAM_ILLEGAL"),
        ({"authState": None}, "PARAM_ILLEGAL"),
        ({"scopes": ["USER_INFO"]}, "PARAM_ILLEGAL"),
        ({"scopes": []}, "PARAM_ILLEGAL"),
        ({"authRedirectUrl": "javascript:alert(1)"}, "PARAM_ILLEGAL"),
        ({"authRedirectUrl": "https://shop.example/\r\nx-evil: 1"}, "PARAM_ILLEGAL"),
        ({"terminalType": None}, "PARAM_ILLEGAL"),
        ({"terminalType": "WAP"}, "PARAM_ILLEGAL"),
        ({"terminalType": None, "env": {"terminalType": "WAP", "osType": "IOS"}}, "SUCCESS"),
        ({"authRedirectUrl": "myshop://back"}, "SUCCESS"),
        ({"recurringPayment": "true", "unheardOf": {"a": 1}}, "SUCCESS"),
        ({"recurringPayment": True}, "SUCCESS"),
    ],
)
async def test_consult_checks_its_fields(merchant: Merchant, change: dict[str, Any], expected: str) -> None:
    assert code(await merchant.call("authorizations/consult", **CONSULT | change)) == expected


# Tokens


async def exchange(merchant: Merchant, auth_code: str, wallet: str = "GCASH") -> dict[str, Any]:
    return await merchant.call(
        "authorizations/applyToken", grantType="AUTHORIZATION_CODE", customerBelongsTo=wallet, authCode=auth_code
    )


async def refresh(merchant: Merchant, token: str, wallet: str = "GCASH") -> dict[str, Any]:
    return await merchant.call(
        "authorizations/applyToken", grantType="REFRESH_TOKEN", customerBelongsTo=wallet, refreshToken=token
    )


async def test_tokens_live_as_long_as_the_wallet_says(merchant: Merchant) -> None:
    granted = await merchant.token()
    assert granted["accessTokenExpiryTime"] == "2027-07-30T09:00:00+08:00"
    assert granted["refreshTokenExpiryTime"] == "2028-01-31T09:00:00+08:00"
    lasting = await merchant.token(wallet="ZALOPAY", state="as_2")
    assert lasting["accessTokenExpiryTime"] == "2037-01-28T09:00:00+08:00"
    assert "refreshToken" not in lasting


async def test_a_code_repeats_its_tokens_for_a_minute_and_then_is_dead(merchant: Merchant) -> None:
    auth_code = await merchant.approve(await merchant.consult())
    assert code(await exchange(merchant, auth_code, "MAYA")) == "PARAM_ILLEGAL"
    first = await exchange(merchant, auth_code)
    assert (await exchange(merchant, auth_code))["accessToken"] == first["accessToken"]
    at(merchant, timedelta(seconds=60))
    assert code(await exchange(merchant, auth_code)) == "PARAM_ILLEGAL"
    assert code(await exchange(merchant, "ac_wrong")) == "PARAM_ILLEGAL"


async def test_a_code_can_be_set_to_work_strictly_once(tmp_path: Path) -> None:
    async with a_sandbox(tmp_path, replace(PATIENT, code_repeats=False)) as (merchant, _):
        auth_code = await merchant.approve(await merchant.consult())
        assert code(await exchange(merchant, auth_code)) == "SUCCESS"
        assert code(await exchange(merchant, auth_code)) == "PARAM_ILLEGAL"


async def test_a_refresh_replaces_both_tokens(merchant: Merchant) -> None:
    granted = await merchant.token()
    at(merchant, 170 * DAY)
    fresh = await refresh(merchant, granted["refreshToken"])
    assert fresh["accessTokenExpiryTime"] == "2028-01-16T09:00:00+08:00"
    assert code(await merchant.pay(granted["accessToken"], "pr_1")) == "INVALID_ACCESS_TOKEN"
    assert code(await merchant.pay(fresh["accessToken"], "pr_2")) == "SUCCESS"


async def test_a_repeated_refresh_gets_the_same_pair_for_five_minutes(merchant: Merchant) -> None:
    granted = await merchant.token()
    fresh = await refresh(merchant, granted["refreshToken"])
    at(merchant, timedelta(minutes=4, seconds=59))
    assert (await refresh(merchant, granted["refreshToken"]))["accessToken"] == fresh["accessToken"]
    at(merchant, timedelta(seconds=1))
    assert code(await refresh(merchant, granted["refreshToken"])) == "INVALID_REFRESH_TOKEN"
    assert code(await refresh(merchant, fresh["refreshToken"])) == "SUCCESS"


async def test_an_expired_token_cannot_be_debited_but_refreshed(merchant: Merchant) -> None:
    granted = await merchant.token()
    at(merchant, 180 * DAY)
    assert code(await merchant.pay(granted["accessToken"])) == "INVALID_ACCESS_TOKEN"
    assert (await merchant.admin("credentials"))["data"][0]["status"] == "expired"
    assert (await merchant.ledger())[0]["status"] == "failed"
    fresh = await refresh(merchant, granted["refreshToken"])
    at(merchant, 365 * DAY)
    assert code(await refresh(merchant, fresh["refreshToken"])) == "EXPIRED_REFRESH_TOKEN"


async def test_a_revoked_token_is_dead_and_the_merchant_is_told(merchant: Merchant, inbox: Inbox) -> None:
    granted = await merchant.token()
    assert code(await merchant.call("authorizations/revoke", accessToken=granted["accessToken"])) == "SUCCESS"
    await until(lambda: inbox.of("TOKEN_CANCELED"))
    assert inbox.of("TOKEN_CANCELED")[0]["accessToken"] == granted["accessToken"]
    again = await merchant.call("authorizations/revoke", accessToken=granted["accessToken"])
    assert code(again) == "INVALID_ACCESS_TOKEN"
    assert code(await merchant.pay(granted["accessToken"])) == "INVALID_ACCESS_TOKEN"
    assert code(await refresh(merchant, granted["refreshToken"])) == "INVALID_REFRESH_TOKEN"


async def test_the_payer_revokes_at_the_provider(merchant: Merchant, inbox: Inbox) -> None:
    granted = await merchant.token()
    credential = (await merchant.admin("credentials"))["data"][0]
    assert credential["token"] == granted["accessToken"]
    for _ in range(2):
        assert (await merchant.admin(f"credentials/{credential['id']}/revoke", {}))["status"] == "revoked"
    await merchant.advance(START + DAY)
    assert [body["reason"] for body in inbox.of("TOKEN_CANCELED")] == ["cancelled by the customer in the wallet"]


async def test_one_merchant_does_not_see_anothers_tokens_and_payments(merchant: Merchant, inbox: Inbox) -> None:
    granted = await merchant.token()
    await merchant.pay(granted["accessToken"])
    other = Merchant(merchant.base_url, merchant.key, client_id="5X2", clock="clk_1", now=merchant.now)
    await other.register(inbox.url)
    assert code(await other.inquire()) == "ORDER_NOT_EXIST"
    assert code(await other.pay(granted["accessToken"])) == "INVALID_ACCESS_TOKEN"
    assert code(await other.call("authorizations/revoke", accessToken=granted["accessToken"])) == "INVALID_ACCESS_TOKEN"
    await other.http.aclose()


async def test_scalars_may_be_native_or_text(merchant: Merchant) -> None:
    token = (await merchant.token())["accessToken"]
    body = merchant.payment(token, "pr_1")
    body["paymentAmount"] = {"currency": "PHP", "value": 49900}
    assert code(await merchant.call("payments/pay", **body)) == "SUCCESS"
    pretty = json.dumps(merchant.payment(token, "pr_1"), indent=3).encode()
    assert code((await merchant.send("payments/pay", pretty)).json()) == "SUCCESS"
    assert len(await merchant.ledger()) == 1
