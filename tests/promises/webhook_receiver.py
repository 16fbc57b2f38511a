"""A merchant's webhook receiver: a stranger's code over real HTTP, which answers as a test tells it to."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook

from tests.sandbox.support import free_port, serving
from tests.support.house import Shop


@dataclass
class Receiver:
    """Remembers every call; `answers` are given to the first ones, 204 to all after that. None is no answer at all."""

    url: str = ""
    answers: list[Response | None] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is clear, calls wait for their answer."""
    calls: list[tuple[datetime, dict[str, str], bytes]] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    elsewhere: int = 0
    """Calls that followed a redirect."""

    def __post_init__(self) -> None:
        self.hold.set()

    async def take(self, request: Request) -> Response:
        self.calls.append((datetime.now(UTC), dict(request.headers), await request.body()))
        answer = self.answers.pop(0) if self.answers else Response(status_code=204)
        await (self.hold if answer else self.over).wait()
        return answer or Response(status_code=204)

    async def stray(self, request: Request) -> Response:
        self.elsewhere += 1
        return Response(status_code=204)

    def events(self, secret: str) -> list[dict[str, Any]]:
        """Every call in the order of arrival, each verified as the specification says."""
        found = []
        for _, headers, body in self.calls:
            event = Webhook(secret).verify(body, headers)
            assert event == json.loads(body)
            assert event["id"] == headers["webhook-id"]
            found.append(event)
        return found

    def gaps(self) -> list[float]:
        """Seconds between one call and the next."""
        times = [at for at, _, _ in self.calls]
        return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]

    async def until(self, calls: int, seconds: float = 60) -> None:
        """Waits until so many calls have come."""
        async with asyncio.timeout(seconds):
            while len(self.calls) < calls:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def a_receiver(port: int | None = None) -> AsyncIterator[Receiver]:
    """On a free port unless one is given."""
    receiver = Receiver()
    app = FastAPI()
    app.add_route("/hooks", receiver.take, methods=["POST"])
    app.add_route("/elsewhere", receiver.stray, methods=["POST", "GET"])
    async with serving(app, port) as url:
        receiver.url = f"{url}/hooks"
        yield receiver
        receiver.hold.set()
        receiver.over.set()


@contextmanager
def nobody() -> Iterator[int]:
    """A port at which nobody listens, nor can begin to while the block runs: what only seems free, others take too."""
    with socket.socket() as kept:
        while not kept.getsockname()[1]:
            with suppress(OSError):  # a connection that ended a moment ago may still stand there
                kept.bind(("127.0.0.1", free_port()))
        yield int(kept.getsockname()[1])


async def an_endpoint(shop: Shop, receiver: Receiver, *event_types: str) -> tuple[str, str]:
    """The id and the secret of a new endpoint of the merchant."""
    return await an_endpoint_at(shop, receiver.url, *event_types)


async def an_endpoint_at(shop: Shop, url: str, *event_types: str) -> tuple[str, str]:
    """The same where nobody may be listening yet."""
    body = {"url": url, "event_types": list(event_types) or ["*"]}
    made = await shop.call("POST", "/v1/webhook-endpoints", body, expect=201)
    return str(made["id"]), str(made["secret"])
