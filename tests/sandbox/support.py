"""What the sandbox's tests share: a running sandbox, a merchant that signs, an inbox for notifications."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from fastapi import FastAPI, Request, Response
from starlette.applications import Starlette

from cli.embedded.ports import free_port as free_port
from gateways.antom.signing import load_public_key, sign, verify
from sandbox.antom.app import create_app
from sandbox.antom.keys import public_text
from sandbox.antom.settings import AntomSettings
from sandbox.server import Server

START = datetime(2027, 1, 31, 1, tzinfo=UTC)
CLIENT_ID = "SANDBOX_5X00000000000001"
SUCCESS = {"result": {"resultCode": "SUCCESS", "resultStatus": "S", "resultMessage": "success"}}
FAST = AntomSettings(notification_delay=AntomSettings.notification_delay / 10, hold=1.0)
PATIENCE = 60.0
"""Seconds for what is awaited: on a machine that is busy with much else everything takes long."""
PATIENT = replace(FAST, acknowledge_within=PATIENCE / 2)
"""Its pages go on only once the merchant was told, however long that takes."""
IMPATIENCE = httpx.Timeout(PATIENCE, read=0.2)
"""Of a caller who does not wait for an answer, though for the connection."""


@asynccontextmanager
async def serving(app: Starlette, port: int | None = None) -> AsyncIterator[str]:
    """Serves an app over real HTTP, on a free port unless one is given; its address."""
    server = Server(app, "127.0.0.1", port or free_port())
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started or task.done())
    try:
        yield f"http://127.0.0.1:{server.config.port}"
    finally:
        server.should_exit = True
        await task


async def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Waits until a condition holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        await asyncio.sleep(0.01)


@dataclass
class Inbox:
    """A merchant's notification endpoint: checks every signature, remembers bodies, answers as told."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    """What the next notifications get, first to last; SUCCESS after that."""
    key: RSAPublicKey | None = None
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is clear, messages wait for their answer."""
    waiting: int = 0

    def __post_init__(self) -> None:
        self.hold.set()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [body for body in self.received if kind in (body.get("notifyType"), body.get("authorizationNotifyType"))]

    async def take(self, request: Request) -> Response:
        body = await request.body()
        headers = request.headers
        target = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        assert self.key is not None
        verify(self.key, "POST", target, headers["client-id"], headers["request-time"], body, headers["signature"])
        self.waiting += 1
        await self.hold.wait()
        self.waiting -= 1
        self.received.append(json.loads(body))
        status, content = self.answers.pop(0) if self.answers else (200, SUCCESS)
        return Response(json.dumps(content), status, media_type="application/json")


@asynccontextmanager
async def an_inbox() -> AsyncIterator[Inbox]:
    inbox = Inbox()
    app = FastAPI()
    app.add_route("/{path:path}", inbox.take, methods=["POST"])
    async with serving(app) as url:
        inbox.url = f"{url}/hooks/antom?src=a%20b"
        yield inbox


@dataclass
class Merchant:
    """A client of Antom's API that signs as the documentation says and checks every answer."""

    base_url: str
    key: RSAPrivateKey
    antom: RSAPublicKey | None = None
    client_id: str = CLIENT_ID
    clock: str | None = None
    now: datetime | None = None
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=PATIENCE, trust_env=False))

    async def register(self, notify_url: str | None) -> None:
        answer = await self.http.post(
            f"{self.base_url}/_sandbox/clients",
            json={"client_id": self.client_id, "public_key": public_text(self.key), "notify_url": notify_url},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["client_id"] == self.client_id
        self.antom = load_public_key(answer.json()["public_key"])

    async def send(
        self,
        operation: str,
        body: bytes,
        *,
        prefix: str = "/ams/sandbox/api/v1/",
        request_time: str | None = None,
        method: str = "POST",
        **headers: str,
    ) -> httpx.Response:
        """Signs and sends; `headers` replace what would be sent, with `_` for `-`."""
        path = prefix + operation
        moment = request_time or str(int(time.time() * 1000))
        sent = {
            "content-type": "application/json; charset=UTF-8",
            "client-id": self.client_id,
            "request-time": moment,
            "signature": sign(self.key, method, path, self.client_id, moment, body),
        }
        if self.clock and self.now:
            sent |= {"x-sandbox-clock": self.clock, "x-sandbox-time": self.now.isoformat()}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, self.base_url + path, content=body, headers=sent)

    async def call(self, operation: str, **body: Any) -> dict[str, Any]:
        """One call; the checked answer's body."""
        answer = await self.send(operation, json.dumps(body).encode())
        assert answer.status_code == 200, answer.text
        self.check(answer)
        parsed: dict[str, Any] = answer.json()
        return parsed

    def check(self, answer: httpx.Response) -> None:
        """The answer carries a correct signature over the path it was asked on."""
        assert self.antom is not None
        path = answer.request.url.raw_path.decode()
        names = answer.headers
        assert names["client-id"] == self.client_id
        verify(self.antom, "POST", path, self.client_id, names["response-time"], answer.content, names["signature"])

    async def admin(self, path: str, body: Any = None) -> Any:
        """GET under /_sandbox/, or POST with a body."""
        url = f"{self.base_url}/_sandbox/{path}"
        answer = await (self.http.get(url) if body is None else self.http.post(url, json=body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ledger(self) -> list[dict[str, Any]]:
        return list((await self.admin("ledger"))["data"])

    async def advance(self, to: datetime) -> dict[str, Any]:
        """Moves the merchant's clock and waits until it is quiet."""
        self.now = to
        await self.admin(f"clocks/{self.clock}/advance", {"to": to.isoformat()})
        return await self.quiet()

    async def quiet(self) -> dict[str, Any]:
        """Waits until nothing that is due on the merchant's clock is unfinished; the clock's state."""
        state = await self.admin(f"clocks/{self.clock}")
        deadline = time.monotonic() + PATIENCE
        while state["outstanding"]:
            assert time.monotonic() < deadline, state
            await asyncio.sleep(0.01)
            state = await self.admin(f"clocks/{self.clock}")
        return dict(state)

    async def consult(self, wallet: str = "GCASH", state: str = "as_1", **more: Any) -> str:
        answer = await self.call(
            "authorizations/consult",
            customerBelongsTo=wallet,
            authRedirectUrl="https://shop.example/back?ref=1",
            scopes=["AGREEMENT_PAY"],
            authState=state,
            terminalType="WEB",
            **more,
        )
        assert answer["result"]["resultCode"] == "SUCCESS", answer
        return str(answer["normalUrl"])

    async def approve(self, page: str, script: str = "") -> str:
        """Posts the customer's form; the authCode of the redirect."""
        answer = await self.http.post(page, data={"decision": "approve", "script": script})
        assert answer.status_code == 303, answer.text
        return parse_qs(urlsplit(answer.headers["location"]).query)["authCode"][0]

    async def token(self, script: str = "", wallet: str = "GCASH", state: str = "as_1", **more: Any) -> dict[str, Any]:
        """A credential, the whole way: consult, approval, applyToken."""
        code = await self.approve(await self.consult(wallet, state, **more), script)
        answer = await self.call(
            "authorizations/applyToken", grantType="AUTHORIZATION_CODE", customerBelongsTo=wallet, authCode=code
        )
        assert answer["result"]["resultCode"] == "SUCCESS", answer
        return answer

    def payment(
        self, token: str, request_id: str, value: str = "49900", currency: str = "PHP", wallet: str = "GCASH"
    ) -> dict[str, Any]:
        return {
            "productCode": "AGREEMENT_PAYMENT",
            "paymentRequestId": request_id,
            "order": {
                "referenceOrderId": "inv_1",
                "orderDescription": "Monthly plan",
                "orderAmount": {"currency": currency, "value": value},
            },
            "paymentAmount": {"currency": currency, "value": value},
            "paymentMethod": {"paymentMethodType": wallet, "paymentMethodId": token},
            "env": {"terminalType": "WEB"},
        }

    async def pay(self, token: str, request_id: str = "pr_1", **amount: str) -> dict[str, Any]:
        return await self.call("payments/pay", **self.payment(token, request_id, **amount))

    async def inquire(self, request_id: str = "pr_1") -> dict[str, Any]:
        return await self.call("payments/inquiryPayment", paymentRequestId=request_id)


KEY = generate_private_key(public_exponent=65537, key_size=2048)


@asynccontextmanager
async def a_sandbox(folder: Path, settings: AntomSettings = PATIENT) -> AsyncIterator[tuple[Merchant, Inbox]]:
    """A running sandbox with one merchant on a test clock, and the merchant's inbox."""
    async with an_inbox() as inbox, serving(create_app(folder / "antom.sqlite3", settings=settings)) as url:
        merchant = Merchant(url, KEY, clock="clk_1", now=START)
        await merchant.register(inbox.url)
        inbox.key = merchant.antom
        yield merchant, inbox
        await merchant.http.aclose()


def code(answer: dict[str, Any]) -> str:
    """The result code of an answer."""
    return str(answer["result"]["resultCode"])
