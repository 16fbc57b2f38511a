"""Ottu's own Python SDK against the sandbox, with its unchanged code.

It would reach its merchant's host over TLS. Its host is set, and the HTTP client it sends with.
"""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from ottu import Ottu, OttuAsync
from ottu.auth import APIKeyAuth, BasicAuth
from ottu.enums import TxnType
from ottu.utils.webhooks import verify_signature

from tests.sandbox.ottu_support import AGREEMENT, API_KEY, HMAC_KEY, START, VISA, Merchant, query_of

CLOCK = "clk_1"


class Sdk:
    """The SDK's client, and the calls on it in a thread of their own."""

    def __init__(self, merchant: Merchant, auth: Any) -> None:
        self.client = Ottu("acme.ottu.net", auth=auth, customer_id="cust_7781")
        self.client.host_url = merchant.base_url
        headers = {"x-sandbox-clock": CLOCK, "x-sandbox-time": START.isoformat()}
        self.client.request_session = httpx.Client(auth=auth, trust_env=False, headers=headers)

    def at(self, later: timedelta) -> None:
        """Lets the next calls happen this much after the start."""
        self.client.request_session.headers["x-sandbox-time"] = (START + later).isoformat()

    async def __call__(self, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """The response of a call that succeeded."""
        answer = await asyncio.to_thread(method, *args, **named)
        assert answer["success"], answer
        return answer["response"]


@pytest.fixture(params=["standard", "extended"])
async def sdk(request: pytest.FixtureRequest, ottu: Merchant) -> AsyncIterator[Sdk]:
    await ottu.register(instance={"signature": request.param})
    sdk = Sdk(ottu, APIKeyAuth(API_KEY))
    yield sdk
    sdk.client.request_session.close()


def checkout(ottu: Merchant, **changes: Any) -> dict[str, Any]:
    return {
        "txn_type": TxnType.E_COMMERCE,
        "amount": "12.500",
        "currency_code": "KWD",
        "pg_codes": ["mpgs-kwd"],
        "payment_type": "auto_debit",
        "customer_email": "noor@example.test",
        "order_no": "INV-1",
        "agreement": AGREEMENT,
        "card_acceptance_criteria": {"min_expiry_time": 30},
        "webhook_url": f"{ottu.inbox.url}/hooks",
        "redirect_url": "https://merchant.test/return",
    } | changes


def signed(body: dict[str, Any]) -> bool:
    return bool(verify_signature(body, body["signature"], HMAC_KEY))


async def agree(sdk: Sdk, ottu: Merchant, script: str = "", **changes: Any) -> str:
    """A first payment through the SDK and the page; the token of the webhook the SDK believes."""
    session = await sdk(sdk.client.checkout, **checkout(ottu, **changes))
    back = await ottu.pay(session["checkout_url"], script)
    assert query_of(back)["session_id"] == session["session_id"] == sdk.client.session.session_id
    body = ottu.inbox.received[-1]
    assert signed(body)
    assert not signed(body | {"amount": "1.000"})
    return str(body["token"]["token"])


async def test_the_sdk_finds_a_gateway_agrees_and_debits(sdk: Sdk, ottu: Merchant) -> None:
    found = await sdk(sdk.client.get_payment_methods, TxnType.E_COMMERCE, currencies=["KWD"], tokenizable=True)
    assert "mpgs-kwd" in [method["code"] for method in found["payment_methods"]]
    raw = sdk.client.raw
    body = {"plugin": "e_commerce", "currencies": ["USD"], "auto_debit": True}
    answer = await asyncio.to_thread(raw, "POST", "/b/pbl/v2/payment-methods/", json=body)
    assert [method["code"] for method in answer.response["payment_methods"]] == ["mpgs-usd"]

    token = await agree(sdk, ottu, "success,insufficient_funds,http_400")
    session = await sdk(sdk.client.checkout, **checkout(ottu, order_no="INV-2"))
    paid = await sdk(sdk.client.auto_debit, token=token, session_id=session["session_id"])
    assert (paid["result"], paid["state"], signed(paid)) == ("success", "paid", True)

    session = await sdk(sdk.client.checkout, **checkout(ottu, order_no="INV-3"))
    declined = await sdk(sdk.client.auto_debit, token=token, session_id=session["session_id"])
    assert (declined["result"], declined["state"], signed(declined)) == ("failed", "attempted", True)
    refused = await asyncio.to_thread(sdk.client.auto_debit, token=token, session_id=session["session_id"])
    assert (refused["success"], refused["status_code"], refused["error"]["result"]) == (False, 400, "failed")


async def test_the_sdks_own_flow_debits_at_the_tokens_gateway(sdk: Sdk, ottu: Merchant) -> None:
    token = await agree(sdk, ottu)
    flow = checkout(ottu, order_no="INV-2", customer_id="cust_7781", token=token)
    del flow["payment_type"]
    paid = await sdk(sdk.client.auto_debit_autoflow, **flow)
    assert (paid["result"], paid["order_no"]) == ("success", "INV-2")


async def test_the_sdk_debits_in_one_step(sdk: Sdk, ottu: Merchant) -> None:
    token = await agree(sdk, ottu)
    instrument = {"instrument_type": "token", "payload": {"token": token}}
    paid = await sdk(sdk.client.checkout, **checkout(ottu, order_no="INV-2", payment_instrument=instrument))
    assert (paid["result"], paid["state"]) == ("success", "paid")


async def test_the_sdk_lists_and_deletes_cards(sdk: Sdk, ottu: Merchant) -> None:
    old = await agree(sdk, ottu)
    session = await sdk(sdk.client.checkout, **checkout(ottu))
    locked = await asyncio.to_thread(sdk.client.cards.delete, old)
    assert (locked["status_code"], list(locked["error"])) == (400, ["detail"])
    await ottu.pay(session["checkout_url"], card=VISA)
    linked = await asyncio.to_thread(sdk.client.cards.get, agreement_id="AGR-0042")
    assert (linked["brand"], linked["agreements"]) == ("VISA", ["AGR-0042"])
    assert {card["token"] for card in await sdk(sdk.client.cards.list)} == {old, linked["token"]}
    assert await sdk(sdk.client.cards.delete, old) == {}
    assert [card["token"] for card in await sdk(sdk.client.cards.list)] == [linked["token"]]
    assert await asyncio.to_thread(sdk.client.cards.get, customer_id="nobody") is None


async def test_the_sdk_updates_retrieves_and_cancels(sdk: Sdk, ottu: Merchant) -> None:
    created = await sdk(sdk.client.checkout, **checkout(ottu))
    changed = await sdk(sdk.client.session.update, amount="15", expiration_time="3 00:00:00")
    assert (changed["amount"], changed["expiration_time"]) == ("15.000", "3 00:00:00")
    assert (await sdk(sdk.client.session.retrieve, created["session_id"])) == changed
    done = await sdk(sdk.client.session.cancel)
    assert done["result"] == "success"
    assert sdk.client.session.state == "canceled"  # read by the SDK itself after its call
    await sdk(sdk.client.session.delete)


async def test_the_sdk_refunds_once_and_asks_how_the_payment_stands(sdk: Sdk, ottu: Merchant) -> None:
    await agree(sdk, ottu)
    session_id = ottu.inbox.received[-1]["session_id"]
    refund = sdk.client.session.refund
    first = await sdk(refund, session_id=session_id, amount="2.5", tracking_key="rf_1")
    assert (first["result"], first["txn"]["state"], signed(first)) == ("success", "refunded", True)
    again = await sdk(refund, session_id=session_id, amount="2.5", tracking_key="rf_1")
    assert (again["session_id"], signed(again)) == (first["txn"]["session_id"], True)
    assert (await ottu.movements())[1:] == [("refund", "succeeded", 2500)]

    early = await asyncio.to_thread(sdk.client.session.psq, session_id=session_id)
    assert (early["success"], early["status_code"]) == (False, 429)
    sdk.at(timedelta(minutes=10))
    known = await sdk(sdk.client.session.psq, session_id=session_id)
    assert (known["state"], known["refunded_amount"], signed(known)) == ("paid", "2.500", True)


async def test_the_sdk_captures_and_voids(sdk: Sdk, ottu: Merchant) -> None:
    ids = []
    for number in (1, 2):
        await agree(sdk, ottu, pg_codes=["mpgs-kwd-auth"], order_no=f"INV-{number}")
        ids.append(ottu.inbox.received[-1]["session_id"])
    captured = await sdk(sdk.client.session.capture, session_id=ids[0], amount="5", tracking_key="c_1")
    assert captured["txn"]["state"] == "paid"
    assert (await sdk(sdk.client.session.void, session_id=ids[1]))["txn"]["state"] == "voided"


async def test_the_sdk_signs_in_as_a_user_and_works_asynchronously(ottu: Merchant) -> None:
    permissions = ["Can add e-commerce payments", "Can use mpgs-kwd"]
    await ottu.register(users=[{"username": "noor", "password": "secret", "permissions": permissions}])
    auth = BasicAuth("noor", "secret")
    async with OttuAsync("acme.ottu.net", auth=auth, customer_id="cust_7781") as client:
        client._ottu.host_url = ottu.base_url
        client._ottu.request_session = httpx.Client(auth=auth, trust_env=False)
        made = await client.checkout(**checkout(ottu))
        assert (made["success"], made["response"]["state"]) == (True, "created")
        refused = await client.checkout(**checkout(ottu, pg_codes=["tap-kwd"]))
        assert (refused["success"], refused["status_code"]) == (False, 403)
