"""What tests of Ottu's connector over real HTTP share: a merchant with the connector, and the sandbox behind it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from agreements.money import Money
from gateways.http import client
from gateways.ottu.connector import Ottu
from gateways.ottu.notifications import parse
from gateways.port import (
    Account,
    Call,
    ChargeAnswer,
    ChargeRequest,
    FirstPayment,
    News,
    OpenAnswer,
    Token,
    TokenAnswer,
    Verdict,
)
from tests.gateways.ottu_fixtures import AMOUNT, CHARGE, PAGE, account
from tests.sandbox.ottu_support import MASTERCARD, Merchant, an_ottu

NUMBERS = count(1)
MINUTE = timedelta(minutes=1)


@dataclass
class World:
    """A merchant with the connector, and the sandbox behind it, on one test clock."""

    ottu: Merchant
    gateway: Ottu
    account: Account
    http: httpx.AsyncClient
    agreement: str = field(default_factory=lambda: f"agr_{next(NUMBERS)}")

    @property
    def call(self) -> Call:
        return Call(timedelta(seconds=30), self.ottu.clock, self.ottu.now)

    async def page(self, amount: Money | None = AMOUNT, **changes: Any) -> tuple[str, str]:
        """Handle and address of a page on which the customer pays and agrees."""
        payment = FirstPayment(f"{self.agreement}-c1-a1", f"{self.agreement}-c1", "Desert Books", amount)
        changes = {"agreement_id": self.agreement, "notify_url": f"{self.ottu.inbox.url}/hooks"} | changes
        opened = await self.gateway.authorize(self.account, replace(PAGE, payment=payment, **changes), self.call)
        assert opened.verdict is Verdict.SUCCEEDED, opened
        assert opened.handle is not None
        assert opened.url is not None
        return opened.handle, opened.url

    async def exchange(self, handle: str) -> TokenAnswer:
        return await self.gateway.exchange(self.account, "mpgs-kwd", handle, self.call)

    async def agreed(self, script: str = "success", card: str = MASTERCARD, **changes: Any) -> Token:
        """A card whose debits follow `script`."""
        handle, url = await self.page(**changes)
        assert (await self.ottu.pay(url, script, card)).status_code == 303
        got = await self.exchange(handle)
        assert got.token is not None, got
        return got.token

    def debit(self, token: Token, **changes: Any) -> ChargeRequest:
        """A debit with an id of its own, not opened yet."""
        order = f"{self.agreement}-c{next(NUMBERS)}"
        request = replace(
            CHARGE,
            request_id=f"{order}-a1",
            order_id=order,
            token=token.access_token,
            token_reference=token.reference,
            agreement_id=self.agreement,
            notify_url=f"{self.ottu.inbox.url}/hooks",
            handle=None,
        )
        return replace(request, **changes)

    async def open(self, request: ChargeRequest) -> OpenAnswer:
        return await self.gateway.open(self.account, request, self.call)

    async def charge(self, request: ChargeRequest, timeout: float = 30) -> tuple[ChargeRequest, ChargeAnswer]:
        """Opens and charges, as the engine does: the handle is known before money can move."""
        opened = await self.open(request)
        assert opened.verdict is Verdict.SUCCEEDED, opened
        request = replace(request, handle=opened.handle)
        return request, await self.gateway.charge(
            self.account, request, replace(self.call, timeout=timedelta(seconds=timeout))
        )

    async def inquire(self, request: ChargeRequest) -> ChargeAnswer:
        return await self.gateway.inquire(self.account, request.request_id, self.call, request.handle)

    def news(self) -> list[News]:
        """What the sandbox told, read as the engine reads it."""
        bodies = self.ottu.inbox.received
        return [each for body in bodies for each in parse(self.account, "POST", "/n", {}, json.dumps(body).encode())]

    async def debits(self, request: ChargeRequest) -> list[str]:
        """Status of the debits with this id in the provider's own books."""
        return [
            entry["status"]
            for entry in await self.ottu.ledger()
            if (entry["request_id"], entry["kind"]) == (request.request_id, "debit")
        ]


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Merchant]:
    async with an_ottu(tmp_path_factory.mktemp("ottu")) as merchant:
        yield merchant


@pytest.fixture
async def world(running: Merchant) -> AsyncIterator[World]:
    await running.begin()
    async with client() as http:
        yield World(running, Ottu(http), account(sandbox=True, base_url=running.base_url), http)
    await running.quiet()
