"""Traces: from the request through workflow and activity to the provider. Made only where a collector is named.

What they are made with is imported only then: it takes a process a second to start with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

from settings import Settings

_STANDARD = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def wanted(settings: Settings) -> bool:
    """Whether somebody is there to take traces."""
    return settings.otlp_endpoint is not None or any(os.environ.get(name) for name in _STANDARD)


@contextmanager
def exporting(settings: Settings, process: str) -> Iterator[None]:
    """Sends the process's spans to the collector while the block runs. `process`: api or worker.

    The standard `OTEL_*` variables hold for all else, such as sampling and the service's name.
    """
    if not wanted(settings):
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: f"autodebit-{process}"}
    provider = TracerProvider(resource=Resource.create(named))
    address = settings.otlp_endpoint
    exporter = OTLPSpanExporter(f"{address.rstrip('/')}/v1/traces") if address else OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
