"""Headers of every answer: what browsers must not do with it, and what is left of the caller's requests."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import limits

_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    # For JSON, and whatever else has no policy of its own: nothing may be loaded, run or framed.
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}


def of_every_answer(public_url: str) -> Mapping[str, str]:
    """What a page or a route has not set itself."""
    return _SECURITY | (_OVER_TLS if public_url.startswith("https://") else {})


class Headers:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, always: Mapping[str, str]) -> None:
        self._app = app
        self._always = always

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Adds what is missing as the answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**self._always, **limits.of_request(state)}.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, complete)
