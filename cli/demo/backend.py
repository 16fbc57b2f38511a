"""A merchant's backend in small: it calls the API, and it receives webhooks and checks their signatures."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

from cli.embedded.ports import free_port
from sandbox.server import Server

Json = dict[str, Any]


class Unexpected(Exception):
    """The engine did not do what the demo expects of it."""


class Backend:
    """Calls on behalf of one merchant; raises Unexpected for any answer that is not the expected one."""

    def __init__(self, client: httpx.AsyncClient, api_url: str, secret_key: str) -> None:
        self._client = client
        self._api_url = api_url
        self._secret_key = secret_key
        self._calls = itertools.count(1)

    async def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """One call; POSTs carry an idempotency key of their own."""
        headers = {"authorization": f"Bearer {self._secret_key}", "idempotency-key": f"demo-{next(self._calls)}"}
        answer = await self._client.request(method, self._api_url + path, json=body, headers=headers)
        if not answer.is_success:
            raise Unexpected(f"{method} {path} was answered {answer.status_code}: {answer.text}")
        found: Json = answer.json()
        return found

    async def all(self, path: str, after: str = "") -> list[Json]:
        """Every entry of a list, page by page; of events those that follow `after`."""
        entries: list[Json] = []
        cursor = after
        while True:
            name = "after" if path.startswith("/v1/events") else "cursor"
            page = await self.call("GET", f"{path}&limit=200" + (f"&{name}={cursor}" if cursor else ""))
            entries += page["data"]
            if not page["has_more"]:
                return entries
            cursor = page["next_cursor"]

    async def follow(self, link: str) -> str:
        """The customer presses the button of our page: where it leads."""
        return _location(await self._client.post(link))

    async def approve(self, url: str, **form: str) -> str:
        """The customer's browser on the provider's page: fill in, approve, say yes to a bank that asks, follow the way
        back; where it ends.
        """
        back = _location(await self._client.post(url, data={"decision": "approve", **form}))
        asked = httpx.URL(url).join(back)
        if asked.netloc == httpx.URL(url).netloc:
            back = _location(await self._client.post(asked, data={"decision": "approve"}))
        return _location(await self._client.get(back))


def _location(answer: httpx.Response) -> str:
    if not answer.is_redirect:
        raise Unexpected(f"{answer.request.url.path} was answered {answer.status_code}: {answer.text[:500]}")
    return str(answer.headers["location"])


class Receiver:
    """The merchant's webhook endpoint."""

    def __init__(self) -> None:
        self.events: dict[str, Json] = {}
        self.forged = 0
        self.secret = ""

    async def take(self, request: Request) -> Response:
        """Keeps what is signed with the endpoint's secret; a repeat of an event is the same event."""
        body = await request.body()
        try:
            Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.forged += 1
            return Response(status_code=401)
        event = json.loads(body)
        self.events[event["id"]] = event
        return Response(status_code=204)


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[str]:
    """Serves the receiver; its address."""
    app = FastAPI()
    app.add_api_route("/webhooks", receiver.take, methods=["POST"])
    port = free_port()
    server = Server(app, "127.0.0.1", port)
    serving = asyncio.create_task(server.serve())
    try:
        yield f"http://127.0.0.1:{port}/webhooks"
    finally:
        server.should_exit = True
        await serving
