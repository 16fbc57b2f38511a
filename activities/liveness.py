"""Proof that a worker is alive, for as long as it works on an activity, whatever it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

BEAT = timedelta(seconds=3)
"""Between two beats. The SDK would hold them back for eight tenths of the time in which one must come, and leave a busy
worker two seconds of ten."""


class Heartbeats(Interceptor):
    """Beats around every activity that has a heartbeat timeout.

    Beating only while a provider is asked would take a worker for dead that waits for a busy database, and give its
    work to itself again, just when there is too much of it.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if activity.info().heartbeat_timeout is None:
            return await super().execute_activity(input)
        async with _heartbeats():
            return await super().execute_activity(input)


@asynccontextmanager
async def _heartbeats() -> AsyncIterator[None]:
    """Tells Temporal every few seconds that the worker is alive; what is quick never gets to send one."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT.total_seconds())
            activity.heartbeat()

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
