"""Customs declarations at the Antom sandbox (gateways/antom.md §3.9, §3.10)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.antom.customs import UNKNOWN_PERSON
from tests.sandbox.support import START, Merchant, a_sandbox, code

CNY = {"currency": "CNY", "wallet": "ALIPAY_CN"}
BUYER = {
    "certificateType": "ID_CARD",
    "certificateNo": "310000199001010000",
    "holderName": {"fullName": "Zhang San"},
}


@pytest.fixture
async def antom(tmp_path: Path) -> AsyncIterator[Merchant]:
    async with a_sandbox(tmp_path) as (merchant, _):
        yield merchant


async def paid(antom: Merchant, **amount: str) -> str:
    """A payment; its paymentId."""
    wanted = CNY | amount
    token = (await antom.token(wallet=wanted["wallet"], state=f"as_{wanted['wallet']}"))["accessToken"]
    return str((await antom.pay(token, f"pr_{wanted['wallet']}", **wanted))["paymentId"])


def declaration(payment_id: str, request_id: str = "dc_1", value: str = "19900", **more: Any) -> dict[str, Any]:
    return {
        "declarationRequestId": request_id,
        "paymentId": payment_id,
        "declarationAmount": {"currency": "CNY", "value": value},
        "customs": {"customsCode": "ZONGSHU", "region": "CN"},
        "merchantCustomsInfo": {"merchantCustomsCode": "1234567890", "merchantCustomsName": "Example Trade Ltd"},
        "splitOrder": "true",
        "suborderId": "so_1",
        **more,
    }


async def declare(antom: Merchant, payment_id: str, *args: str, **more: Any) -> dict[str, Any]:
    return await antom.call("customs/declare", **declaration(payment_id, *args, **more))


async def record(antom: Merchant, request_id: str = "dc_1") -> dict[str, Any]:
    found = await antom.call("customs/inquiryDeclarationRequests", declarationRequestIds=[request_id])
    [row] = found["declarationRecords"]
    return dict(row)


async def script(antom: Merchant, words: str) -> None:
    await antom.admin(f"clients/{antom.client_id}/declarations/script", {"script": words})


async def test_a_declaration_is_taken_and_answered_by_customs_later(antom: Merchant) -> None:
    payment_id = await paid(antom)
    assert (await antom.inquire("pr_ALIPAY_CN"))["customsDeclarationAmount"] == {"currency": "CNY", "value": "49900"}
    before = await antom.ledger()
    taken = await declare(antom, payment_id, buyerCertificate=BUYER)
    assert taken["result"] == {"resultCode": "SUCCESS", "resultStatus": "S", "resultMessage": "success."}
    assert (taken["customsOrderId"], taken["identityCheckResult"]) == ("so_1", "CHECK_PASSED")
    assert (taken["clearingChannel"], taken["customsProviderRegistrationId"]) == ("NUCC", "31222699S7")
    waiting = await record(antom)
    assert waiting["declarationRequestStatus"] == "PROCESSING"
    assert waiting["customsPaymentId"] == taken["customsPaymentId"]
    assert waiting["declarationAmount"] == {"currency": "CNY", "value": "19900"}
    await antom.advance(START + timedelta(minutes=5))
    answered = await record(antom)
    assert answered["declarationRequestStatus"] == "SUCCESS"
    assert answered["splitOrder"] is True
    assert await antom.ledger() == before

    body = {"declarationRequestIds": ["dc_1", "dc_missing"]}
    found = await antom.call("customs/inquiryDeclarationRequests", **body)
    assert found["declarationRequestsNotFound"] == ["dc_missing"]
    assert [row["declarationRequestId"] for row in found["declarationRecords"]] == ["dc_1"]


async def test_an_id_is_taken_once(antom: Merchant) -> None:
    payment_id = await paid(antom)
    first = await declare(antom, payment_id)
    assert await declare(antom, payment_id) == first
    assert code(await declare(antom, payment_id, "dc_1", "19901")) == "REPEAT_REQ_INCONSISTENT"
    assert code(await declare(antom, payment_id, "dc_2", "30001")) == "PARAM_ILLEGAL"
    assert code(await declare(antom, payment_id, "dc_3", "30000")) == "SUCCESS"


async def test_what_cannot_be_declared_is_refused(antom: Merchant) -> None:
    payment_id = await paid(antom)
    assert code(await declare(antom, "nothing")) == "ORDER_NOT_EXIST"
    assert code(await declare(antom, payment_id, declarationAmount={"currency": "USD", "value": "1"})) == (
        "CURRENCY_NOT_SUPPORT"
    )
    other = await paid(antom, wallet="GCASH", currency="PHP")
    assert code(await declare(antom, other)) == "BUSINESS_NOT_SUPPORT"
    await antom.call("payments/cancel", paymentId=payment_id)
    assert code(await declare(antom, payment_id)) == "ORDER_STATUS_INVALID"


@pytest.mark.parametrize(
    "wrong",
    [
        {"suborderId": None},
        {"splitOrder": "maybe"},
        {"declarationRequestId": "d" * 33},
        {"customs": {"customsCode": "ZONGSHU", "region": "HK"}},
        {"merchantCustomsInfo": {"merchantCustomsCode": "1"}},
        {"buyerCertificate": BUYER | {"certificateType": "PASSPORT"}},
        {"buyerCertificate": BUYER | {"certificateNo": "1" * 65}},
    ],
)
async def test_a_malformed_declaration_is_illegal(antom: Merchant, wrong: dict[str, Any]) -> None:
    assert code(await declare(antom, await paid(antom), **wrong)) == "PARAM_ILLEGAL"


async def test_both_spellings_and_types_of_the_sdks_are_read(antom: Merchant) -> None:
    """Java, Go and PHP send `subOrderId`; scalars may be native."""
    body = declaration(await paid(antom), splitOrder=True, subOrderId="so_java")
    del body["suborderId"]
    assert (await antom.call("customs/declare", **body))["customsOrderId"] == "so_java"
    asked = [f"dc_{number}" for number in range(11)]
    assert code(await antom.call("customs/inquiryDeclarationRequests", declarationRequestIds=asked)) == "PARAM_ILLEGAL"


async def test_declarations_follow_their_script(antom: Merchant) -> None:
    payment_id = await paid(antom)
    await script(antom, "MERCHANT_NOT_REGISTERED,processing_then_failure,lost_answer_success,http_500")
    assert code(await declare(antom, payment_id, "dc_1", "100")) == "MERCHANT_NOT_REGISTERED"
    assert code(await declare(antom, payment_id, "dc_1", "100")) == "MERCHANT_NOT_REGISTERED"
    assert code(await declare(antom, payment_id, "dc_2", "100")) == "SUCCESS"
    with pytest.raises(httpx.RemoteProtocolError):
        await declare(antom, payment_id, "dc_3", "100")
    assert (await record(antom, "dc_3"))["declarationRequestStatus"] == "PROCESSING"
    with pytest.raises(AssertionError):
        await declare(antom, payment_id, "dc_4", "100")
    await antom.advance(START + timedelta(minutes=5))
    refused = await record(antom, "dc_2")
    assert refused["declarationRequestStatus"] == "FAIL"
    assert refused["customsDeclarationResultCode"] == "REFUSED_BY_CUSTOMS"
    body = {"declarationRequestIds": ["dc_1", "dc_4"]}
    found = await antom.call("customs/inquiryDeclarationRequests", **body)
    assert found["declarationRequestsNotFound"] == ["dc_1", "dc_4"]
    someone = BUYER | {"certificateNo": UNKNOWN_PERSON}
    await script(antom, "success")
    unknown = await declare(antom, payment_id, "dc_5", "100", buyerCertificate=someone)
    assert unknown["identityCheckResult"] == "CHECK_NOT_PASSED"
