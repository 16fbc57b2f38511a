"""What the tests of Pivot's sandbox share: a running one, a merchant that speaks Pivot's API, its callback inbox."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI, Request, Response

from gateways.pivot.encryption import encrypt
from sandbox.pivot.app import create_app
from sandbox.pivot.settings import PivotSettings
from tests.sandbox.support import PATIENCE, serving

START = datetime(2027, 1, 31, 1, tzinfo=UTC)
CLIENT_ID, SECRET, KEY = "cli_1", "sec_1", "callback-key-1"
FAST = PivotSettings(notification_delay=timedelta(milliseconds=10), hold=0.5)
PATIENT = replace(FAST, acknowledge_within=PATIENCE / 2)
"""Its pages go on only once the merchant was told, however long that takes."""
FRICTIONLESS, CHALLENGE = "4440000112200001", "4440000112290002"
URLS = {
    "successReturnUrl": "https://shop.example/ok",
    "failureReturnUrl": "https://shop.example/failed?a=1",
    "expirationReturnUrl": "https://shop.example/expired",
}
ORDER = {
    "productDetails": [
        {"type": "DIGITAL", "name": "Plan", "quantity": 1, "price": {"value": 150000, "currency": "IDR"}}
    ]
}
Data = dict[str, Any]


@dataclass
class Callbacks:
    """A merchant's callback endpoint: believes only the right key, and answers as told."""

    url: str = ""
    received: list[Data] = field(default_factory=list)
    refused: list[Data] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """What the next callbacks get, first to last; 200 after that."""

    def of(self, event: str) -> list[Data]:
        return [body["data"] for body in self.received if body["event"] == event]

    @property
    def events(self) -> list[str]:
        """As they came in. Two that are sent within a moment may overtake each other on a busy machine."""
        return [body["event"] for body in self.received]

    async def take(self, request: Request) -> Response:
        body = json.loads(await request.body())
        assert request.headers["content-type"] == "application/JSON"
        if request.headers["x-api-key"] != KEY:
            self.refused.append(body)
            return Response(status_code=401)
        self.received.append(body)
        return Response(status_code=self.answers.pop(0) if self.answers else 200)


@dataclass
class Shop:
    """A merchant on a test clock."""

    base_url: str
    callback_url: str | None = None
    clock: str | None = "clk_1"
    now: datetime = START
    token: str = ""
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=PATIENCE, trust_env=False))

    async def register(self, profile: str = "token_never", client_id: str = CLIENT_ID) -> None:
        await self.admin(
            "clients",
            {
                "client_id": client_id,
                "client_secret": SECRET,
                "callback_url": self.callback_url,
                "callback_api_key": KEY,
                "name": "Example Store",
                "recurring_profile": profile,
            },
        )
        self.token = await self.fresh_token(client_id)

    def time(self) -> dict[str, str]:
        return {"x-sandbox-clock": self.clock, "x-sandbox-time": self.now.isoformat()} if self.clock else {}

    async def fresh_token(self, client_id: str = CLIENT_ID) -> str:
        answer = await self.http.post(
            f"{self.base_url}/v1/access-token",
            json={"grantType": "client_credentials"},
            headers={"x-merchant-id": client_id, "x-merchant-secret": SECRET} | self.time(),
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["accessToken"])

    async def send(
        self, method: str, path: str, body: Data | None = None, request_id: str | None = "", **headers: str
    ) -> httpx.Response:
        """One call; `request_id` is fresh by default, None leaves it out."""
        sent = {"authorization": f"Bearer {self.token}"} | self.time()
        if method == "POST" and request_id is not None:
            sent["x-request-id"] = request_id or uuid4().hex
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, self.base_url + path, json=body, headers=sent)

    async def ok(self, method: str, path: str, body: Data | None = None, **more: Any) -> Any:
        """The data of a call that must succeed: an object, or a list of them."""
        answer = await self.send(method, path, body, **more)
        assert answer.status_code == 200, answer.text
        envelope = answer.json()
        assert (envelope["code"], envelope["message"]) == ("00", "Success")
        return envelope["data"]

    async def refused(self, method: str, path: str, body: Data | None = None, **more: Any) -> tuple[int, str]:
        """Status and code of a call that must fail, its error checked for shape."""
        answer = await self.send(method, path, body, **more)
        return shape_of(answer)

    async def read(self, session_id: str) -> Data:
        return dict(await self.ok("GET", f"/v2/payments/{session_id}"))

    async def admin(self, path: str, body: Any = None) -> Any:
        """GET under /_sandbox/, or POST with a body."""
        url = f"{self.base_url}/_sandbox/{path}"
        answer = await (self.http.get(url) if body is None else self.http.post(url, json=body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ledger(self) -> list[Data]:
        return list((await self.admin("ledger"))["data"])

    async def movements(self) -> list[tuple[str, str]]:
        return [(entry["kind"], entry["status"]) for entry in await self.ledger()]

    async def credential(self) -> Data:
        data: list[Data] = (await self.admin("credentials"))["data"]
        return data[-1]

    async def advance(self, by: timedelta) -> Data:
        """Moves the clock on, with a token that is valid there, and waits until it is quiet."""
        self.now += by
        await self.admin(f"clocks/{self.clock}/advance", {"to": self.now.isoformat()})
        state = await self.quiet()
        self.token = await self.fresh_token()
        return state

    async def quiet(self) -> Data:
        """Waits until nothing that is due on the clock is unfinished; the clock's state."""
        deadline = time.monotonic() + PATIENCE
        while (state := await self.admin(f"clocks/{self.clock}"))["outstanding"]:
            assert time.monotonic() < deadline, state
            await asyncio.sleep(0.01)
        return dict(state)

    def body(self, reference: str = "ord1", **change: Any) -> Data:
        """A REDIRECT payment that saves the card (note §2.6 a); None takes a member out."""
        usual = {
            "clientReferenceId": reference,
            "amount": {"value": 150000, "currency": "IDR"},
            "mode": "REDIRECT",
            "autoConfirm": True,
            "saveForFutureUse": True,
            "paymentMethod": {"type": "CARD"},
            "redirectUrl": URLS,
            "customer": {"givenName": "Sari", "surname": "Wijaya", "email": "sari@example.test"},
            "orderInformation": ORDER,
            "metadata": {"invoice": "INV-77"},
        }
        return {name: value for name, value in (usual | change).items() if value is not None}

    async def create(self, reference: str = "ord1", **change: Any) -> Data:
        return dict(await self.ok("POST", "/v2/payments", self.body(reference, **change)))

    async def decide(self, session: Data, decision: str = "approve", **form: str) -> httpx.Response:
        """Posts the customer's form."""
        answer = await self.http.post(session["paymentUrl"], data={"decision": decision, **form})
        assert answer.status_code == 303, answer.text
        return answer

    async def save_card(self, reference: str = "first1", card: str = CHALLENGE, **form: str) -> Data:
        """A customer's payment that leaves a token; the stored method as Retrieve Customer shows it."""
        session = await self.create(reference)
        await self.decide(session, card=card, **form)
        await self.quiet()
        customer = await self.ok("GET", f"/v1/customers/{session['customerId']}")
        return dict(customer["storedPaymentMethods"][-1], customerId=session["customerId"])

    def debit(self, stored: Data, reference: str = "ren1", **change: Any) -> Data:
        """A renewal without the customer (note §4, `token_never`)."""
        usual = {
            "mode": "API",
            "saveForFutureUse": None,
            "redirectUrl": None,
            "customer": None,
            "customerId": stored["customerId"],
            "paymentMethod": {"type": "CARD", "card": {"token": stored["token"]}},
            "paymentMethodOptions": {"card": {"threeDsMethod": "NEVER"}},
        }
        return self.body(reference, **(usual | change))

    async def renew(self, stored: Data, reference: str = "ren1", **change: Any) -> Data:
        return dict(await self.ok("POST", "/v2/payments", self.debit(stored, reference, **change)))

    async def with_key(self, reference: str = "ord1", **change: Any) -> Data:
        """An API session that hands out a key (note §2.6 c)."""
        return await self.create(reference, mode="API", autoConfirm=False, **change)

    def confirmation(self, session: Data, card: str = CHALLENGE, three_ds: str = "CHALLENGE", **change: Any) -> Data:
        return {
            "paymentMethod": {"type": "CARD", "card": {"encryptedCard": encrypted(session, card)}},
            "paymentMethodOptions": {"card": {"captureMethod": "automatic", "threeDsMethod": three_ds}},
        } | change

    async def confirm(self, session: Data, card: str = CHALLENGE, **change: Any) -> Data:
        path = f"/v2/payments/{session['id']}/confirm"
        return dict(await self.ok("POST", path, self.confirmation(session, card, **change)))


def encrypted(session: Data, number: str, **change: str) -> str:
    card = {"number": number, "expiryMonth": "01", "expiryYear": "39", "cvc": "123", "nameOnCard": "Sari Wijaya"}
    plain = {"card": card | change, "deviceInformations": {"type": ""}, "metadata": {}}
    return encrypt(session["encryptionKey"], plain)


def shape_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, its envelope checked (note §6.1)."""
    body = answer.json()
    assert set(body) == {"code", "message", "error"}
    assert body["error"]["type"] in ("API_ERROR", "GATEWAY_ERROR")
    assert len(body["error"]["traceId"]) == 32
    assert all(set(detail) == {"field", "message"} for detail in body["error"]["details"])
    return answer.status_code, str(body["code"])


@asynccontextmanager
async def a_pivot_sandbox(folder: Path, **settings: Any) -> AsyncIterator[tuple[Shop, Callbacks]]:
    """A running sandbox with one merchant on a test clock, and its callbacks."""
    callbacks = Callbacks()
    app = FastAPI()
    app.add_route("/{path:path}", callbacks.take, methods=["POST"])
    sandbox = create_app(folder / "pivot.sqlite3", settings=replace(PATIENT, **settings))
    async with serving(app) as inbox, serving(sandbox) as url:
        callbacks.url = f"{inbox}/hooks"
        shop = Shop(url, callbacks.url)
        await shop.register()
        yield shop, callbacks
        await shop.http.aclose()
