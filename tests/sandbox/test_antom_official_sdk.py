"""Antom's own Python SDK against the sandbox: it signs, sends, and checks signatures with its unchanged code.

The SDK always connects to port 443 with TLS. The only thing replaced is the connection class its HTTP helper opens.
"""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import asyncio
import base64
import http.client
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from com.alipay.ams.api.default_alipay_client import DefaultAlipayClient
from com.alipay.ams.api.exception.exception import AlipayApiException
from com.alipay.ams.api.model.amount import Amount
from com.alipay.ams.api.model.certificate import Certificate
from com.alipay.ams.api.model.certificate_type import CertificateType
from com.alipay.ams.api.model.customer_belongs_to import CustomerBelongsTo
from com.alipay.ams.api.model.customs_info import CustomsInfo
from com.alipay.ams.api.model.env import Env
from com.alipay.ams.api.model.grant_type import GrantType
from com.alipay.ams.api.model.merchant_customs_info import MerchantCustomsInfo
from com.alipay.ams.api.model.order import Order
from com.alipay.ams.api.model.os_type import OsType
from com.alipay.ams.api.model.payment_method import PaymentMethod
from com.alipay.ams.api.model.product_code_type import ProductCodeType
from com.alipay.ams.api.model.scope_type import ScopeType
from com.alipay.ams.api.model.terminal_type import TerminalType
from com.alipay.ams.api.model.user_name import UserName
from com.alipay.ams.api.net import default_http_rpc
from com.alipay.ams.api.request.auth.alipay_auth_apply_token_request import AlipayAuthApplyTokenRequest
from com.alipay.ams.api.request.auth.alipay_auth_consult_request import AlipayAuthConsultRequest
from com.alipay.ams.api.request.auth.alipay_auth_revoke_token_request import AlipayAuthRevokeTokenRequest
from com.alipay.ams.api.request.declare.alipay_customs_declare_request import AlipayCustomsDeclareRequest
from com.alipay.ams.api.request.declare.alipay_customs_query_request import AlipayCustomsQueryRequest
from com.alipay.ams.api.request.pay.alipay_inquiry_refund_request import AlipayInquiryRefundRequest
from com.alipay.ams.api.request.pay.alipay_pay_cancel_request import AlipayPayCancelRequest
from com.alipay.ams.api.request.pay.alipay_pay_query_request import AlipayPayQueryRequest
from com.alipay.ams.api.request.pay.alipay_pay_request import AlipayPayRequest
from com.alipay.ams.api.request.pay.alipay_refund_request import AlipayRefundRequest
from com.alipay.ams.api.response.auth.alipay_auth_apply_token_response import AlipayAuthApplyTokenResponse
from com.alipay.ams.api.response.declare.alipay_customs_declare_response import AlipayCustomsDeclareResponse
from com.alipay.ams.api.response.pay.alipay_pay_query_response import AlipayPayQueryResponse
from com.alipay.ams.api.tools.webhook_tool import check_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI, Request, Response

from sandbox.antom.app import create_app
from sandbox.antom.keys import public_text
from tests.sandbox.support import CLIENT_ID, KEY, PATIENCE, PATIENT, SUCCESS, serving

HOST = "https://open-sea-global.alipay.com"
# The SDK reads bare base64 only as PKCS#1.
PRIVATE_KEY = base64.b64encode(
    KEY.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
).decode()


@dataclass
class Sdk:
    """The SDK's client, and the sandbox it talks to."""

    client: Any
    antom_key: str
    url: str
    notified: list[tuple[Request, str]]

    async def execute(self, request: Any) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(await asyncio.to_thread(self.client.execute, request))
        return parsed


@pytest.fixture(params=[CLIENT_ID, "5X00000000000001"], ids=["sandbox paths", "production paths"])
async def sdk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sdk]:
    notified: list[tuple[Request, str]] = []

    async def take(message: Request) -> Response:
        notified.append((message, (await message.body()).decode()))
        return Response(json.dumps(SUCCESS), media_type="application/json")

    hooks = FastAPI()
    hooks.add_route("/hooks", take, methods=["POST"])
    async with serving(hooks) as hook, serving(create_app(tmp_path / "antom.sqlite3", settings=PATIENT)) as url:

        def plain(**_: Any) -> http.client.HTTPConnection:
            return http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=PATIENCE)

        monkeypatch.setattr(default_http_rpc, "http_client", SimpleNamespace(HTTPSConnection=plain))
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as admin:
            registered = await admin.post(
                f"{url}/_sandbox/clients",
                json={"client_id": request.param, "public_key": public_text(KEY), "notify_url": f"{hook}/hooks"},
            )
        antom_key = registered.json()["public_key"]
        yield Sdk(DefaultAlipayClient(HOST, request.param, PRIVATE_KEY, antom_key), antom_key, url, notified)


def consult(wallet: Any = CustomerBelongsTo.GCASH) -> Any:
    request = AlipayAuthConsultRequest()
    request.customer_belongs_to = wallet
    request.auth_redirect_url = "https://shop.example/back"
    request.scopes = [ScopeType.AGREEMENT_PAY, ScopeType.BASE_USER_INFO]
    request.auth_state = "as_sdk"
    request.terminal_type = TerminalType.WAP
    request.os_type = OsType.ANDROID
    request.recurring_payment = True
    return request


def apply_token(grant: Any, wallet: Any = CustomerBelongsTo.GCASH, **secret: str) -> Any:
    request = AlipayAuthApplyTokenRequest()
    request.grant_type = grant
    request.customer_belongs_to = wallet
    for name, value in secret.items():
        setattr(request, name, value)
    return request


def pay(token: str, request_id: str, wallet: str = "GCASH", currency: str = "PHP") -> Any:
    amount = Amount()
    amount.currency, amount.value = currency, "49900"
    request = AlipayPayRequest()
    request.product_code = ProductCodeType.AGREEMENT_PAYMENT
    request.payment_request_id = request_id
    request.order = Order()
    request.order.reference_order_id = "inv_sdk"
    request.order.order_description = "Café, monthly"
    request.order.order_amount = amount
    request.payment_amount = amount
    request.payment_method = PaymentMethod()
    request.payment_method.payment_method_type = wallet
    request.payment_method.payment_method_id = token
    request.env = Env()
    request.env.terminal_type = TerminalType.WEB
    return request


def refund(payment_id: str, request_id: str, value: str) -> Any:
    request = AlipayRefundRequest()
    request.refund_request_id = request_id
    request.payment_id = payment_id
    request.refund_amount = Amount()
    request.refund_amount.currency, request.refund_amount.value = "PHP", value
    return request


def declaration(payment_id: str) -> Any:
    request = AlipayCustomsDeclareRequest()
    request.declaration_request_id = "dcl_sdk"
    request.payment_id = payment_id
    request.declaration_amount = Amount()
    request.declaration_amount.currency, request.declaration_amount.value = "CNY", "19900"
    request.customs = by(CustomsInfo(), customs_code="ZONGSHU", region="CN")
    request.merchant_customs_info = by(
        MerchantCustomsInfo(), merchant_customs_code="1234567890", merchant_customs_name="Example Trade Ltd"
    )
    request.split_order = True
    request.suborder_id = "so_sdk"
    holder = by(UserName(), full_name="Zhang San")
    request.buyer_certificate = by(
        Certificate(),
        certificate_type=CertificateType.ID_CARD,
        certificate_no="310000199001010000",
        holder_name=holder,
    )
    return request


def by(request: Any, **ids: Any) -> Any:
    for name, value in ids.items():
        setattr(request, name, value)
    return request


async def grant(sdk: Sdk, script: str = "", wallet: Any = CustomerBelongsTo.GCASH) -> Any:
    opened = await sdk.execute(consult(wallet))
    page = f"{sdk.url}/wallet/authorize?{urlsplit(opened['normalUrl']).query}"
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as browser:
        back = await browser.post(page, data={"decision": "approve", "script": script})
    code = parse_qs(urlsplit(back.headers["location"]).query)["authCode"][0]
    body = await sdk.execute(apply_token(GrantType.AUTHORIZATION_CODE, wallet, auth_code=code))
    return AlipayAuthApplyTokenResponse(json.dumps(body))


async def test_the_sdk_authorizes_refreshes_and_revokes(sdk: Sdk) -> None:
    granted = await grant(sdk)
    assert granted.psp_customer_info.psp_name == "GCash"

    body = await sdk.execute(apply_token(GrantType.REFRESH_TOKEN, refresh_token=granted.refresh_token))
    refreshed = AlipayAuthApplyTokenResponse(json.dumps(body))
    assert refreshed.access_token != granted.access_token
    assert (await sdk.execute(pay(granted.access_token, "pr_old")))["result"]["resultCode"] == "INVALID_ACCESS_TOKEN"

    revoke = by(AlipayAuthRevokeTokenRequest(), access_token=refreshed.access_token)
    assert (await sdk.execute(revoke))["result"]["resultStatus"] == "S"
    assert (await sdk.execute(revoke))["result"]["resultCode"] == "INVALID_ACCESS_TOKEN"


async def test_the_sdk_pays_inquires_refunds_and_cancels(sdk: Sdk) -> None:
    token = (await grant(sdk, "success,insufficient_funds,success")).access_token
    paid = await sdk.execute(pay(token, "pr_1"))
    assert paid["result"]["resultStatus"] == "S"
    declined = await sdk.execute(pay(token, "pr_2"))
    assert declined["result"] == {
        "resultCode": "USER_BALANCE_NOT_ENOUGH",
        "resultStatus": "F",
        "resultMessage": "The user balance is not enough for the payment.",
    }

    assert (await sdk.execute(refund(paid["paymentId"], "rf_1", "10000")))["result"]["resultStatus"] == "S"
    inquired = await sdk.execute(by(AlipayInquiryRefundRequest(), refund_request_id="rf_1"))
    assert inquired["refundStatus"] == "SUCCESS"
    body = await sdk.execute(by(AlipayPayQueryRequest(), payment_request_id="pr_1"))
    truth = AlipayPayQueryResponse(json.dumps(body))
    assert truth.payment_status.value == "SUCCESS"
    assert truth.payment_amount.value == "49900"
    assert [part.transaction_request_id for part in truth.transactions] == ["rf_1"]

    await sdk.execute(pay(token, "pr_3"))
    canceled = await sdk.execute(by(AlipayPayCancelRequest(), payment_request_id="pr_3"))
    assert canceled["result"]["resultStatus"] == "S"


async def test_the_sdk_declares_at_customs_and_inquires(sdk: Sdk) -> None:
    token = (await grant(sdk, wallet=CustomerBelongsTo.ALIPAY_CN)).access_token
    paid = await sdk.execute(pay(token, "pr_cn", "ALIPAY_CN", "CNY"))
    declared = AlipayCustomsDeclareResponse(json.dumps(await sdk.execute(declaration(paid["paymentId"]))))
    assert declared.identity_check_result == "CHECK_PASSED"
    assert declared.clearing_channel == "NUCC"
    inquiry = by(AlipayCustomsQueryRequest(), declaration_request_ids=["dcl_sdk", "dcl_missing"])
    # The SDK's own class for this answer cannot read any record: CustomsInfo has no parse_rsp_body in 1.5.5.
    found = await sdk.execute(inquiry)
    assert found["declarationRequestsNotFound"] == ["dcl_missing"]
    [record] = found["declarationRecords"]
    assert record["declarationAmount"] == {"currency": "CNY", "value": "19900"}
    assert record["customsPaymentId"] == declared.customs_payment_id


async def test_the_sdk_accepts_the_notifications(sdk: Sdk) -> None:
    await grant(sdk)
    message, body = sdk.notified[0]
    headers = message.headers
    assert check_signature(
        "POST", "/hooks", headers["client-id"], headers["request-time"], body, headers["signature"], sdk.antom_key
    )


async def test_the_sdk_refuses_a_wrongly_signed_answer(sdk: Sdk) -> None:
    token = (await grant(sdk, "bad_signature")).access_token
    with pytest.raises(AlipayApiException, match="verify failed"):
        await sdk.execute(pay(token, "pr_1"))
