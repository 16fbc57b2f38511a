"""A provider's rate is kept by the Temporal server, over all workers."""

from __future__ import annotations

import asyncio
import struct
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities.contract import gateway_queue
from agreements.rates import Rate
from gateways.connectors import calls_per_charge
from tests.promises.support import until
from tests.support.clock import WorkflowClock
from workflows import rates

_TASKS = 36


async def test_two_workers_together_keep_to_a_rate(clock: WorkflowClock) -> None:
    """Without a limit all are called within a second of each other. It is the server's clock that tells when each was
    handed out: a busy worker comes to several at once.
    """
    gateway, calls = f"scripted-{uuid4().hex}", list[datetime]()
    await rates.keep(clock.client, [(gateway, Rate(24))], [], {gateway: 1})
    await until(partial(_are, clock.client, gateway, ("settings", _stored(Rate(24).tasks_per_second(1)), None)))

    @activity.defn(name="charge")
    async def charge() -> None:
        calls.append(activity.info().started_time)

    async def start(number: int) -> None:
        await clock.client.start_activity(
            "charge",
            id=f"{gateway}/{number}",
            task_queue=gateway_queue(gateway),
            start_to_close_timeout=timedelta(seconds=30),
        )

    await asyncio.gather(*map(start, range(_TASKS)))
    second = await Client.connect(clock.client.service_client.config.target_host)
    async with (
        Worker(clock.client, task_queue=gateway_queue(gateway), activities=[charge]),
        Worker(second, task_queue=gateway_queue(gateway), activities=[charge]),
        asyncio.timeout(60),
    ):
        while len(calls) < _TASKS:
            await asyncio.sleep(0.02)
    a_second = timedelta(seconds=1)
    assert max(sum(first <= at < first + a_second for at in calls) for first in calls) <= 24


async def test_the_settings_rule_the_gateways_they_name_and_no_other(clock: WorkflowClock) -> None:
    named, other = f"scripted-{uuid4().hex}", f"scripted-{uuid4().hex}"
    by_hand, of_the_settings = ("ana", 5, 2), ("settings", _stored(Rate(1800, 60).tasks_per_second(2)), 2)
    for gateway in (named, other):
        await rates.limit(clock.client, gateway, total=5, each_merchant=2, reason="by hand", by="ana")
        await until(partial(_are, clock.client, gateway, by_hand))
    for _start in range(2):
        await rates.keep(clock.client, [(named, Rate(1800, 60))], [], {named: 2, other: 1})
        await until(partial(_are, clock.client, named, of_the_settings))
    assert await _are(clock.client, other, by_hand)
    await rates.unlimit(clock.client, named, by="ana")
    await until(partial(_are, clock.client, named, ("ana", None, None)))


async def _are(client: Client, gateway: str, wanted: tuple[str, float | None, float | None]) -> bool:
    """Whether these limits hold: a queue learns of new ones moments after the server took them."""
    found = await rates.limits(client, gateway)
    return (found.total.by, found.total.tasks_per_second, found.each_merchant.tasks_per_second) == wanted


def _stored(rate: float) -> float:
    """As the server stores it, in four bytes."""
    return float(struct.unpack("f", struct.pack("f", rate))[0])


async def test_a_rate_for_a_gateway_that_does_not_exist_is_refused(clock: WorkflowClock) -> None:
    with pytest.raises(ValueError, match="no gateway 'antm': antom, ottu, pivot"):
        await rates.keep(clock.client, [("antm", Rate(50))], [], calls_per_charge())


def test_a_debit_that_is_opened_first_takes_two_calls() -> None:
    assert calls_per_charge() == {"antom": 1, "ottu": 2, "pivot": 1}
