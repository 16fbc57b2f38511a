"""Fixtures of the sandbox's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sandbox.support import Inbox, Merchant, a_sandbox


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Merchant, Inbox]]:
    async with a_sandbox(tmp_path) as both:
        yield both


@pytest.fixture
def merchant(running: tuple[Merchant, Inbox]) -> Merchant:
    return running[0]


@pytest.fixture
def inbox(running: tuple[Merchant, Inbox]) -> Inbox:
    return running[1]
