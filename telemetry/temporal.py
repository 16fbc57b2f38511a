"""How Temporal's SDK takes part: its own metrics on a port of their own, and traces that go through workflows."""

from __future__ import annotations

from functools import cache
from typing import Any

from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from settings import Settings
from telemetry import tracing


def options(settings: Settings) -> dict[str, Any]:
    """For `Client.connect`; workers take them over from their client."""
    chosen: dict[str, Any] = {}
    if settings.temporal_metrics_address is not None:
        chosen["runtime"] = _runtime(settings.temporal_metrics_address)
    if tracing.wanted(settings):
        from telemetry.interceptor import Tracing

        chosen["interceptors"] = [Tracing()]
    return chosen


@cache
def _runtime(address: str) -> Runtime:
    """One per process: it listens. Names as Prometheus wants them, `_total` and `_seconds`."""
    told = PrometheusConfig(
        bind_address=address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )
    return Runtime(telemetry=TelemetryConfig(metrics=told))
