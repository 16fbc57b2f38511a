"""The rates of providers' queues, kept by the Temporal server: no process, replica or release can exceed them.

A worker's own limit would be per process, and workers that disagree would overrule each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimitConfig, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, UpdateTaskQueueConfigRequest
from temporalio.client import Client

from activities.contract import gateway_queue
from agreements.rates import Rate

_UNLIMITED = "unlimited"


@dataclass(frozen=True)
class Limit:
    """What the server keeps to. `reason` and `by` are whoever's who set it last."""

    tasks_per_second: float | None
    reason: str = ""
    by: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Limits:
    """Of one provider's queue: all merchants together, and each of them."""

    total: Limit
    each_merchant: Limit


async def limits(client: Client, gateway: str) -> Limits:
    """What the queue keeps to: it learns of a change moments after the server took it."""
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=gateway_queue(gateway)),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            report_config=True,
        )
    )
    found = described.config
    return Limits(_limit(found.queue_rate_limit), _limit(found.fairness_keys_rate_limit_default))


async def limit(
    client: Client,
    gateway: str,
    *,
    total: float | None = None,
    each_merchant: float | None = None,
    reason: str = "",
    by: str = "",
) -> None:
    """Sets what is given, in tasks a second; it holds within seconds, for every worker that runs or will run."""
    request = _request(client, gateway, by)
    if total is not None:
        request.update_queue_rate_limit.rate_limit.requests_per_second = total
        request.update_queue_rate_limit.reason = reason
    if each_merchant is not None:
        request.update_fairness_key_rate_limit_default.rate_limit.requests_per_second = each_merchant
        request.update_fairness_key_rate_limit_default.reason = reason
    await client.workflow_service.update_task_queue_config(request)


async def unlimit(client: Client, gateway: str, *, by: str = "") -> None:
    """Takes both limits away."""
    request = _request(client, gateway, by)
    request.update_queue_rate_limit.reason = _UNLIMITED
    request.update_fairness_key_rate_limit_default.reason = _UNLIMITED
    await client.workflow_service.update_task_queue_config(request)


async def keep(
    client: Client, totals: Iterable[tuple[str, Rate]], merchants: Iterable[tuple[str, Rate]], calls: dict[str, int]
) -> None:
    """Sets the limits the settings name, where the server has others; a gateway they do not name is left alone.

    `calls` is what a charge takes at each gateway. Raises ValueError for a gateway that does not exist, and RPCError
    where the server does not take a limit: then nothing may run as if it had.
    """
    total, each = dict(totals), dict(merchants)
    for gateway in sorted({*total, *each}):
        if gateway not in calls:
            raise ValueError(f"there is no gateway {gateway!r}: {', '.join(sorted(calls))}")
        wanted = {
            name: rates[gateway].tasks_per_second(calls[gateway])
            for name, rates in (("total", total), ("each_merchant", each))
            if gateway in rates
        }
        now = await limits(client, gateway)
        if any(not _same(getattr(now, name).tasks_per_second, rate) for name, rate in wanted.items()):
            stated = " and ".join(f"{rates[gateway]}" for rates in (total, each) if gateway in rates)
            await limit(client, gateway, **wanted, reason=f"{stated}, from the settings", by="settings")


def _same(now: float | None, wanted: float) -> bool:
    """The server keeps four bytes of a number."""
    return now is not None and abs(now - wanted) <= wanted * 1e-6


def _request(client: Client, gateway: str, by: str) -> UpdateTaskQueueConfigRequest:
    return UpdateTaskQueueConfigRequest(
        namespace=client.namespace,
        identity=by or client.identity,
        task_queue=gateway_queue(gateway),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )


def _limit(config: RateLimitConfig) -> Limit:
    told = config.metadata
    if not config.HasField("rate_limit"):
        return Limit(None, told.reason, told.update_identity)
    rate, since = config.rate_limit.requests_per_second, told.update_time.ToDatetime(UTC)
    return Limit(rate, told.reason, told.update_identity, since)
