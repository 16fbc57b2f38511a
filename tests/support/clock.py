"""Time in workflow tests: a real Temporal server whose clock moves per workflow, behind three verbs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from cli.embedded.temporal import DYNAMIC_CONFIG, TIME_SKIPPING, program
from workflows import search_attributes


class WorkflowClock:
    """Moves one workflow's time; nothing moves by itself."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        self._environment = environment

    @property
    def client(self) -> Client:
        return self._environment.client

    async def advance(self, handle: WorkflowHandle[Any, Any], by: timedelta) -> None:
        """Lets everything due within `by` happen; follows a workflow that continues as new."""
        await self._environment.fast_forward(handle, by)

    async def now(self, handle: WorkflowHandle[Any, Any]) -> datetime:
        """What time it is for this workflow."""
        return await self._environment.get_current_time(handle)


@asynccontextmanager
async def workflow_clock() -> AsyncIterator[WorkflowClock]:
    """A server of its own, in memory, with time-skipping V2 switched on."""
    extra = [part for option in DYNAMIC_CONFIG + TIME_SKIPPING for part in ("--dynamic-config-value", option)]
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=program(),
        dev_server_extra_args=extra,
        search_attributes=search_attributes.ALL,
        data_converter=pydantic_data_converter,
    )
    async with environment:
        yield WorkflowClock(environment)
