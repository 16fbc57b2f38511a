"""What every test may use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.clock import WorkflowClock, workflow_clock


@pytest.fixture(scope="session")
async def clock() -> AsyncIterator[WorkflowClock]:
    """A Temporal server on which a test moves the time of single workflows."""
    async with workflow_clock() as found:
        yield found
