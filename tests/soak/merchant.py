"""A merchant's backend and its customers in bad weather: they repeat what was not answered, as our pages tell them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection
from typing import Any

import httpx

Json = dict[str, Any]

_PATIENCE = 300.0
_PAUSE = 0.25
_BANKS_PAGES = ("/3ds/", "/threeds")


class Refused(Exception):
    """An answer that no repeat would change."""


class Merchant:
    """Calls with an idempotency key of their own, repeated with the same key while nobody answers."""

    def __init__(self, client: httpx.AsyncClient, api_url: str, secret_key: str) -> None:
        self._client = client
        self._api_url = api_url
        self._authorization = f"Bearer {secret_key}"
        self._numbers = itertools.count(1)
        self.repeated = 0
        self.broken: list[str] = []
        """Answers an outage does not excuse: a part that is away is a 503 (design §4)."""

    async def call(self, method: str, path: str, body: Json | None = None, accept: Collection[str] = ()) -> Json:
        """The answer's body, also that of a problem whose code is in `accept`. Raises Refused, TimeoutError."""
        headers = {"authorization": self._authorization, "idempotency-key": f"soak-{next(self._numbers)}"}
        async with asyncio.timeout(_PATIENCE):
            while True:
                answer = await self._ask(method, self._api_url + path, json=body, headers=headers)
                if answer is not None and (found := self._read(method, path, answer, accept)) is not None:
                    return found
                self.repeated += 1
                await asyncio.sleep(_PAUSE)

    def _read(self, method: str, path: str, answer: httpx.Response, accept: Collection[str]) -> Json | None:
        """None where the call is to be repeated."""
        found: Json = answer.json()
        code = found.get("code")
        if answer.is_success or code in accept:
            return found
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            if code != "unavailable":
                self.broken.append(f"{method} {path} was answered {answer.status_code}: {answer.text}")
            return None
        if code == "idempotency_key_in_use":
            return None
        raise Refused(f"{method} {path} was answered {answer.status_code}: {answer.text}")

    async def all(self, path: str, cursor_name: str = "cursor") -> list[Json]:
        """Every entry of a list, page by page."""
        entries: list[Json] = []
        cursor = ""
        while True:
            page = await self.call("GET", f"{path}?limit=200" + (f"&{cursor_name}={cursor}" if cursor else ""))
            entries += page["data"]
            if not page["has_more"]:
                return entries
            cursor = page["next_cursor"]

    async def approve(self, url: str, script: str, page: Json) -> None:
        """A customer on the provider's page and their bank's. One whose browser lost the way back finds the page used,
        and gives up.
        """
        async with asyncio.timeout(_PATIENCE):
            answer = await self._until_answered("POST", url, data={"decision": "approve", "script": script, **page})
            at = httpx.URL(url)
            while answer.status_code == httpx.codes.SEE_OTHER and (at := at.join(answer.headers["location"])):
                if at.path.endswith(_BANKS_PAGES):
                    answer = await self._until_answered("POST", str(at), data={"decision": "approve"})
                else:
                    await self._until_answered("GET", str(at))
                    return

    async def follow(self, link: str) -> str | None:
        """A customer presses the button of our page: where it leads; None where the link has had its time."""
        async with asyncio.timeout(_PATIENCE):
            answer = await self._until_answered("POST", link)
        return answer.headers["location"] if answer.status_code == httpx.codes.SEE_OTHER else None

    async def _until_answered(self, method: str, url: str, **request: Any) -> httpx.Response:
        while True:
            answer = await self._ask(method, url, **request)
            if answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return answer
            if answer is not None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                self.broken.append(f"{method} {httpx.URL(url).path} was answered {answer.status_code}: {answer.text}")
            await asyncio.sleep(_PAUSE)

    async def _ask(self, method: str, url: str, **request: Any) -> httpx.Response | None:
        """None when the connection failed or broke."""
        try:
            return await self._client.request(method, url, **request)
        except httpx.TransportError:
            return None
