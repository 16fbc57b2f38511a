"""One account's calls over HTTP. Source: gateways/ottu.md §1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx

from gateways import http
from gateways.ottu import keys, messages
from gateways.ottu.messages import Answer, NoAnswer
from gateways.port import Account, Call

_LARGEST_ANSWER = 1 << 20
"""Bytes. Ottu's answers are a few kilobytes."""

_REFUSALS = frozenset({400, 401, 403, 404, 405, 409, 415, 422})
"""Statuses by which Ottu says itself that it did nothing, if the body is its own too."""


class Line:
    """An account for the length of one call of the port: all requests made for it share the call's time."""

    def __init__(self, client: httpx.AsyncClient, account: Account, call: Call) -> None:
        self._client, self._account, self._call = client, account, call
        self._until = asyncio.get_running_loop().time() + call.timeout.total_seconds()

    async def get(self, path: str) -> Answer | NoAnswer:
        """Asks. `path` begins after the host, already quoted."""
        return await self._send("GET", path, None, {})

    async def post(self, path: str, body: Mapping[str, Any], *, tracking_key: str | None = None) -> Answer | NoAnswer:
        """Sends JSON. With a tracking key an operation is made once (gateways/ottu.md §8)."""
        return await self._send("POST", path, body, {"tracking-key": tracking_key} if tracking_key else {})

    async def delete(self, path: str) -> Answer | NoAnswer:
        """Removes."""
        return await self._send("DELETE", path, None, {})

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Answer | NoAnswer:
        try:
            request = self._request(method, path, body, headers)
            async with asyncio.timeout_at(self._until):
                return await self._exchange(request)
        except keys.BadKeys:
            return NoAnswer("account_keys")
        except http.FAILURES as failure:
            return NoAnswer(http.evidence(failure))

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> httpx.Request:
        account, call = self._account, self._call
        keys.hmac_key(account)  # what is answered could not be verified without it
        sent = {"authorization": f"Api-Key {keys.api_key(account)}", **headers}
        if account.sandbox and call.clock and call.now:
            sent |= {"x-sandbox-clock": call.clock, "x-sandbox-time": call.now.isoformat()}
        content = None
        if body is not None:
            sent["content-type"] = "application/json"
            content = json.dumps(body, separators=(",", ":")).encode()
        url = httpx.URL(account.base_url.rstrip("/") + path)
        return self._client.build_request(method, url, content=content, headers=sent)

    async def _exchange(self, request: httpx.Request) -> Answer | NoAnswer:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            body = await http.body(response, _LARGEST_ANSWER)
        except http.NoBody as refused:
            return NoAnswer(str(refused))
        finally:
            await response.aclose()
        return read(response.status_code, body)


def read(status: int, body: bytes) -> Answer | NoAnswer:
    """An answer with a status and a body that Ottu itself gives; anything else is not from Ottu, or unfinished."""
    if status == 204:
        return Answer(status, None)
    if status not in (200, 201) and status not in _REFUSALS:
        return NoAnswer(f"http_{status}")
    try:
        parsed = messages.parsed(body)
    except messages.Unreadable:
        return NoAnswer("unreadable" if status < 300 else f"http_{status}")
    if status >= 300 and not isinstance(parsed, dict):
        return NoAnswer(f"http_{status}")
    return Answer(status, parsed)
