"""A tap on the way from providers to the API: remembers their messages as they came, and can keep them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OF_THE_CONNECTION = {"host", "content-length", "connection", "accept", "accept-encoding", "user-agent"}


@dataclass(frozen=True)
class Heard:
    """One message of a provider. `headers` are those that it signed or that identify it."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Tap:
    """What providers said, oldest first."""

    heard: list[Heard] = field(default_factory=list)
    _shut: bool = False

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Inside, messages are remembered but do not reach the API: the provider is told that we are away."""
        self._shut = True
        try:
            yield
        finally:
            self._shut = False

    def of(self, account: str) -> list[Heard]:
        """What was said to an account."""
        return [message for message in self.heard if message.path.endswith(f"/{account}")]

    def into(self, app: ASGIApp) -> ASGIApp:
        """The app with the tap before it."""

        async def tapped(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not scope["path"].startswith("/notifications/"):
                await app(scope, receive, send)
                return
            body = await _body(receive)
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            kept = {name: value for name, value in headers.items() if name not in _OF_THE_CONNECTION}
            self.heard.append(Heard(scope["path"], kept, body))
            if self._shut:
                await send({"type": "http.response.start", "status": 503, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            await app(scope, _once(body, receive), send)

        return tapped


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _once(body: bytes, receive: Receive) -> Receive:
    """The body again, then whatever comes after it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again
