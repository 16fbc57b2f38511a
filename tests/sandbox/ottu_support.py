"""What the tests of Ottu's sandbox share: a merchant that checks every signature, and its customers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from fastapi import FastAPI, Request, Response

from gateways.ottu.signing import verify
from sandbox.ottu.app import create_app
from sandbox.ottu.settings import OttuSettings
from tests.sandbox.support import PATIENCE, serving

START = datetime(2026, 11, 20, 9, 15, 2, tzinfo=UTC)
MERCHANT, API_KEY, HMAC_KEY = "mer_desert", "DESERTBK.s3cret", "local-sandbox-hmac-key"
FAST = OttuSettings(notification_delay=timedelta(milliseconds=10), hold=1.0, answer_within=10.0, speed=50.0)
PATIENT = replace(FAST, answer_within=PATIENCE / 2)
"""Its page goes on only once the merchant was told, however long that takes."""
VISA, MASTERCARD, DECLINED = "4508750015741019", "5123450000000008", "5555555555554444"
CHALLENGED, SOON, EXPIRED = "4012000033330026", "2223000000000007", "4012888888881881"
AGREEMENT = {
    "id": "AGR-0042",
    "type": "recurring",
    "amount_variability": "fixed",
    "start_date": "20/11/2026",
    "expiry_date": "20/11/2027",
    "cycle_interval_days": 30,
    "total_cycles": 12,
    "frequency": "monthly",
    "seller": {"name": "Desert Books", "short_name": "DBK", "category_code": "5942"},
}


@dataclass
class Inbox:
    """A merchant's webhook endpoint: checks every signature, remembers bodies, answers as told."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses for the next webhooks; 0 never answers. 200 after that."""
    never: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self) -> list[tuple[str, str]]:
        return [(body["result"], body.get("state") or body["txn"]["state"]) for body in self.received]

    async def take(self, request: Request) -> Response:
        body = await request.json()
        verify(body, HMAC_KEY)
        self.received.append(body)
        self.headers.append(dict(request.headers))
        status = self.answers.pop(0) if self.answers else 200
        if status == 0:
            await self.never.wait()
        return Response(status_code=status)


@dataclass
class Merchant:
    """A client of Ottu's API with one test clock."""

    base_url: str
    inbox: Inbox
    clock: str | None = "clk_1"
    now: datetime = START
    authorization: str = f"Api-Key {API_KEY}"
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=PATIENCE, trust_env=False))

    async def begin(self) -> None:
        """Everything as at the start."""
        self.clock, self.now, self.authorization = "clk_1", START, f"Api-Key {API_KEY}"
        await self.admin("reset", {})
        await self.register()
        for remembered in (self.inbox.received, self.inbox.headers, self.inbox.answers):
            remembered.clear()

    async def register(self, **more: Any) -> dict[str, Any]:
        """The merchant as it is by default, with `instance` and other parts changed."""
        body = {
            "merchant_id": MERCHANT,
            "name": "Desert Books",
            "api_key": API_KEY,
            "hmac_key": HMAC_KEY,
            "operations_webhook_url": f"{self.inbox.url}/operations",
        }
        return dict(await self.admin("merchants", body | more))

    async def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"authorization": self.authorization}
        if self.clock:
            headers |= {"x-sandbox-clock": self.clock, "x-sandbox-time": self.now.isoformat()}
        headers |= more.pop("headers", {})
        return await self.http.request(method, f"{self.base_url}{path}", json=body, headers=headers, **more)

    async def call(self, path: str, body: Any = None, *, expect: int = 200, method: str = "POST", **more: Any) -> Any:
        """One call; its body, whose signature was checked if it has one."""
        answer = await self.send(method, path, body, **more)
        assert answer.status_code == expect, answer.text
        parsed = answer.json() if answer.content else None
        if isinstance(parsed, dict) and "signature" in parsed:
            verify(parsed, HMAC_KEY)
        return parsed

    async def admin(self, path: str, body: Any = None) -> Any:
        """GET under /_sandbox/, or POST with a body."""
        url = f"{self.base_url}/_sandbox/{path}"
        answer = await (self.http.get(url) if body is None else self.http.post(url, json=body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ledger(self) -> list[dict[str, Any]]:
        return list((await self.admin("ledger"))["data"])

    async def movements(self) -> list[tuple[str, str, int]]:
        return [(entry["kind"], entry["status"], entry["amount"]) for entry in await self.ledger()]

    async def credential(self) -> dict[str, Any]:
        return dict((await self.admin("credentials"))["data"][0])

    async def advance(self, by: timedelta) -> dict[str, Any]:
        """Moves the merchant's clock and waits until it is quiet."""
        self.now += by
        await self.admin(f"clocks/{self.clock}/advance", {"to": self.now.isoformat()})
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

    def checkout(self, **changes: Any) -> dict[str, Any]:
        """The create call of gateways/ottu.md §2.5; a change to None leaves the field out."""
        body = {
            "type": "e_commerce",
            "amount": "12.500",
            "currency_code": "KWD",
            "pg_codes": ["mpgs-kwd"],
            "payment_type": "auto_debit",
            "customer_id": "cust_7781",
            "customer_email": "noor@example.test",
            "customer_first_name": "Noor",
            "order_no": "INV-2026-11-0042",
            "webhook_url": f"{self.inbox.url}/hooks/ottu",
            "redirect_url": "https://merchant.test/return?ref=1#end",
            "agreement": AGREEMENT,
            "extra": {"subscription": "sub_0042"},
        } | changes
        return {name: value for name, value in body.items() if value is not None}

    async def create(self, **changes: Any) -> dict[str, Any]:
        return dict(await self.call("/b/checkout/v1/pymt-txn/", self.checkout(**changes), expect=201))

    async def retrieve(self, session_id: str) -> dict[str, Any]:
        return dict(await self.call(f"/b/checkout/v1/pymt-txn/{session_id}/", method="GET"))

    async def state(self, session_id: str) -> str:
        return str((await self.retrieve(session_id))["state"])

    async def pay(self, page: str, script: str = "", card: str = MASTERCARD, **form: str) -> httpx.Response:
        """Posts the customer's form."""
        form = {"decision": "approve", "script": script, "card": card} | form
        return await self.http.post(page, data=form)

    async def agree(self, script: str = "", card: str = MASTERCARD, **changes: Any) -> str:
        """A first payment, the whole way; the card's token from the webhook."""
        session = await self.create(**changes)
        answer = await self.pay(session["checkout_url"], script, card)
        assert answer.status_code == 303, answer.text
        body = self.inbox.received[-1]
        assert (body["session_id"], body["result"]) == (session["session_id"], "success")
        return str(body["token"]["token"])

    async def debit(self, token: str, order_no: str = "INV-2026-12-0042", **changes: Any) -> dict[str, Any]:
        """A debit in two steps."""
        session = await self.create(order_no=order_no, **changes)
        return await self.charge(session["session_id"], token)

    async def charge(self, session_id: str, token: str, expect: int = 200) -> dict[str, Any]:
        body = {"session_id": session_id, "token": token}
        return dict(await self.call("/b/pbl/v2/auto-debit/", body, expect=expect))

    async def inquire(self, session_id: str, expect: int = 200, **more: Any) -> dict[str, Any]:
        return dict(await self.call("/b/pbl/v2/inquiry/", {"session_id": session_id, **more}, expect=expect))

    async def operate(self, operation: str, session_id: str, expect: int = 200, **more: Any) -> dict[str, Any]:
        headers = more.pop("headers", {})
        body = {"operation": operation, "session_id": session_id, **more}
        return dict(await self.call("/b/pbl/v2/operation/", body, expect=expect, headers=headers))

    async def cards(self, **more: Any) -> list[dict[str, Any]]:
        body = {"customer_id": "cust_7781", "type": "sandbox", **more}
        return list(await self.call("/b/pbl/v2/card/", body))


def query_of(answer: httpx.Response) -> dict[str, str]:
    """The query of the address a customer is sent to."""
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def said(body: dict[str, Any]) -> tuple[str, str]:
    return str(body["result"]), str(body["state"])


def gateway_code(body: dict[str, Any]) -> tuple[str, str]:
    """MPGS's code and the issuer's."""
    response = body["gateway_response"]["response"]
    return response["gatewayCode"], response.get("acquirerCode", "")


async def debits(ottu: Merchant) -> list[str]:
    """How the debits after the first payment stand in the ledger."""
    return [entry["status"] for entry in await ottu.ledger() if entry["kind"] == "debit"][1:]


@asynccontextmanager
async def an_inbox() -> AsyncIterator[Inbox]:
    inbox, hooks = Inbox(), FastAPI()
    hooks.add_route("/{path:path}", inbox.take, methods=["POST"])
    async with serving(hooks) as inbox.url:
        yield inbox
        inbox.never.set()


@asynccontextmanager
async def an_ottu(
    folder: Path, settings: OttuSettings = PATIENT, inbox: Inbox | None = None
) -> AsyncIterator[Merchant]:
    """A running sandbox with one merchant, and an inbox of its own unless one is given."""
    app = create_app(folder / "ottu.sqlite3", settings=settings)
    async with nullcontext(inbox) if inbox else an_inbox() as told, serving(app) as url:
        merchant = Merchant(url, told)
        await merchant.register()
        yield merchant
        await merchant.http.aclose()
