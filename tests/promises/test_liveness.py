"""Promise 9: a worker that waits, for a provider or for a busy database, is not taken for a dead one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.liveness import Heartbeats


class UntilBeaten(ActivityInboundInterceptor):
    """An activity that goes on waiting until its worker has sent a heartbeat."""

    def __init__(self) -> None:
        self.beaten = asyncio.Event()

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        async with asyncio.timeout(60):
            await self.beaten.wait()
        return "done"


async def test_a_waiting_activity_sends_heartbeats() -> None:
    waiting, environment = UntilBeaten(), ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(seconds=10))
    environment.on_heartbeat = lambda *_: waiting.beaten.set()

    async def work() -> Any:
        given = ExecuteActivityInput(fn=work, args=(), executor=None, headers={})
        return await Heartbeats().intercept_activity(waiting).execute_activity(given)

    assert await environment.run(work) == "done"
