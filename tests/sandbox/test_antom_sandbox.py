"""The Antom sandbox over real HTTP: authorization, debits, cancels, refunds, as gateways/antom.md describes them."""

from __future__ import annotations

import httpx
import pytest

from tests.sandbox.support import Inbox, Merchant, code, until


async def test_a_customer_approves_and_is_debited(merchant: Merchant, inbox: Inbox) -> None:
    granted = await merchant.token()
    created = inbox.of("AUTHCODE_CREATED")[0]
    assert created["authState"] == "as_1"

    paid = await merchant.pay(granted["accessToken"])
    assert code(paid) == "SUCCESS"
    assert paid["paymentAmount"] == {"currency": "PHP", "value": "49900"}
    await until(lambda: inbox.of("PAYMENT_RESULT"))
    assert inbox.of("PAYMENT_RESULT")[0]["paymentId"] == paid["paymentId"]
    credential = (await merchant.admin("credentials"))["data"][0]
    assert await merchant.ledger() == [
        {
            "request_id": "pr_1",
            "kind": "debit",
            "amount": 49900,
            "currency": "PHP",
            "status": "succeeded",
            "virtual_time": "2027-01-31T01:00:00+00:00",
            "credential": credential["id"],
            "merchant_reference": "inv_1",
        }
    ]


@pytest.mark.parametrize("word", ["lost_answer_success", "timeout"])
async def test_the_connection_ends_without_an_answer(merchant: Merchant, word: str) -> None:
    token = (await merchant.token(word))["accessToken"]
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await merchant.pay(token)
    truth = await merchant.inquire()
    assert truth.get("paymentStatus", code(truth)) == (
        "SUCCESS" if word == "lost_answer_success" else "ORDER_NOT_EXIST"
    )
