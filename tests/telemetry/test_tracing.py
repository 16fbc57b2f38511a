"""Which trace a step belongs to, and that tracing changes nothing of what a workflow does."""

from __future__ import annotations

from datetime import timedelta

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, Worker

from telemetry.interceptor import Tracing
from tests.support.clock import WorkflowClock
from tests.telemetry.waiting import WaitingWorkflow, step
from tests.workflows.record import FOLDER
from tests.workflows.test_replay import replayer


async def test_a_step_belongs_to_its_cause_and_one_that_falls_due_begins_a_trace(clock: WorkflowClock) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    service = clock.client.service_client.config
    client = await Client.connect(service.target_host, interceptors=[Tracing(tracer)])
    async with Worker(client, task_queue="waiting", workflows=[WaitingWorkflow], activities=[step]):
        with tracer.start_as_current_span("start") as started:
            handle = await client.start_workflow(WaitingWorkflow.run, id="waiting", task_queue="waiting")
        await clock.advance(handle, timedelta(hours=2))
        with tracer.start_as_current_span("told") as told:
            await handle.signal(WaitingWorkflow.tell)
        await handle.result()
        history = await handle.fetch_history()
    traces = [span.context.trace_id for span in exporter.get_finished_spans() if span.name == "RunActivity:step"]
    first, fell_due, asked_for = traces
    assert first == started.get_span_context().trace_id
    assert asked_for == told.get_span_context().trace_id
    assert fell_due not in (first, asked_for)
    made = len(exporter.get_finished_spans())
    for interceptors in ([Tracing(tracer)], []):
        await Replayer(workflows=[WaitingWorkflow], interceptors=interceptors).replay_workflow(history)
    assert len(exporter.get_finished_spans()) == made  # what is replayed is not traced again


async def test_histories_recorded_without_traces_replay_with_them() -> None:
    every = replayer().config()["workflows"]
    traced = Replayer(workflows=every, data_converter=pydantic_data_converter, interceptors=[Tracing()])
    oldest = min(path.parent.name for path in FOLDER.glob("*/*.json"))
    for path in sorted((FOLDER / oldest).glob("*.json"))[:3]:
        await traced.replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))
