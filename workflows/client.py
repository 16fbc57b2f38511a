"""How the rest of the engine reaches its workflows: connecting, starting, telling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.common import (
    ActivityIDConflictPolicy,
    Priority,
    RetryPolicy,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.contract import AGREEMENTS_QUEUE, DELIVER, DELIVERIES_QUEUE, ClockInput, DeliveryInput
from agreements.declarations import DeclarationStanding
from agreements.deliveries import Run
from agreements.refunds import RefundStanding
from agreements.standing import Standing
from settings import Settings
from workflows import search_attributes
from workflows.agreement import AgreementWorkflow
from workflows.audits import AuditsWorkflow
from workflows.codec import data_converter
from workflows.credential_checks import CredentialChecksWorkflow
from workflows.declaration import DeclarationWorkflow
from workflows.details import fixed_details
from workflows.messages import (
    AgreementStart,
    Command,
    CommandResult,
    CredentialChecksStart,
    DeclarationStart,
    RefundStart,
    agreement_workflow_id,
    declaration_workflow_id,
    refund_workflow_id,
)
from workflows.reconciliation import ReconciliationWorkflow
from workflows.refund import RefundWorkflow
from workflows.secured import tls
from workflows.sweeper import SweeperWorkflow
from workflows.test_clock import TestClockWorkflow

_ANSWER_WITHIN = timedelta(seconds=2)
_SWEEPER = "sweeper"


async def connect(settings: Settings, **options: Any) -> Client:
    """The only way to Temporal: a client that seals what it sends; `options` are those of `Client.connect`.

    Raises OSError for a certificate that cannot be read.
    """
    key, files = settings.temporal_api_key, (settings.temporal_client_cert, settings.temporal_client_key)
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=data_converter(settings.payload_keys),
        tls=tls(settings.temporal_tls, settings.temporal_server_ca, *files),
        api_key=None if key is None else key.get_secret_value(),
        **options,
    )


async def start_agreement(client: Client, standing: Standing) -> None:
    """Starts the agreement's workflow; harmless when it runs already, or ran and ended."""
    with suppress(WorkflowAlreadyStartedError):
        await _start(client, standing, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE)


async def tell_running(client: Client, agreement_id: str, notification_id: str) -> bool:
    """Hands a journalled provider message to the agreement's workflow if it runs, and says whether it does.

    What almost every agreement needs, and cheaper than `tell_news`: nobody has to read the standing for it.
    """
    handle = client.get_workflow_handle_for(AgreementWorkflow.run, agreement_workflow_id(agreement_id))
    with _gone():
        await handle.signal(AgreementWorkflow.provider_news, notification_id)
        return True
    return False


async def tell_news(client: Client, standing: Standing, notification_id: str) -> None:
    """Hands a journalled provider message to the agreement's workflow.

    News may come after the workflow has closed; then a new run starts from the standing, does what the news asks for
    (a late success is given back) and closes again.
    """
    await _start(
        client, standing, start_signal=AgreementWorkflow.provider_news.__name__, start_signal_args=[notification_id]
    )


async def _start(client: Client, standing: Standing, **options: Any) -> None:
    agreement = standing.agreement
    await client.start_workflow(
        AgreementWorkflow.run,
        AgreementStart(standing=standing),
        id=agreement_workflow_id(agreement.id),
        task_queue=AGREEMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"{agreement.reference}: {standing.terms}",
        static_details=fixed_details(standing),
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(search_attributes.AGREEMENT_STATUS, standing.status.value),
                SearchAttributePair(search_attributes.MERCHANT, agreement.merchant_id),
                SearchAttributePair(search_attributes.GATEWAY, agreement.gateway),
                *search_attributes.in_clear(search_attributes.CUSTOMER, agreement.customer_id),
                *search_attributes.in_clear(search_attributes.REFERENCE, agreement.reference),
            ]
        ),
        priority=Priority(fairness_key=agreement.merchant_id),
        **options,
    )


async def start_refund(client: Client, refund: RefundStanding) -> None:
    """Starts the refund's workflow; harmless when it runs already, or ran and ended."""
    with suppress(WorkflowAlreadyStartedError):
        await _start_refund(client, refund, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE)


async def tell_refund_news(client: Client, refund: RefundStanding, notification_id: str) -> None:
    """Hands a journalled provider message to the refund's workflow; to a run of its own after the workflow has ended,
    for a refund may fail long after it succeeded.
    """
    await _start_refund(
        client, refund, start_signal=RefundWorkflow.provider_news.__name__, start_signal_args=[notification_id]
    )


async def _start_refund(client: Client, refund: RefundStanding, **options: Any) -> None:
    workflow_id = refund_workflow_id(refund.refund_id)
    await _start_beside(client, refund, RefundWorkflow.run, RefundStart(refund=refund), workflow_id, **options)


async def start_declaration(client: Client, declaration: DeclarationStanding) -> None:
    """Starts the workflow of a declaration at customs; harmless when it runs already, or ran and ended."""
    workflow_id, start = declaration_workflow_id(declaration.declaration_id), DeclarationStart(declaration=declaration)
    once = WorkflowIDReusePolicy.REJECT_DUPLICATE
    with suppress(WorkflowAlreadyStartedError):
        await _start_beside(client, declaration, DeclarationWorkflow.run, start, workflow_id, id_reuse_policy=once)


async def _start_beside(
    client: Client, of: RefundStanding | DeclarationStanding, run: Any, start: object, workflow_id: str, **options: Any
) -> None:
    """Starts what lives beside an agreement, and may outlive it."""
    await client.start_workflow(
        run,
        start,
        id=workflow_id,
        task_queue=AGREEMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=of.title,
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(search_attributes.MERCHANT, of.merchant_id),
                SearchAttributePair(search_attributes.GATEWAY, of.gateway),
            ]
        ),
        priority=Priority(fairness_key=of.merchant_id),
        **options,
    )


async def command(client: Client, name: Command, command_id: str, standing: Standing) -> None:
    """Tells the workflow of a change that is already committed on the agreement's row.

    An update, because its answer says that the workflow has taken it up; where none comes, a signal, which waits for a
    worker (`look`).
    """
    handle = client.get_workflow_handle_for(AgreementWorkflow.run, agreement_workflow_id(standing.agreement.id))
    try:
        await handle.execute_update(
            name.value,
            args=[command_id, standing],
            id=command_id,
            result_type=CommandResult,
            rpc_timeout=_ANSWER_WITHIN,
        )
    except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError):
        await look(client, standing)


async def tick(client: Client, agreement_id: str, now: datetime) -> None:
    """Tells an agreement that its test clock has moved; one that is not running has nothing to do."""
    handle = client.get_workflow_handle_for(AgreementWorkflow.run, agreement_workflow_id(agreement_id))
    with _gone():
        await handle.signal(AgreementWorkflow.tick, now)


async def tick_refund(client: Client, refund_id: str, now: datetime) -> None:
    """The same for a refund."""
    handle = client.get_workflow_handle_for(RefundWorkflow.run, refund_workflow_id(refund_id))
    with _gone():
        await handle.signal(RefundWorkflow.tick, now)


async def tick_declaration(client: Client, declaration_id: str, now: datetime) -> None:
    """The same for a declaration at customs."""
    handle = client.get_workflow_handle_for(DeclarationWorkflow.run, declaration_workflow_id(declaration_id))
    with _gone():
        await handle.signal(DeclarationWorkflow.tick, now)


async def look(client: Client, standing: Standing) -> None:
    """Hands a newer standing to a workflow that may have missed it.

    One that had closed and has something to do again, such as to end a deleted credential, is run once more; so is one
    that Temporal has lost, or that somebody terminated.
    """
    handle = client.get_workflow_handle_for(AgreementWorkflow.run, agreement_workflow_id(standing.agreement.id))
    try:
        await handle.signal(AgreementWorkflow.look, standing)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        if not standing.closed:
            await _start(client, standing)


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def advance_clock(client: Client, clock_id: str) -> None:
    """Starts the clock's only mover, or tells it that there is a new target; harmless when it knows."""
    await client.start_workflow(
        TestClockWorkflow.run,
        ClockInput(clock_id=clock_id),
        id=f"test-clock/{clock_id}",
        task_queue=AGREEMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=TestClockWorkflow.advance.__name__,
        static_summary=f"moves test clock {clock_id} to its target",
        static_details="Runs everything that falls due on the way, in order, each at its own instant of this clock.",
    )


async def start_sweeper(client: Client, interval: timedelta) -> None:
    """Starts the one workflow that looks for work left behind by a crash."""
    await _start_the_one(
        client,
        SweeperWorkflow.run,
        interval,
        _SWEEPER,
        "takes up what a crash left behind, and tells agreements of stop switches",
        f"Sweeps every {interval.total_seconds():.0f} s, and at once when it gets the signal `hurry`.",
    )


async def sweep_now(client: Client) -> None:
    """Asks the sweeper not to wait; without one there is nothing to ask, for whoever starts it sweeps first."""
    with _gone():
        await client.get_workflow_handle_for(SweeperWorkflow.run, _SWEEPER).signal(SweeperWorkflow.hurry)


async def knows_sweeper(client: Client) -> bool:
    """Whether a worker of ours was ever started on this namespace."""
    with _gone():
        await client.get_workflow_handle(_SWEEPER).describe()
        return True
    return False


async def start_reconciliation(client: Client, interval: timedelta) -> None:
    """Starts the one workflow that looks for settlement files which have arrived."""
    await _start_the_one(
        client,
        ReconciliationWorkflow.run,
        interval,
        "reconciliation",
        "reconciles providers' settlement files with the ledger",
        f"Looks for new ones every {interval}; `autodebit reconcile list` tells what differs.",
    )


async def start_credential_checks(client: Client, interval: timedelta, gateways: Sequence[str]) -> None:
    """Starts the one workflow that asks providers for the credentials in use."""
    await _start_the_one(
        client,
        CredentialChecksWorkflow.run,
        CredentialChecksStart(interval=interval, gateways=list(gateways)),
        "credential-checks",
        f"asks {' and '.join(gateways)} which credentials are still on file",
    )


async def start_audits(client: Client, interval: timedelta) -> None:
    """Starts the one workflow that has the ledger audited."""
    await _start_the_one(
        client,
        AuditsWorkflow.run,
        interval,
        "audits",
        "audits the ledger against its invariants",
    )


async def _start_the_one(
    client: Client, run: Any, argument: object, name: str, summary: str, details: str | None = None
) -> None:
    """Starts a workflow of which there is one, under its own name; harmless while it runs."""
    await client.start_workflow(
        run,
        argument,
        id=name,
        task_queue=AGREEMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=summary,
        static_details=details,
    )


async def is_running(client: Client, agreement_id: str) -> bool:
    """Whether an agreement's workflow has begun and not ended."""
    with _gone():
        found = await client.get_workflow_handle(agreement_workflow_id(agreement_id)).describe()
        return found.status is WorkflowExecutionStatus.RUNNING
    return False


async def start_deliveries(client: Client, merchant_id: str, delivery_ids: Sequence[str]) -> None:
    """Starts a merchant's new webhook deliveries in this order; see `start_runs`."""
    await start_runs(client, [Run(delivery_id, merchant_id) for delivery_id in delivery_ids])


async def start_runs(client: Client, runs: Sequence[Run]) -> None:
    """Starts runs of webhook deliveries in this order, each a standalone activity that operators see in the Temporal UI
    by the delivery's id (`dlv_…`), later runs by `dlv_…/2` and so on.

    They have no deadline as a whole: their own plan ends them, and while no worker runs they must not be lost. One that
    died with its worker is noticed by its heartbeat. Where they queue up merchants take turns, as with debits; of these
    they take no place, for their queue is another.
    """
    for delivery_id, merchant_id, run in runs:
        await client.start_activity(
            DELIVER,
            DeliveryInput(delivery_id=delivery_id, run=run),
            id=delivery_id if run == 1 else f"{delivery_id}/{run}",
            task_queue=DELIVERIES_QUEUE,
            id_conflict_policy=ActivityIDConflictPolicy.USE_EXISTING,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), backoff_coefficient=2.0),
            priority=Priority(fairness_key=merchant_id),
        )
