"""Fixtures of the sandbox's tests: one running sandbox, reset between tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sandbox import ottu_support, pivot_support
from tests.sandbox.ottu_support import Merchant as OttuMerchant
from tests.sandbox.ottu_support import an_ottu
from tests.sandbox.pivot_support import Callbacks, Shop, a_pivot_sandbox
from tests.sandbox.support import CLIENT_ID, KEY, START, Inbox, Merchant, a_sandbox


@pytest.fixture(scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Merchant, Inbox]]:
    async with a_sandbox(tmp_path_factory.mktemp("sandbox")) as both:
        yield both


@pytest.fixture
async def merchant(running: tuple[Merchant, Inbox]) -> AsyncIterator[Merchant]:
    merchant, inbox = running
    merchant.client_id, merchant.key, merchant.now = CLIENT_ID, KEY, START
    await merchant.admin("reset", {})
    await merchant.register(inbox.url)
    inbox.received.clear()
    inbox.answers.clear()
    yield merchant
    await merchant.quiet()  # nothing of this test may reach the inbox of the next


@pytest.fixture
def inbox(running: tuple[Merchant, Inbox], merchant: Merchant) -> Inbox:
    return running[1]


@pytest.fixture(scope="session")
async def running_ottu(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OttuMerchant]:
    async with an_ottu(tmp_path_factory.mktemp("ottu")) as merchant:
        yield merchant


@pytest.fixture
async def ottu(running_ottu: OttuMerchant) -> AsyncIterator[OttuMerchant]:
    await running_ottu.begin()
    yield running_ottu
    await running_ottu.quiet()  # nothing of this test may reach the inbox of the next


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[OttuMerchant]:
    """At an Ottu of its own, which does not wait long for a merchant's answer."""
    async with an_ottu(tmp_path, replace(ottu_support.FAST, answer_within=0.3)) as merchant:
        yield merchant


@pytest.fixture(scope="session")
async def pivot(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Shop, Callbacks]]:
    async with a_pivot_sandbox(tmp_path_factory.mktemp("pivot")) as both:
        yield both


@pytest.fixture
async def shop(pivot: tuple[Shop, Callbacks]) -> AsyncIterator[Shop]:
    shop, callbacks = pivot
    shop.now, shop.clock = pivot_support.START, "clk_1"
    await shop.admin("reset", {})
    await shop.register()
    callbacks.received.clear()
    callbacks.refused.clear()
    callbacks.answers.clear()
    yield shop
    await shop.quiet()  # nothing of this test may reach the callbacks of the next


@pytest.fixture
def callbacks(pivot: tuple[Shop, Callbacks], shop: Shop) -> Callbacks:
    return pivot[1]
