"""Signing, sending and verifying one call. Source: gateways/antom.md sections 1 and 2."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from gateways import http
from gateways.antom import keys, messages, signing
from gateways.antom.messages import Message
from gateways.port import Account, Call

_LARGEST_ANSWER = 1 << 20
"""Bytes. Antom's answers are a few kilobytes."""


@dataclass(frozen=True)
class NoAnswer:
    """Nothing trustworthy came back: anything may have happened. `evidence` says why, without personal data.

    `timeout`, `not_connected` (nothing was sent), `connection` (lost on the way), `http_<status>`, `too_large`,
    `encoded`, `unsigned` or `unsigned:<code>`, `wrong_client`, `bad_signature`, `unreadable`; and, with nothing sent,
    `account_keys` or `account_base_url` when an operator has to repair the account.
    """

    evidence: str


async def post(
    client: httpx.AsyncClient, account: Account, operation: str, body: Mapping[str, Any], call: Call
) -> Message | NoAnswer:
    """Makes exactly one call to `operation` (such as `v1/payments/pay`) and returns within `call.timeout`."""
    try:
        request = _request(client, account, operation, json.dumps(body, separators=(",", ":")).encode(), call)
        async with asyncio.timeout(call.timeout.total_seconds()):
            return await _exchange(client, account, request)
    except keys.BadKeys:
        return NoAnswer("account_keys")
    except http.FAILURES as failure:
        return NoAnswer(http.evidence(failure))


def _request(client: httpx.AsyncClient, account: Account, operation: str, body: bytes, call: Call) -> httpx.Request:
    client_id = keys.client_id(account)
    prefix = "/ams/sandbox/api/" if client_id.startswith("SANDBOX_") else "/ams/api/"
    url = httpx.URL(account.base_url.rstrip("/") + prefix + operation)
    # Signatures are about the real transport: the real time, also for an agreement on a test clock.
    now = str(time.time_ns() // 1_000_000)
    path = url.raw_path.decode("ascii")
    headers = {
        "content-type": "application/json; charset=UTF-8",
        "client-id": client_id,
        "request-time": now,
        "signature": signing.sign(keys.private_key(account), "POST", path, client_id, now, body),
    }
    if account.sandbox and call.clock and call.now:
        headers |= {"x-sandbox-clock": call.clock, "x-sandbox-time": call.now.isoformat()}
    return client.build_request("POST", url, content=body, headers=headers)


async def _exchange(client: httpx.AsyncClient, account: Account, request: httpx.Request) -> Message | NoAnswer:
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        if response.status_code != 200:
            return NoAnswer(f"http_{response.status_code}")
        body = await http.body(response, _LARGEST_ANSWER)
    except http.NoBody as refused:
        return NoAnswer(str(refused))
    finally:
        await response.aclose()
    return verified(account, request.url.raw_path.decode("ascii"), response.headers, body)


def verified(account: Account, path: str, headers: Mapping[str, str], body: bytes) -> Message | NoAnswer:
    """Reads a body only after its signature was found right; `headers` are looked up in lower case."""
    client_id, answered, signature = (headers.get(name) for name in ("client-id", "response-time", "signature"))
    if not (client_id and answered and signature):
        return NoAnswer(_unsigned(body))
    try:
        if client_id != keys.client_id(account):
            return NoAnswer("wrong_client")
        signing.verify(keys.public_key(account), "POST", path, client_id, answered, body, signature)
        return messages.read(body)
    except keys.BadKeys:
        return NoAnswer("account_keys")
    except signing.BadSignature:
        return NoAnswer("bad_signature")
    except messages.Unreadable:
        return NoAnswer("unreadable")


def _unsigned(body: bytes) -> str:
    """An answer to a call Antom could not authenticate is unsigned. Its code helps operators and decides nothing."""
    try:
        return f"unsigned:{messages.read(body).code}"
    except messages.Unreadable:
        return "unsigned"
