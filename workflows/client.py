"""How the rest of the engine reaches its workflows: connecting, starting, telling."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import (
    ActivityIDConflictPolicy,
    Priority,
    RetryPolicy,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.contract import ADVANCE_CLOCK, AGREEMENTS_QUEUE, DELIVER, DELIVERIES_QUEUE, ClockInput, DeliveryInput
from agreements.standing import Standing
from workflows import search_attributes
from workflows.agreement import AgreementWorkflow
from workflows.messages import AgreementStart, Command, CommandResult, agreement_workflow_id
from workflows.news import LateNewsWorkflow
from workflows.sweeper import SweeperWorkflow
from workflows.test_clock import TestClockWorkflow

_ANSWER_WITHIN = timedelta(seconds=2)
_DELIVERY_SPAN = timedelta(days=8)


async def connect(address: str, namespace: str) -> Client:
    """A client that speaks our payload format."""
    return await Client.connect(address, namespace=namespace, data_converter=pydantic_data_converter)


async def start_agreement(client: Client, start: AgreementStart) -> None:
    """Starts the agreement's workflow; harmless when it runs already, or ran and ended."""
    try:
        await client.start_workflow(
            AgreementWorkflow.run,
            start,
            id=agreement_workflow_id(start.agreement_id),
            task_queue=AGREEMENTS_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"{start.reference}: {start.standing.terms}",
            search_attributes=_search_attributes(start),
            priority=Priority(fairness_key=start.merchant_id),
        )
    except WorkflowAlreadyStartedError:
        return


def _search_attributes(start: AgreementStart) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(search_attributes.AGREEMENT_STATUS, start.standing.status.value),
            SearchAttributePair(search_attributes.MERCHANT, start.merchant_id),
            SearchAttributePair(search_attributes.GATEWAY, start.gateway),
            SearchAttributePair(search_attributes.CUSTOMER, start.customer_id),
            SearchAttributePair(search_attributes.REFERENCE, start.reference),
        ]
    )


async def command(client: Client, agreement_id: str, name: Command, command_id: str, standing: Standing) -> None:
    """Tells the workflow of a change that is already committed on the agreement's row.

    An update, because its answer says that the workflow has taken it up; a signal when no worker answers, because a
    signal waits for one. A workflow that is gone has nothing left to do.
    """
    handle = client.get_workflow_handle_for(AgreementWorkflow.run, agreement_workflow_id(agreement_id))
    try:
        await handle.execute_update(
            name.value,
            args=[command_id, standing],
            id=command_id,
            result_type=CommandResult,
            rpc_timeout=_ANSWER_WITHIN,
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            await handle.signal(AgreementWorkflow.look, standing)


async def tell_news(client: Client, agreement_id: str, notification_id: str) -> None:
    """Hands a journalled provider message to the agreement's workflow, or to one of its own when that has closed."""
    handle = client.get_workflow_handle_for(AgreementWorkflow.run, agreement_workflow_id(agreement_id))
    try:
        await handle.signal(AgreementWorkflow.provider_news, notification_id)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        await client.start_workflow(
            LateNewsWorkflow.run,
            args=[agreement_id, notification_id],
            id=f"news/{notification_id}",
            task_queue=AGREEMENTS_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )


async def advance_clock(client: Client, clock_id: str) -> None:
    """Starts the clock's only mover; harmless when it is on its way."""
    await client.start_workflow(
        TestClockWorkflow.run,
        ClockInput(clock_id=clock_id),
        id=f"test-clock/{clock_id}",
        task_queue=AGREEMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"{ADVANCE_CLOCK} {clock_id}",
    )


async def start_sweeper(client: Client, interval: timedelta) -> None:
    """Starts the one workflow that looks for work left behind by a crash."""
    await client.start_workflow(
        SweeperWorkflow.run,
        interval,
        id="sweeper",
        task_queue=AGREEMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


async def start_deliveries(client: Client, delivery_ids: Sequence[str]) -> None:
    """Starts webhook deliveries in this order, each a standalone activity that operators see in the Temporal UI."""
    for delivery_id in delivery_ids:
        await client.start_activity(
            DELIVER,
            DeliveryInput(delivery_id=delivery_id),
            id=delivery_id,
            task_queue=DELIVERIES_QUEUE,
            id_conflict_policy=ActivityIDConflictPolicy.USE_EXISTING,
            start_to_close_timeout=timedelta(seconds=30),
            schedule_to_close_timeout=_DELIVERY_SPAN,
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), backoff_coefficient=2.0),
        )
