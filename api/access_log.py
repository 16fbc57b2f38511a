"""One log line per request. It names the route, never the address: addresses of returns hold codes."""

from __future__ import annotations

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry import metrics

_log = structlog.get_logger("api.access")

_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
_IDS = frozenset(("agreement_id", "charge_id", "refund_id"))
"""Of the address's parts these are told; others hold tokens."""


class AccessLog:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Logs when the answer has begun, with the time until the request was done."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            spent = time.perf_counter() - started
            method = scope["method"] if scope["method"] in _METHODS else "other"
            metrics.REQUEST_SECONDS.labels(method, route, status).observe(spent)
            named = {name: value for name, value in scope.get("path_params", {}).items() if name in _IDS}
            _log.info("request", method=scope["method"], route=route, status=status, ms=round(spent * 1000, 1), **named)
