"""Connectors whose every call is timed, traced and logged, by nothing but gateway, mode, operation and outcome."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

import structlog
from opentelemetry import trace

from gateways.port import Account
from telemetry import metrics

log = structlog.get_logger(__name__)

_tracer = trace.get_tracer("autodebit.gateways")

Port = TypeVar("Port")
Operation = Callable[..., Awaitable[Any]]


def measured(ports: Mapping[str, Port]) -> dict[str, Port]:
    """The same connectors by the same names."""
    return {gateway: cast(Port, _Measured(gateway, port)) for gateway, port in ports.items()}


class _Measured:
    """Stands for a connector: has what it has, so that what it can do is still seen from its methods."""

    def __init__(self, gateway: str, port: object) -> None:
        for name in dir(port):
            if not name.startswith("_"):
                found = getattr(port, name)
                setattr(self, name, _timed(gateway, name, found) if inspect.iscoroutinefunction(found) else found)


def _timed(gateway: str, operation: str, call: Operation) -> Operation:
    @wraps(call)
    async def timed(account: Account, *given: Any, **named: Any) -> Any:
        started, outcome, evidence = time.perf_counter(), "error", ""
        with _tracer.start_as_current_span(
            f"{gateway} {operation}", kind=trace.SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                answer = await call(account, *given, **named)
                outcome, evidence = str(getattr(answer, "verdict", answer)), getattr(answer, "evidence", "")
                return answer
            finally:
                spent = time.perf_counter() - started
                span.set_attributes({"gateway": gateway, "operation": operation, "outcome": outcome})
                mode = metrics.mode(account.livemode)
                metrics.GATEWAY_SECONDS.labels(gateway, mode, operation, outcome).observe(spent)
                log.info(
                    "gateway_call",
                    gateway=gateway,
                    operation=operation,
                    outcome=outcome,
                    evidence=evidence,
                    ms=round(spent * 1000, 1),
                )

    return timed
