"""What the tests against Pivot's sandbox share: a merchant with the connector, its callbacks, a running sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response

from agreements.money import Money
from gateways.http import client
from gateways.pivot.connector import Pivot
from gateways.pivot.notifications import ACKNOWLEDGED, parse, refusal
from gateways.port import (
    Account,
    AuthorizationAnswer,
    BadNotification,
    Call,
    ChargeAnswer,
    ChargeRequest,
    FirstPayment,
    News,
    NewsKind,
    Payer,
    Token,
)
from sandbox.pivot.app import create_app
from tests.gateways.pivot_fixtures import AMOUNT, CALL, CALLBACK_KEY, CHARGE, CLIENT_ID, PAGE, SECRET, account
from tests.sandbox.pivot_support import PATIENT
from tests.sandbox.support import serving, until

NUMBERS = count(1)
START = datetime(2031, 1, 31, 1, tzinfo=UTC)


@dataclass
class World:
    """A merchant with the connector and a callback URL, and the sandbox at `url`."""

    url: str
    callback_url: str
    account: Account
    pivot: Pivot
    http: httpx.AsyncClient
    inbox: list[News] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def register(self, profile: str = "token_never") -> None:
        await self.admin(
            "clients",
            client_id=CLIENT_ID,
            client_secret=SECRET,
            callback_url=self.callback_url,
            callback_api_key=CALLBACK_KEY,
            name="Example Store",
            recurring_profile=profile,
        )

    async def admin(self, path: str, **body: Any) -> None:
        (await self.http.post(f"{self.url}/_sandbox/{path}", json=body)).raise_for_status()

    async def page(
        self, amount: Money | None = AMOUNT, call: Call = CALL, payer: Payer | None = None
    ) -> tuple[str, AuthorizationAnswer]:
        """A page to pay on, with the request id of its payment."""
        number = next(NUMBERS)
        request_id = f"agr_{number}-c1-a1"
        payer = payer or Payer(f"cus-{number}", "Sari Wijaya", f"sari{number}@example.test", None)
        payment = FirstPayment(request_id, f"agr_{number}-c1", "Plan: café, 8月", amount)
        request = replace(PAGE, state=f"as_{number}", payment=payment, payer=payer)
        return request_id, await self.pivot.authorize(self.account, request, call)

    async def decide(self, page: AuthorizationAnswer, decision: str = "approve", **form: str) -> httpx.Response:
        assert page.url is not None
        answered = await self.http.post(page.url, data={"decision": decision, **form})
        assert answered.status_code == 303
        return answered

    async def saved(self, script: str = "success", call: Call = CALL, **form: str) -> Token:
        """The token of a card whose debits follow `script`."""
        _, page = await self.page(call=call)
        await self.decide(page, script=script, **form)
        got = await self.pivot.exchange(self.account, "CARD", page.handle or "", call)
        assert got.token is not None, got
        return got.token

    def debit(self, token: Token, **change: Any) -> ChargeRequest:
        """A debit with an id of its own."""
        number = next(NUMBERS)
        request = replace(CHARGE, request_id=f"agr_{number}-c2-a1", order_id=f"agr_{number}-c2")
        return replace(request, token=token.access_token, token_reference=token.reference, **change)

    async def inquire(self, request: ChargeRequest, call: Call = CALL) -> ChargeAnswer:
        return await self.pivot.inquire(self.account, request.request_id, call)

    async def told(self, kind: NewsKind, request_id: str) -> News:
        def of() -> list[News]:
            return [news for news in self.inbox if (news.kind, news.request_id) == (kind, request_id)]

        await until(of)
        return of()[-1]

    async def entries(self, request_id: str) -> list[dict[str, Any]]:
        """What the provider's own books say about an id."""
        rows = (await self.http.get(f"{self.url}/_sandbox/ledger")).json()["data"]
        return [row for row in rows if row["request_id"] == request_id]


@asynccontextmanager
async def a_world(folder: Path, **switches: Any) -> AsyncIterator[World]:
    merchant = FastAPI()
    sandbox = create_app(folder / "pivot.sqlite3", settings=replace(PATIENT, **switches))
    async with serving(sandbox) as url, serving(merchant) as address, client() as http:
        it = World(url, f"{address}/notifications/pivot/gwa_1", account(url, sandbox=True), Pivot(http), http)

        @merchant.post("/notifications/pivot/gwa_1")
        async def notified(request: Request) -> Response:
            try:
                it.inbox += parse(it.account, "POST", request.url.path, request.headers, await request.body())
            except BadNotification as error:
                it.refused.append(error.code)
                status, body = refusal(error.code)
                return Response(body, status)
            return Response(ACKNOWLEDGED, media_type="application/json")

        await it.register()
        yield it
