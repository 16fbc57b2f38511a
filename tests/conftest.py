"""What every test may use."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest
import structlog
from cryptography.fernet import Fernet
from hypothesis import settings
from playwright.async_api import Browser, Page

from tests.support.browser import chromium, opened
from tests.support.clock import WorkflowClock, workflow_clock
from tests.support.house import House, Shop
from tests.support.house import house as a_house

# A busy machine is not a broken law. `make test` tries the same examples each time, so that it fails for what was
# changed only; `make laws` looks for new ones.
settings.register_profile("same", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("new", max_examples=200, deadline=None, print_blob=True)
settings.load_profile("same")

# Hundreds of cached workflows stay alive in a session: looking through all of them often costs more than it frees.
gc.set_threshold(100_000, 50, 100)

# A shell's background jobs ignore Ctrl-C, and so would the programs that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Colours that somebody's environment asks for would stand between the words that tests look for.
os.environ.pop("FORCE_COLOR", None)

# A command that a test runs in this process takes sys.stdout for itself, and what the house logs meanwhile would stand
# among its words.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

# As in production, what Temporal stores is sealed; the processes that tests start inherit it.
os.environ.setdefault("AUTODEBIT_PAYLOAD_KEYS", Fernet.generate_key().decode())


@pytest.fixture(scope="session")
async def clock() -> AsyncIterator[WorkflowClock]:
    """A Temporal server on which a test moves the time of single workflows."""
    async with workflow_clock() as found:
        yield found


@pytest.fixture(scope="session")
async def house() -> AsyncIterator[House]:
    """The whole engine, shared; every test brings its own merchant."""
    async with a_house() as found:
        yield found


@pytest.fixture
async def shop(house: House) -> Shop:
    """A merchant of this test's own."""
    return await house.shop()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A browser for the tests marked so; every page has a visit of its own."""
    async with chromium() as started:
        yield started


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A phone's browser, which speaks English."""
    visit = await opened(browser, "en-US")
    yield visit
    await visit.close()
