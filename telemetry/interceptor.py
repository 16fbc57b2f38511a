"""Traces through Temporal: a span for every call of a client, every step of a workflow and every activity.

An agreement lives for years, a trace must not: a step belongs to the command or the message that was taken up just
before it, and any other, such as a cycle that fell due, begins a trace of its own. Spans carry ids and words of ours,
never what an exception says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

_HEADER = "_tracer-data"
_EXTERN = "autodebit_step_span"
_CAUSES_FOR = timedelta(minutes=1)
"""So long after a command steps are put down to it."""


class Tracing(TracingInterceptor):
    """Temporal's own interceptor of clients and activities; inside of workflows, ours."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[Any]:  # noqa: A002
        """Workflows see one function of the world outside, which makes a span and answers its context."""
        input.unsafe_extern_functions[_EXTERN] = self._step
        return _Causes

    @contextmanager
    def _start_as_current_span(
        self, name: str, *, context: Context | None = None, input_with_headers: Any = None, **options: Any
    ) -> Iterator[None]:
        """As the library's, but for exceptions: their messages may quote what must not leave the engine."""
        options.pop("input_with_ctx", None)
        with self.tracer.start_as_current_span(
            name, context=context, record_exception=False, set_status_on_exception=False, **options
        ) as span:
            if input_with_headers is not None:
                input_with_headers.headers = self._context_to_headers(input_with_headers.headers)
            try:
                yield
            except Exception as error:
                benign = isinstance(error, ApplicationError) and error.category is ApplicationErrorCategory.BENIGN
                if not benign:
                    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def _step(
        self, name: str, attributes: Mapping[str, str], cause: Payload | None, at_nanoseconds: int
    ) -> Payload | None:
        parent = self._context_from_headers({_HEADER: cause}) if cause is not None else None
        span = self.tracer.start_span(
            name, parent or Context(), SpanKind.INTERNAL, attributes, start_time=at_nanoseconds
        )
        span.end(at_nanoseconds)  # one that is open while a workflow waits could not be replayed
        with trace.use_span(span):
            return self._context_to_headers({}).get(_HEADER)


class _Causes(WorkflowInboundInterceptor):
    """Remembers the context of the newest command or message, and when it came."""

    def __init__(self, next: WorkflowInboundInterceptor) -> None:  # noqa: A002
        super().__init__(next)
        self._newest: Payload | None = None
        self._at: datetime | None = None

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Steps(outbound, self))

    @property
    def cause(self) -> Payload | None:
        recent = self._at is not None and workflow.now() - self._at < _CAUSES_FOR
        return self._newest if recent else None

    def _note(self, headers: Mapping[str, Payload]) -> None:
        if (found := headers.get(_HEADER)) is not None:
            self._newest, self._at = found, workflow.now()

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
        if self._newest is None:  # a signal that came with the start is newer
            self._note(input.headers)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        self._note(input.headers)
        await super().handle_signal(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        self._note(input.headers)
        return await super().handle_update_handler(input)


class _Steps(WorkflowOutboundInterceptor):
    """Hands the cause on to the activity. Headers are no part of what a replay compares."""

    def __init__(self, next: WorkflowOutboundInterceptor, causes: _Causes) -> None:  # noqa: A002
        super().__init__(next)
        self._causes = causes

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        if not workflow.unsafe.is_replaying():
            info = workflow.info()
            ids = {"temporalWorkflowID": info.workflow_id, "temporalRunID": info.run_id}
            make: Callable[..., Payload | None] = workflow.extern_functions()[_EXTERN]
            made = make(f"{info.workflow_type} {input.activity}", ids, self._causes.cause, workflow.time_ns())
            if made is not None:
                input.headers = {**input.headers, _HEADER: made}
        return super().start_activity(input)
