"""What one agreement's life leaves in metrics, traces and logs: all of it, once, and nothing of the customer's."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import httpx
import pytest
import structlog
from fastapi import FastAPI, Request, Response
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

import logs
from api.app import create_app
from store import backlog, changes
from telemetry.interceptor import Tracing
from telemetry.metrics import REGISTRY
from tests.promises.support import START, until
from tests.promises.webhook_receiver import a_receiver, an_endpoint
from tests.sandbox.support import free_port, serving
from tests.support.house import House, Shop
from tests.support.house import house as a_house
from workflows.client import start_audits, start_sweeper

KEY = "key of the operator's Prometheus"
Labels = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Watched:
    """An agreement of which the second debit was declined once, and everything that was told of it."""

    shop: Shop
    agreement: str
    charges: list[str]
    counted: Mapping[Labels, float]
    """By how much each sample rose."""
    spans: tuple[ReadableSpan, ...]
    lines: list[Mapping[str, object]]
    secrets: list[str]

    def rose(self, name: str, **labels: str) -> float:
        return self.counted.get((name, frozenset(labels.items())), 0)


@asynccontextmanager
async def remembered() -> AsyncIterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield exporter
    exporter.shutdown()


@pytest.fixture(scope="module")
async def traced() -> AsyncIterator[tuple[House, InMemorySpanExporter]]:
    async with remembered() as exporter, a_house(interceptors=[Tracing()]) as made:
        yield made, exporter


@pytest.fixture(scope="module")
async def watched(traced: tuple[House, InMemorySpanExporter]) -> Watched:
    house, exporter = traced
    shop = await house.shop()
    async with a_receiver() as receiver:
        await an_endpoint(shop, receiver, "charge.succeeded")
        before = await scraped(house)
        with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars, logs.traced]) as lines:
            clock = await shop.clock(START)
            agreement = await shop.agree(clock, "success,insufficient_funds,success")
            await shop.advance(clock, "2027-03-05T00:00:00Z")
            await receiver.until(2)
            await until(partial(counted, house, before, 2))
        after = await scraped(house)
    charges = [charge["id"] for charge in await shop.charges(agreement)]
    tokens = [row["token"] for row in await shop.credentials()]
    return Watched(
        shop=shop,
        agreement=agreement,
        charges=charges,
        counted={labels: value - before.get(labels, 0) for labels, value in after.items()},
        spans=exporter.get_finished_spans(),
        lines=list(lines),
        secrets=[*tokens, shop.secret_key, "Ana Cruz", "ana@example.com", "+639170000000", *shop.keys.values()],
    )


async def counted(house: House, before: Mapping[Labels, float], webhooks: int) -> bool:
    """Whether so many more have been taken, which is counted after the receiver's answer."""
    taken = ("autodebit_webhook_attempts_total", frozenset({("result", "delivered")}))
    return (await scraped(house)).get(taken, 0) - before.get(taken, 0) >= webhooks


@asynccontextmanager
async def asked(
    house: House, key: str | None = KEY, environment: str = "production"
) -> AsyncIterator[httpx.AsyncClient]:
    changed = {"metrics_key": SecretStr(key) if key else None, "environment": environment}
    settings = house.settings.model_copy(update=changed)
    app = create_app(settings, house.database, house.vault, house.temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as client:
        yield client


async def scraped(house: House) -> dict[Labels, float]:
    async with asked(house) as client:
        answer = await client.get("/metrics", headers={"authorization": f"Bearer {KEY}"})
    families = text_string_to_metric_families(answer.text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


# Metrics


def test_attempts_charges_and_decisions_are_counted_by_what_became_of_them(watched: Watched) -> None:
    live = {"gateway": "antom", "mode": "test"}
    assert watched.rose("autodebit_attempts_sent_total", **live) == 3
    assert watched.rose("autodebit_attempts_total", **live, outcome="succeeded", decline="none") == 2
    assert watched.rose("autodebit_attempts_total", **live, outcome="failed", decline="insufficient_funds") == 1
    paid = {"purpose": "cycle", "outcome": "succeeded", "decline": "none"}
    assert watched.rose("autodebit_charges_total", **live, **paid) == 2
    decided = [dict(labels) for (name, labels), rose in watched.counted.items() if "decisions_total" in name and rose]
    assert [(each["gateway"], each["action"]) for each in decided] == [("antom", "retry")]
    assert decided[0]["rule"]


async def test_events_consents_messages_and_webhooks_are_counted(watched: Watched) -> None:
    types = Counter(event["type"] for event in await watched.shop.events(watched.agreement))
    for type_, number in types.items():
        assert watched.rose("autodebit_events_total", type=type_, mode="test") == number
    for status in ("open", "granted", "completed"):
        assert watched.rose("autodebit_authorizations_total", gateway="antom", mode="test", status=status) == 1
    judged = [
        labels for (name, labels), rose in watched.counted.items() if "autodebit_notifications_t" in name and rose
    ]
    assert {dict(labels)["gateway"] for labels in judged} == {"antom"}
    assert watched.rose("autodebit_webhook_attempts_total", result="delivered") == 2
    assert watched.rose("autodebit_webhook_attempt_duration_seconds_count", result="delivered") == 2


def test_calls_are_timed_by_gateway_mode_operation_and_outcome(watched: Watched) -> None:
    name, there = "autodebit_gateway_call_duration_seconds_count", {"gateway": "antom", "mode": "test"}
    assert watched.rose(name, **there, operation="charge", outcome="succeeded") == 2
    assert watched.rose(name, **there, operation="charge", outcome="declined") == 1
    assert watched.rose(name, **there, operation="exchange", outcome="succeeded") == 1


def test_requests_are_timed_by_the_template_of_their_route(watched: Watched) -> None:
    routes = {dict(labels)["route"] for name, labels in watched.counted if "http_request_duration" in name}
    assert "/v1/agreements/{agreement_id}" in routes
    assert not [route for route in routes if watched.agreement in route]
    created = {"method": "POST", "route": "/v1/agreements", "status": "201"}
    assert watched.rose("autodebit_http_request_duration_seconds_count", **created) == 1


def test_no_label_names_an_agreement_a_merchant_or_a_customer(watched: Watched) -> None:
    told = " ".join(value for _, labels in watched.counted for _, value in labels)
    private = [watched.agreement, watched.shop.merchant_id, watched.shop.account, *watched.charges, *watched.secrets]
    assert [each for each in private if each in told] == []


async def test_what_is_rolled_back_is_not_counted(watched: Watched) -> None:
    house = watched.shop.house
    before = await scraped(house)
    with pytest.raises(ZeroDivisionError):
        await _amended_in_vain(watched)
    amended = ("autodebit_events_total", frozenset({("type", "agreement.amended"), ("mode", "test")}))
    assert (await scraped(house)).get(amended, 0) == before.get(amended, 0)


async def _amended_in_vain(watched: Watched) -> None:
    """The event reaches the database, its transaction is never committed."""
    database = watched.shop.house.database
    async with database.transaction() as session, changes.changing(session, watched.agreement) as change:
        change.event("agreement.amended")
        await change.finish()
        raise ZeroDivisionError


async def test_metrics_are_the_operators(traced: tuple[House, InMemorySpanExporter]) -> None:
    house, _ = traced
    async with asked(house, key=None) as client:
        assert (await client.get("/metrics")).status_code == 404
    async with asked(house, key=None, environment="dev") as client:
        assert (await client.get("/metrics")).status_code == 200
    async with asked(house) as client:
        refused = await client.get("/metrics", headers={"authorization": "Bearer sk_live_something"})
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        taken = await client.get("/metrics", headers={"authorization": f"Bearer {KEY}"})
    assert "autodebit_database_up 1.0" in taken.text


# What waits

_WAITING = (
    """update agreements set test_clock_id = null, next_step_at = now() - interval '20 minutes',
         next_charge_at = now() - interval '10 minutes'""",
    """insert into attempts (id, agreement_id, charge_id, number, gateway_request_id, status, currency, amount, looks,
         times_not_found, prepared_at, sent_at)
       select 'att_by_hand', agreement_id, id, 9, 'by-hand', 'unknown', currency, amount, 0, 0, now(),
         now() - interval '1 hour' from charges where cycle = 3""",
    """insert into refunds (id, agreement_id, charge_id, attempt_id, kind, request_id, status, currency, amount, tries,
         created_at, written_at, next_try_at)
       select 'rfd_by_hand', agreement_id, charge_id, id, 'refund', 'by-hand', 'pending', currency, amount, 0, now(),
         now() - interval '2 hours', now() from attempts where status = 'succeeded' limit 1""",
    """update deliveries set status = 'pending', finished_at = null, next_attempt_at = null,
         queued_at = now() - interval '3 minutes' where id = (select min(id) from deliveries)""",
    """update deliveries set status = 'parked', finished_at = null, queued_at = now() - interval '4 minutes'
       where id = (select max(id) from deliveries)""",
    "update webhook_endpoints set disabled_at = now() - interval '5 minutes', disabled_reason = 'failing'",
    """update notifications set status = 'received', created_at = now() - interval '6 minutes'
       where id = (select min(id) from notifications)""",
    """insert into stop_switches (id, scope, name, livemode, reason, by, at)
       values ('stp_by_hand', 'gateway', 'antom', false, 'a drill', 'ann', now() - interval '7 minutes')""",
)


async def test_what_waits_is_read_with_the_age_of_the_oldest(watched: Watched) -> None:
    ours = ("antom", "test")
    assert await _waiting(watched) == {
        "attempts_open": {(*ours, "unknown"): (1, 3600)},
        "steps_overdue": {ours: (1, 1200)},
        "charges_overdue": {ours: (1, 600)},
        "stops_in_force": {("gateway", "test"): (1, 420)},
        "refunds_open": {ours: (1, 7200)},
        "webhooks_waiting": {("pending",): (1, 180), ("parked",): (1, 240)},
        "webhooks_overdue": {(): (1, 180)},
        "webhook_endpoints_disabled": {("merchant",): (0, 0), ("gone",): (0, 0), ("failing",): (1, 300)},
        "notifications_waiting": {("received",): (1, 360), ("signalled",): (0, 0)},
    }


async def _waiting(watched: Watched) -> dict[str, dict[tuple[str, ...], tuple[int, float]]]:
    """In a transaction in which all of it waits, and which nobody else ever sees."""
    async with AsyncSession(watched.shop.house.database._engine) as session:
        for statement in _WAITING:
            await (await session.connection()).execute(text(statement))
        found = await backlog.read(session, backlog.QUESTIONS)
        await session.rollback()
    return {name: {row.labels: (row.count, row.oldest_seconds) for row in rows} for name, rows in found.items()}


# Traces


def named(watched: Watched, name: str) -> list[ReadableSpan]:
    return [span for span in watched.spans if span.name == name]


def ancestors(watched: Watched, span: ReadableSpan) -> Iterator[ReadableSpan]:
    by_id = {each.context.span_id: each for each in watched.spans if each.context}
    while span.parent is not None:
        span = by_id[span.parent.span_id]
        yield span


def test_a_request_leads_through_workflow_and_activity_to_the_provider(watched: Watched) -> None:
    [asked_for_the_page] = named(watched, "antom authorize")
    assert [span.name for span in ancestors(watched, asked_for_the_page)] == [
        "RunActivity:authorize",
        "AgreementWorkflow authorize",
        "StartWorkflow:AgreementWorkflow",
        "POST /v1/agreements",
    ]
    assert dict(asked_for_the_page.attributes or {}) == {
        "gateway": "antom",
        "operation": "authorize",
        "outcome": "succeeded",
    }


def test_a_message_leads_to_the_call_it_caused(watched: Watched) -> None:
    [exchanged] = named(watched, "antom exchange")
    assert "SignalWorkflow:provider_news" in [span.name for span in ancestors(watched, exchanged)]


def test_a_debit_says_which_agreement_and_charge_it_is_for(watched: Watched) -> None:
    found = [dict(span.attributes or {}) for span in named(watched, "RunActivity:charge")]
    assert {each["autodebit.agreement"] for each in found} == {watched.agreement}
    assert {each["autodebit.charge"] for each in found} <= set(watched.charges)


def test_spans_hold_nothing_of_the_customers_and_no_secret(watched: Watched) -> None:
    told = [span.to_json() for span in watched.spans]
    assert [secret for secret in watched.secrets if any(secret in text for text in told)] == []
    assert [span.name for span in watched.spans if span.events] == []  # exceptions would be among them


def test_a_request_is_told_by_its_route_and_never_by_its_address(watched: Watched) -> None:
    """The address of a customer's return holds their code."""
    [returned] = named(watched, "GET /returns/{gateway}/{state}")
    assert dict(returned.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/returns/{gateway}/{state}",
        "http.response.status_code": 303,
    }


# Logs


def test_every_call_is_one_line_with_its_ids_and_its_trace(watched: Watched) -> None:
    calls = [line for line in watched.lines if line["event"] == "gateway_call" and line["operation"] == "charge"]
    assert [line["outcome"] for line in calls] == ["succeeded", "declined", "succeeded"]
    assert {line["agreement"] for line in calls} == {watched.agreement}
    assert [line["charge"] for line in calls] == [watched.charges[0], watched.charges[1], watched.charges[1]]
    traces = {format(span.context.trace_id, "032x") for span in named(watched, "antom charge") if span.context}
    assert {line["trace_id"] for line in calls} == traces
    assert [secret for secret in watched.secrets if any(secret in str(line) for line in calls)] == []


# The audit


async def test_the_audit_goes_on_by_itself(traced: tuple[House, InMemorySpanExporter], watched: Watched) -> None:
    house, _ = traced

    async def audited() -> bool:
        return (REGISTRY.get_sample_value("autodebit_audited_agreements_total") or 0) > before

    before = REGISTRY.get_sample_value("autodebit_audited_agreements_total") or 0
    await start_audits(house.temporal, timedelta(milliseconds=100))
    await until(audited)
    await house.temporal.get_workflow_handle("audits").terminate()


# Processes


async def test_a_worker_tells_its_metrics_and_temporals_and_sends_its_traces(
    traced: tuple[House, InMemorySpanExporter],
) -> None:
    house, _ = traced
    taken = asyncio.Event()

    async def take(request: Request) -> Response:
        if b"autodebit-worker" in await request.body():
            taken.set()
        return Response()

    await start_sweeper(house.temporal, timedelta(hours=1))  # a worker refuses a Temporal that has lost everything
    collector = FastAPI()
    collector.add_route("/v1/traces", take, methods=["POST"])
    async with serving(collector) as url, httpx.AsyncClient(timeout=60, trust_env=False) as client:
        ours, temporals = (f"127.0.0.1:{free_port()}" for _ in range(2))
        more = {"METRICS_ADDRESS": ours, "TEMPORAL_METRICS_ADDRESS": temporals, "OTLP_ENDPOINT": url}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", "worker", env=_environment(house, more), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            own = await _answered(client, f"http://{ours}/metrics")
            assert "autodebit_steps_overdue" in own
            assert 'autodebit_invariant_violations_total{invariant="within_cap"} 0.0' in own
            assert "temporal_worker_start_total" in await _answered(client, f"http://{temporals}/metrics")
        finally:
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 90) == 0
        await asyncio.wait_for(taken.wait(), 60)  # what is left is sent as the process ends


def _environment(house: House, more: Mapping[str, str]) -> dict[str, str]:
    settings = house.settings
    given = {
        "DATABASE_URL": settings.database_url,
        "TEMPORAL_ADDRESS": settings.temporal_address,
        "VAULT_KEYS": settings.vault_keys[0].get_secret_value(),
        "VAULT_HASH_KEY": settings.vault_hash_key.get_secret_value(),
        "PAYLOAD_KEYS": ",".join(key.get_secret_value() for key in settings.payload_keys),
    }
    return {**os.environ, **{f"AUTODEBIT_{name}": value for name, value in {**given, **more}.items()}}


async def _answered(client: httpx.AsyncClient, url: str) -> str:
    async with asyncio.timeout(90):
        while True:
            try:
                return (await client.get(url)).text
            except httpx.ConnectError:
                await asyncio.sleep(0.1)
