"""Access tokens and calls. Source: gateways/pay-and-save.md §1.3 to §1.6.

Nothing is signed: TLS and the access token are all there is, so an answer is believed by its envelope.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateways import http
from gateways.pivot import keys, messages
from gateways.pivot.messages import Reply, Unreadable
from gateways.port import Account, Call

_LARGEST_ANSWER = 4 << 20
"""Bytes. A page of a hundred sessions is a few hundred kilobytes."""
_RENEW_BEFORE_END = 60.0
_BEARER = re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII)
_SAYS_NOTHING = (408, 429)
"""Nothing is known after these and after every 5xx; other answers of 4xx say that the call did nothing."""


@dataclass(frozen=True)
class NoAnswer:
    """Nothing trustworthy came back: anything may have happened. `evidence` says why, without personal data.

    `timeout`, `not_connected` (nothing was sent), `connection` (lost on the way), `http_<status>`, `too_large`,
    `encoded`, `unreadable`; `access_token_…` with nothing sent; and when an operator has to repair the account
    `credentials_invalid`, `account_keys` or `account_base_url`.
    """

    evidence: str


@dataclass
class _Held:
    bearer: str
    until: float
    """By the machine's own steady clock, in seconds."""


@dataclass
class AccessTokens:
    """The accounts' access tokens, each bought once for all concurrent calls and renewed a minute before its end."""

    client: httpx.AsyncClient
    steady: Callable[[], float] = time.monotonic
    _held: dict[str, _Held] = field(default_factory=dict, repr=False)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict, repr=False)

    async def bearer(self, account: Account) -> str | NoAnswer:
        """A token with more than a minute to live. Raises BadKeys and what the HTTP client raises."""
        identity = keys.identity(account)
        async with self._locks.setdefault(identity, asyncio.Lock()):
            held = self._held.get(identity)
            if held is None or held.until - self.steady() < _RENEW_BEFORE_END:
                bought = await self._buy(account)
                if isinstance(bought, NoAnswer):
                    return bought
                self._held[identity] = held = bought
            return held.bearer

    def drop(self, account: Account, bearer: str) -> None:
        """Forgets a token Pivot refused, unless a concurrent call has replaced it already."""
        identity = keys.identity(account)
        if (held := self._held.get(identity)) and held.bearer == bearer:
            del self._held[identity]

    async def _buy(self, account: Account) -> _Held | NoAnswer:
        asked = self.steady()
        headers = {
            "content-type": "application/json",
            "x-merchant-id": keys.client_id(account),
            "x-merchant-secret": keys.client_secret(account),
        }
        # Never with a test clock's time: tokens of real time serve every clock, and age as this process does.
        url = account.base_url.rstrip("/") + "/v1/access-token"
        request = self.client.build_request("POST", url, content=b'{"grantType":"client_credentials"}', headers=headers)
        answer = await _exchange(self.client, request)
        if isinstance(answer, NoAnswer):
            return NoAnswer(f"access_token_{answer.evidence}")
        if not answer.ok:
            refused = answer.status in (400, 401, 403)
            return NoAnswer("credentials_invalid" if refused else f"access_token_http_{answer.status}")
        fields = messages.mapping(answer.data)
        bearer, life = fields.get("accessToken"), str(fields.get("expiresIn"))
        if not (isinstance(bearer, str) and _BEARER.fullmatch(bearer)):
            return NoAnswer("access_token_unreadable")
        return _Held(bearer, asked + (int(life) if re.fullmatch("[0-9]{1,6}", life, re.ASCII) else 0))


class Line:
    """The calls of one operation at one account, which together end within `call.timeout`."""

    def __init__(self, tokens: AccessTokens, account: Account, call: Call) -> None:
        self._tokens = tokens
        self._account = account
        self._call = call
        self._deadline = asyncio.get_running_loop().time() + call.timeout.total_seconds()

    async def get(self, path: str, **query: str) -> Reply | NoAnswer:
        """Reads; `path` such as `v2/payments`."""
        return await self._guarded("GET", path, query, None, None)

    async def post(self, path: str, body: Mapping[str, Any], repeat_key: str) -> Reply | NoAnswer:
        """Writes; repeats with the same key get the first answer for a day."""
        return await self._guarded("POST", path, {}, body, repeat_key)

    async def _guarded(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None, repeat_key: str | None
    ) -> Reply | NoAnswer:
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._sent(method, path, query, content, repeat_key)
        except keys.BadKeys:
            return NoAnswer("account_keys")
        except http.FAILURES as failure:
            return NoAnswer(http.evidence(failure))

    async def _sent(
        self, method: str, path: str, query: Mapping[str, str], content: bytes | None, repeat_key: str | None
    ) -> Reply | NoAnswer:
        """A token that is refused though it should live is replaced once, and the call repeated under its own key."""
        for _ in range(2):
            bearer = await self._tokens.bearer(self._account)
            if isinstance(bearer, NoAnswer):
                return bearer
            headers = self._headers(bearer, repeat_key)
            url = f"{self._account.base_url.rstrip('/')}/{path}"
            client = self._tokens.client
            request = client.build_request(method, url, params=query or None, content=content, headers=headers)
            answer = await _exchange(client, request)
            if isinstance(answer, NoAnswer) or answer.status != 401:
                return answer
            self._tokens.drop(self._account, bearer)
        return NoAnswer("credentials_invalid")

    def _headers(self, bearer: str, repeat_key: str | None) -> dict[str, str]:
        headers = {"authorization": f"Bearer {bearer}", "content-type": "application/json"}
        if repeat_key:
            headers["x-request-id"] = repeat_key
        if submerchant := self._account.keys.get("submerchant_id"):
            headers["x-submerchant-id"] = submerchant
        if self._account.sandbox and self._call.clock and self._call.now:
            headers |= {"x-sandbox-clock": self._call.clock, "x-sandbox-time": self._call.now.isoformat()}
        return headers


async def _exchange(client: httpx.AsyncClient, request: httpx.Request) -> Reply | NoAnswer:
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        status = response.status_code
        if status >= 500 or status in _SAYS_NOTHING or 300 <= status < 400:
            return NoAnswer(f"http_{status}")
        if status == 401:
            return Reply(status, "credentials_invalid")  # whatever it says: the access token decides
        body = await http.body(response, _LARGEST_ANSWER)
    except http.NoBody as refused:
        return NoAnswer(str(refused))
    finally:
        await response.aclose()
    try:
        return messages.read(status, body)
    except Unreadable:
        return NoAnswer("unreadable")
