"""One log line, one figure and one span per request.

They name the route, never the address: addresses of returns hold codes. A caller's trace is not taken up: it is ours.
"""

from __future__ import annotations

import time

import structlog
from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry import metrics

_log = structlog.get_logger("api.access")
_tracer = trace.get_tracer("autodebit.api")

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

        with _tracer.start_as_current_span(
            "request", kind=trace.SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                await self._app(scope, receive, watch)
            finally:
                _tell(span, scope, status, time.perf_counter() - started)


def _tell(span: trace.Span, scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path_format", "none")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    named = {name: value for name, value in scope.get("path_params", {}).items() if name in _IDS}
    metrics.REQUEST_SECONDS.labels(method, route, status).observe(seconds)
    span.update_name(f"{method} {route}")
    span.set_attributes(
        {"http.request.method": method, "http.route": route, "http.response.status_code": status, **named}
    )
    _log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **named)
