"""HEAD wherever GET reads something (RFC 9110 §9.3.2): monitors and load balancers ask so."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READ = ("/v1/", "/healthz", "/readyz", "/docs", "/problems")
"""Not the pages of customers: what a look at them does is not for programs that only try addresses."""


class Heads:
    """ASGI middleware: answers as GET would, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The scope stays the same object: whoever logs finds the route in it, and the method that was asked for."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or not scope["path"].startswith(_READ):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, without_body)
        finally:
            scope["method"] = "HEAD"
