"""Providers' messages at every gateway: forged ones change nothing; genuine ones act once, however often and in
whatever order they come."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateways.antom import signing as antom
from gateways.ottu.signing import sign as ottu_signature
from tests.gateways.antom_fixtures import FORGER_KEY
from tests.promises.support import START, audited, types, until
from tests.support.house import House, Shop
from tests.support.tap import Heard

TIMES = 10
SCRIPT = "insufficient_funds,processing_then_success"


async def say(shop: Shop, message: Heard) -> httpx.Response:
    """The API's answer to a message."""
    url = shop.house.settings.public_url + message.path
    return await shop.house.outside.post(url, content=message.body, headers=message.headers)


async def said_again(shop: Shop, messages: list[Heard], times: int = TIMES) -> set[int]:
    """How the API answers every message being said so many times over, all of them shuffled and several at once."""
    replays = messages * times
    random.Random(times).shuffle(replays)
    slots = asyncio.Semaphore(4)

    async def one(message: Heard) -> int:
        async with slots:
            return (await say(shop, message)).status_code

    return set(await asyncio.gather(*(one(message) for message in replays)))


def opposite(gateway: str, body: bytes) -> bytes:
    """The message with the contrary result, where it has one."""
    said: dict[str, Any] = json.loads(body)
    if gateway == "pivot":
        contrary = {"PAYMENT.PAID": "PAYMENT.CANCELLED", "PAYMENT.CANCELLED": "PAYMENT.PAID"}
        said["event"] = contrary.get(said["event"], said["event"])
        said["data"]["status"] = {"PAID": "CANCELLED", "CANCELLED": "PAID"}.get(said["data"]["status"], "PAID")
    elif gateway == "ottu":
        paid = said.get("result") == "success"
        said |= {"result": "failed", "state": "failed"} if paid else {"result": "success", "state": "paid"}
    else:
        paid = said["result"]["resultStatus"] == "S"
        said["result"] = {"resultCode": "RISK_REJECT" if paid else "SUCCESS", "resultStatus": "F" if paid else "S"}
    return json.dumps(said).encode()


def forgeries(shop: Shop, message: Heard) -> list[Heard]:
    """The contrary of a message: signed by somebody else, under the genuine signature, and without one."""
    lie = replace(message, body=opposite(shop.gateway, message.body))
    if shop.gateway == "pivot":
        return [replace(lie, headers=lie.headers | {"x-api-key": key}) for key in ("guessed", "")]
    if shop.gateway == "ottu":
        said: dict[str, Any] = json.loads(lie.body)
        signatures = (ottu_signature(said, "guessed"), said["signature"], None)
        return [replace(lie, body=json.dumps(said | {"signature": each}).encode()) for each in signatures]
    moment, client = message.headers["request-time"], message.headers["client-id"]
    signature = antom.sign(FORGER_KEY, "POST", message.path, client, moment, lie.body)
    unsigned = {name: value for name, value in lie.headers.items() if name != "signature"}
    return [replace(lie, headers=lie.headers | {"signature": signature}), lie, replace(lie, headers=unsigned)]


async def refused(shop: Shop, messages: list[Heard]) -> None:
    for message in messages:
        for forged in forgeries(shop, message):
            answer = await say(shop, forged)
            assert answer.status_code == 401, (forged, answer.text)


async def everything(shop: Shop, agreement: str) -> list[Any]:
    """All that the API and the provider say about an agreement."""
    return [
        await shop.read(agreement),
        await shop.charges(agreement),
        await shop.events(agreement),
        await shop.ledger(agreement),
    ]


@pytest.mark.parametrize("gateway", ["antom", "ottu", "pivot"])
async def test_a_consent_told_ten_times_is_one_consent(house: House, gateway: str) -> None:
    """The customer never comes back from the page; the provider's message is all there is."""
    shop = await house.shop(gateway)
    clock = await shop.clock(START)
    made = await shop.call("POST", "/v1/agreements", shop.body(clock), expect=201)
    with house.tap.shut():
        page = await house.outside.post(made["authorization"]["url"], data={"decision": "approve"})
        assert page.status_code == 303
        await until(lambda: _heard(shop))
    messages = house.tap.of(shop.account)

    await refused(shop, messages)
    assert (await shop.read(made["id"]))["status"] == "pending_authorization"
    assert await said_again(shop, messages) == {200}
    await shop.until_status(made["id"], "active")
    await shop.advance(clock, "2027-02-01T00:00:00Z")
    assert await types(shop, made["id"]) == [
        "agreement.authorization_requested",
        "agreement.authorized",
        "agreement.activated",
        "charge.succeeded",
    ]
    assert [row["status"] for row in await shop.ledger(made["id"])] == ["succeeded"]
    assert len(await shop.credentials()) == 1


async def _heard(shop: Shop) -> bool:
    return bool(shop.house.tap.of(shop.account))


@pytest.mark.parametrize("gateway", ["antom", "ottu", "pivot"])
async def test_what_was_said_changes_nothing_when_it_is_said_again(house: House, gateway: str) -> None:
    shop = await house.shop(gateway)
    if gateway == "ottu":
        keys = {"merchant_id": shop.client_id, **shop.keys, "instance": {"webhooks_for_debits": True}}
        address = house.settings.notification_url(gateway, shop.account)
        await shop.sandbox("merchants", keys | {"webhook_url": address, "operations_webhook_url": address})
    clock = await shop.clock(START)
    agreement = await shop.agree(clock, SCRIPT)
    await shop.advance(clock, "2027-03-02T00:00:00Z")
    [charge, *_] = await shop.charges(agreement)
    await shop.call("POST", f"/v1/charges/{charge['id']}/refunds", {}, expect=201)
    await shop.advance(clock, "2027-03-02T12:00:00Z")
    await shop.call("POST", f"/v1/agreements/{agreement}/revoke", {})
    await shop.advance(clock, "2027-03-03T00:00:00Z")
    before, messages = await everything(shop, agreement), list(house.tap.of(shop.account))
    assert len({message.body for message in messages}) >= 4, "two months, a decline, a refund"

    await refused(shop, messages)
    assert await said_again(shop, messages) == {200}
    if gateway == "pivot":
        # Its key is static and covers nothing: whoever learned it may say anything, and is not believed.
        lies = [replace(message, body=opposite(gateway, message.body)) for message in messages]
        assert await said_again(shop, lies, 1) == {200}
    await shop.advance(clock, "2027-03-03T01:00:00Z")
    assert await everything(shop, agreement) == before
    await audited(shop, agreement)
