"""Worker deployments: builds of the worker side by side, and moving running workflows from one to the next.

Off unless a worker is given a deployment and a build id (docs/upgrades.md). A workflow then stays on the build its run
began on; the nudge makes it continue as new on the one that is wanted now.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from temporalio.api.batch.v1 import BatchOperationSignal
from temporalio.api.deployment.v1 import RoutingConfig
from temporalio.api.enums.v1 import BatchOperationState, RoutingConfigUpdateState, WorkerDeploymentVersionStatus
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueVersioningInfo
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
    StartBatchOperationRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from workflows.agreement import AgreementWorkflow
from workflows.credential_checks import CredentialChecksWorkflow
from workflows.declaration import DeclarationWorkflow
from workflows.refund import RefundWorkflow

NUDGED = (AgreementWorkflow, RefundWorkflow, DeclarationWorkflow, CredentialChecksWorkflow)
"""Those that rest for long. The others end within hours, or look after every round which build is wanted."""

_PREFIX = "WORKER_DEPLOYMENT_VERSION_STATUS_"
_SOON = timedelta(seconds=10)
"""Within which Temporal's own word is waited for: it is about every partition of a queue."""


class NotThere(Exception):
    """No worker of this deployment, or of this build, has ever asked for work."""


@dataclass(frozen=True)
class Build:
    """One build of the worker, as Temporal knows it."""

    build_id: str
    status: str
    """`inactive`, `current`, `ramping`, `draining` (runs are pinned to it) or `drained`."""
    since: datetime
    running: int
    """Workflows pinned to it that have not ended."""


@dataclass(frozen=True)
class Deployment:
    """The builds of a deployment, newest first, and where new runs begin."""

    name: str
    current: str | None
    ramping: str | None
    percent: float
    builds: tuple[Build, ...]
    settled: bool
    """Whether every task queue knows of the last change."""


def config(name: str | None, build_id: str | None) -> WorkerDeploymentConfig | None:
    """How a worker takes part; None for workers without versions.

    Pinned is the worker's default, and never written at a workflow's class: one that says so itself could not run on a
    worker without versions.
    """
    if not name or not build_id:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(name, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


async def describe(client: Client, name: str) -> Deployment:
    """What there is now. Raises NotThere."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=name)
    try:
        info = (await client.workflow_service.describe_worker_deployment(request)).worker_deployment_info
    except RPCError as error:
        raise _not_there(error) from error
    builds = [
        Build(
            build_id=each.deployment_version.build_id,
            status=WorkerDeploymentVersionStatus.Name(each.status).removeprefix(_PREFIX).lower(),
            since=each.create_time.ToDatetime(UTC),
            running=await _running(client, f"{name}:{each.deployment_version.build_id}"),
        )
        for each in info.version_summaries
    ]
    routing = info.routing_config
    return Deployment(
        name=name,
        current=routing.current_deployment_version.build_id or None,
        ramping=routing.ramping_deployment_version.build_id or None,
        percent=routing.ramping_version_percentage,
        builds=tuple(sorted(builds, key=lambda build: build.since, reverse=True)),
        settled=info.routing_config_update_state != RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
        or (datetime.now(UTC) - _changed_at(routing) > _SOON and await queues_know(client, routing)),
    )


async def queues_know(client: Client, routing: RoutingConfig) -> bool:
    """Whether every queue of the builds that are wanted says so itself.

    On a busy server Temporal's own word may stay `in progress` for ever though all know (temporalio/temporal#11842,
    open), and a promotion would look as if it had failed.
    """
    service = client.workflow_service
    for version in (routing.current_deployment_version, routing.ramping_deployment_version):
        if not version.build_id:
            continue
        asked = DescribeWorkerDeploymentVersionRequest(namespace=client.namespace, deployment_version=version)
        for queue in (await service.describe_worker_deployment_version(asked)).version_task_queues:
            request = DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=queue.name), task_queue_type=queue.type
            )
            if _wanted(routing) != _wanted((await service.describe_task_queue(request)).versioning_info):
                return False
    return True


def _wanted(told: RoutingConfig | TaskQueueVersioningInfo) -> tuple[str, str, float]:
    """The builds on which new runs begin, and the second one's share; one of nothing is none."""
    share = told.ramping_version_percentage
    return told.current_deployment_version.build_id, told.ramping_deployment_version.build_id if share else "", share


def _changed_at(routing: RoutingConfig) -> datetime:
    times = (
        routing.current_version_changed_time,
        routing.ramping_version_changed_time,
        routing.ramping_version_percentage_changed_time,
    )
    return max(each.ToDatetime(UTC) for each in times)


async def promote(client: Client, name: str, build_id: str, percent: float | None = None) -> None:
    """New runs begin on this build, all of them or a share; a return to an older build is the same call.

    Raises NotThere while no worker of it has asked for work. Temporal refuses a build whose workers do not serve every
    queue that the present one serves.
    """
    service = client.workflow_service
    try:
        if percent is None:
            await service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=client.namespace, deployment_name=name, build_id=build_id, identity=client.identity
                )
            )
        else:
            await service.set_worker_deployment_ramping_version(
                SetWorkerDeploymentRampingVersionRequest(
                    namespace=client.namespace,
                    deployment_name=name,
                    build_id=build_id,
                    percentage=percent,
                    identity=client.identity,
                )
            )
    except RPCError as error:
        raise _not_there(error) from error


async def left(client: Client, name: str) -> int:
    """How many workflows that can be nudged still run on builds that are not wanted. Told with a delay of a second."""
    return (await client.count_workflows(await _pinned_elsewhere(client, name))).count


async def nudge(client: Client, name: str, per_second: float) -> tuple[int, int]:
    """Nudges each of those once, in a batch that the server does and that goes on if we end; how many, and how many of
    them could not be told.
    """
    job = f"nudge-{name}-{uuid4().hex[:12]}"
    await client.workflow_service.start_batch_operation(
        StartBatchOperationRequest(
            namespace=client.namespace,
            visibility_query=await _pinned_elsewhere(client, name),
            job_id=job,
            reason="to the build that is wanted",
            max_operations_per_second=per_second,
            signal_operation=BatchOperationSignal(signal=AgreementWorkflow.nudge.__name__, identity=client.identity),
        )
    )
    while True:
        found = await client.workflow_service.describe_batch_operation(
            DescribeBatchOperationRequest(namespace=client.namespace, job_id=job)
        )
        if found.state in (
            BatchOperationState.BATCH_OPERATION_STATE_COMPLETED,
            BatchOperationState.BATCH_OPERATION_STATE_FAILED,
        ):
            return found.complete_operation_count, found.failure_operation_count
        await asyncio.sleep(0.3)


async def _running(client: Client, version: str) -> int:
    query = f"TemporalWorkerDeploymentVersion = '{version}' AND ExecutionStatus = 'Running'"
    return (await client.count_workflows(query)).count


async def _pinned_elsewhere(client: Client, name: str) -> str:
    found = await describe(client, name)
    # A share that was taken back stays on the books as one of nothing.
    ramping = found.ramping if found.percent else None
    wanted = [f"'{name}:{build}'" for build in (found.current, ramping) if build]
    if not wanted:
        raise NotThere(f"no build of {name} is current yet")
    kinds = ", ".join(f"'{kind.__name__}'" for kind in NUDGED)
    return (
        f"TemporalWorkerDeployment = '{name}' AND TemporalWorkerDeploymentVersion NOT IN ({', '.join(wanted)})"
        f" AND ExecutionStatus = 'Running' AND WorkflowType IN ({kinds})"
    )


def _not_there(error: RPCError) -> Exception:
    missing = error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)
    return NotThere(error.message) if missing else error
