"""The worker: hosts workflows and activities on their task queues until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import httpx
import structlog
import uvloop
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerTuner

import logs
from activities import chores, stopping
from activities.audit import Audits
from activities.authorizations import Authorizations
from activities.capacity import LEAST_WEBHOOKS, MOST_WEBHOOKS, activities_at_once
from activities.charges import Charges
from activities.context import LogContext
from activities.contract import AGREEMENTS_QUEUE, DELIVERIES_QUEUE, gateway_queue
from activities.credentials import Credentials
from activities.declarations import Declarations
from activities.deliveries import Deliveries
from activities.endings import Endings
from activities.liveness import BEAT, Heartbeats
from activities.measured import measured
from activities.news import ProviderNews
from activities.on_file import CredentialChecks
from activities.orders import Orders
from activities.reconciliation import Reconciliation
from activities.reminders import Reminders
from activities.reversals import Reversals
from activities.settlement_folder import SettlementFolder
from activities.sweep import Reach, Sweeps
from activities.test_clocks import TestClocks
from activities.webhook_calls import WebhookCalls
from activities.workbench import Workbench
from agreements import rulebook
from agreements.catalog import GATEWAYS
from api import replay
from api.limits import Limits
from api.services import Patience, Services
from gateways import http
from gateways.connectors import calls_per_charge, connectors, lists
from gateways.port import Gateway
from settings import Settings, WorkerSettings
from store import recovery
from store.database import Database
from store.retention import Kept
from store.vault import Vault
from telemetry import ledger, tracing
from telemetry import temporal as telemetry
from telemetry.exposition import Exposition
from workflows import client as workflows
from workflows import deployments, rates
from workflows.agreement import AgreementWorkflow
from workflows.audits import AuditsWorkflow
from workflows.credential_checks import CredentialChecksWorkflow
from workflows.declaration import DeclarationWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.refund import RefundWorkflow
from workflows.runner import runner
from workflows.sweeper import SweeperWorkflow
from workflows.test_clock import TestClockWorkflow

_FINISH_WITHIN = timedelta(seconds=30)
"""Longer than the longest provider call, so that a stop finishes what is in flight."""

WORKFLOWS = (
    AgreementWorkflow,
    RefundWorkflow,
    DeclarationWorkflow,
    TestClockWorkflow,
    SweeperWorkflow,
    CredentialChecksWorkflow,
    ReconciliationWorkflow,
    AuditsWorkflow,
)

Share = Literal["webhooks", "debits"]
"""What a worker process does where it does not do everything: webhooks, or all but these."""

_POLLERS = PollerBehaviorAutoscaling(minimum=1, initial=2, maximum=10)
"""Questions to Temporal that wait for work: few while there is none, and more as soon as it tells of a backlog."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Parts:
    """What a worker works with."""

    settings: Settings
    temporal: Client
    database: Database
    vault: Vault
    http: httpx.AsyncClient
    """For what is no debit: test clocks of the sandbox, and the daily check of cards on file."""
    gateways: dict[str, Gateway]
    webhooks: WebhookCalls = field(default_factory=WebhookCalls)
    """Apart from `http`, so that merchants' receivers and providers cannot get into each other's way."""


def workers(parts: Parts, only: Share | None = None) -> list[Worker]:
    """One worker per task queue: workflows, webhooks, and one for each provider; or a share of them, where processes
    share the work.
    """
    ledger.watch()
    webhooks = [] if only == "debits" else [_delivering(parts)]
    return webhooks if only == "webhooks" else [*_debiting(parts), *webhooks]


def _delivering(parts: Parts) -> Worker:
    deliveries = Deliveries(parts.settings, parts.database, parts.vault, parts.webhooks)
    at_once = activities_at_once(MOST_WEBHOOKS, LEAST_WEBHOOKS)
    return _worker(parts, DELIVERIES_QUEUE, [deliveries.deliver], at_once)


def _debiting(parts: Parts) -> list[Worker]:
    """Everything but webhooks.

    No provider is called from the workflows' queue: there Temporal may hand an activity to the worker that asked for it
    (eagerly), past the queue's rate limit. What calls nobody is done there, and still on the providers' queues as well,
    where workers before release 0.4 put it.
    """
    start_deliveries = partial(workflows.start_runs, parts.temporal)
    bench = Workbench(parts.settings, parts.database, parts.vault, measured(parts.gateways), start_deliveries)
    checks = CredentialChecks(bench, measured(lists(parts.http)), partial(workflows.look, parts.temporal))
    audits = Audits(parts.database, partial(workflows.is_running, parts.temporal))
    keeping_house: list[Callable[..., Any]] = [
        _clocks(parts).advance_clock,
        _sweeps(parts).sweep,
        _settlement_folder(parts).reconcile,
        audits.audit,
    ]
    return [
        _worker(
            parts,
            AGREEMENTS_QUEUE,
            [*keeping_house, Orders(bench).obey, *_without_a_call(bench)],
            activities_at_once(),
            workflows=WORKFLOWS,
            workflow_runner=runner(sandboxed=parts.settings.workflow_sandbox),
            max_cached_workflows=parts.settings.cached_workflows,
            workflow_task_poller_behavior=_POLLERS,
        ),
        *(
            _worker(
                parts,
                gateway_queue(name),
                [*_calls(bench), checks.check_credentials, *_without_a_call(bench)],
                activities_at_once(parts.settings.charge_concurrency),
            )
            for name in parts.gateways
        ),
    ]


def _worker(
    parts: Parts, queue: str, activities: Sequence[Callable[..., Any]], tuner: WorkerTuner, **of_workflows: Any
) -> Worker:
    return Worker(
        parts.temporal,
        task_queue=queue,
        activities=activities,
        activity_task_poller_behavior=_POLLERS,
        tuner=tuner,
        interceptors=[Heartbeats(), LogContext()],
        max_heartbeat_throttle_interval=BEAT,
        graceful_shutdown_timeout=_FINISH_WITHIN,
        deployment_config=deployments.config(parts.settings.deployment, parts.settings.build_id),
        **of_workflows,
    )


def _clocks(parts: Parts) -> TestClocks:
    return TestClocks(
        parts.database,
        parts.http,
        partial(workflows.tick, parts.temporal),
        partial(workflows.tick_refund, parts.temporal),
        partial(workflows.tick_declaration, parts.temporal),
        partial(workflows.look, parts.temporal),
    )


def _sweeps(parts: Parts) -> Sweeps:
    start_runs = partial(workflows.start_runs, parts.temporal)
    kept = Kept(
        delivery_attempts=parts.settings.webhook_log_retention,
        notifications=parts.settings.notification_retention,
        doubtful_notifications=parts.settings.doubtful_notification_retention,
    )
    return Sweeps(
        parts.database,
        reach(parts.temporal),
        chores=[
            chores.taking_up(parts.database, _take_up(parts)),
            chores.catching_up(parts.database, start_runs),
            chores.purging(parts.database, kept),
            chores.walking(parts.database, parts.settings.event_retention),
            stopping.telling(parts.database, partial(workflows.look, parts.temporal)),
        ],
    )


def _settlement_folder(parts: Parts) -> SettlementFolder:
    work = Reconciliation(parts.database, parts.vault, fees_apart=parts.settings.settlement_fees == "apart")
    return SettlementFolder(parts.database, work, parts.settings.settlement_folder)


def _take_up(parts: Parts) -> chores.TakeUp:
    """Messages are judged by the code that judges them when they come, which is the API's."""
    inside = Services(parts.settings, parts.database, parts.vault, parts.temporal, Patience(), Limits(parts.settings))

    async def take_up(notification_id: str) -> None:
        await replay.take_up(inside, notification_id)

    return take_up


def reach(temporal: Client) -> Reach:
    """How sweeps get at workflows and deliveries."""
    return Reach(
        start_agreement=partial(workflows.start_agreement, temporal),
        tell_news=partial(workflows.tell_news, temporal),
        look=partial(workflows.look, temporal),
        start_deliveries=partial(workflows.start_runs, temporal),
        advance_clock=partial(workflows.advance_clock, temporal),
        start_refund=partial(workflows.start_refund, temporal),
        tell_refund_news=partial(workflows.tell_refund_news, temporal),
        start_declaration=partial(workflows.start_declaration, temporal),
    )


def _calls(bench: Workbench) -> list[Callable[..., Any]]:
    charges, credentials, reversals = Charges(bench), Credentials(bench), Reversals(bench)
    return [
        Authorizations(bench).authorize,
        charges.charge,
        charges.inquire,
        credentials.refresh,
        credentials.revoke_at_provider,
        credentials.release,
        reversals.reverse,
        reversals.refund,
        Declarations(bench).declare,
    ]


def _without_a_call(bench: Workbench) -> list[Callable[..., Any]]:
    authorizations, charges = Authorizations(bench), Charges(bench)
    news, reminders = ProviderNews(bench), Reminders(bench)
    return [
        authorizations.expire_authorization,
        authorizations.expire_card_change,
        charges.lapse,
        charges.announce,
        Endings(bench).expire,
        reminders.remind_of_card_change,
        reminders.warn_of_expiry,
        news.settle_news,
        news.settle_refund_news,
    ]


async def main(only: Share | None = None) -> None:
    """Runs until SIGTERM or Ctrl-C; activities under way are finished first. One for webhooks leaves the providers'
    rates, and the workflows of which there is one, to the others.

    Raises RulebookError, and ValueError for the rate of a gateway that does not exist, before it starts.
    """
    settings = WorkerSettings()
    rulebook.use(settings.rulebook)
    logs.set_up(settings.environment)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(tracing.exporting(settings, "worker"))
        client = await stack.enter_async_context(http.client())
        pools = await stack.enter_async_context(http.pools(GATEWAYS, settings.charge_concurrency))
        database = Database(settings.database_url, settings.database_pool)
        stack.push_async_callback(database.close)
        temporal = await workflows.connect(settings, **telemetry.options(settings))
        parts = Parts(
            settings=settings,
            temporal=temporal,
            database=database,
            vault=Vault(settings.vault_keys, settings.vault_hash_key),
            http=client,
            gateways=connectors(pools),
        )
        stack.push_async_callback(parts.webhooks.close)
        if only != "webhooks":
            await rates.keep(temporal, settings.gateway_rates, settings.merchant_rates, calls_per_charge())
        await _refuse_lost_workflows(temporal, database)
        hosted = workers(parts, only)
        for worker in hosted:
            await stack.enter_async_context(worker)
        if only != "webhooks":
            await _start_keepers(parts)
        stack.enter_context(Exposition(database).listening(settings.metrics_address))
        if settings.worker_health_port is not None:
            server = await asyncio.start_server(_healthy, "127.0.0.1", settings.worker_health_port)
            await stack.enter_async_context(server)
        log.info("worker ready", queues=[worker.task_queue for worker in hosted])
        await stop.wait()
        log.info("worker stopping")


async def _start_keepers(parts: Parts) -> None:
    """Starts the workflows of which there is one; harmless while they run."""
    settings, temporal = parts.settings, parts.temporal
    await workflows.start_sweeper(temporal, settings.sweep_interval)
    if settings.settlement_folder is not None:
        await workflows.start_reconciliation(temporal, settings.settlement_interval)
    await workflows.start_credential_checks(temporal, settings.credential_check_interval, sorted(lists(parts.http)))
    await workflows.start_audits(temporal, settings.audit_interval)


async def _refuse_lost_workflows(temporal: Client, database: Database) -> None:
    """A namespace that never ran a worker of ours cannot hold the workflows of agreements that live already.

    Going on would debit from rows that may be a backup's, without asking what was debited after it.
    """
    if await recovery.expects_workflows(database) and not await workflows.knows_sweeper(temporal):
        raise SystemExit(
            f"the namespace {temporal.namespace} does not hold the workflows of this database's agreements:"
            " run `autodebit recover` first (docs/deploy.md)"
        )


async def _healthy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers any request: whoever asks only wants to know that the pollers run."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
    await writer.drain()
    writer.close()


if __name__ == "__main__":
    uvloop.run(main())
