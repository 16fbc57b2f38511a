"""A merchant's backend in tests, and its customers on the provider's page, at any of the gateways."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from sqlmodel import select

from cli.demo.stories import ANA
from store.tables import Agreement, Notification

if TYPE_CHECKING:
    from tests.support.house import House

_ADVANCED_WITHIN = 170.0
_PATIENCE = 60.0
"""Seconds for what comes in a moment where the machine is not busy with much else."""
_FAR_AWAY = {"start_date": "2055-01-31", "expiry_date": "2056-12-31"}
"""For agreements in real time: none may begin in the past. These years have the days of the week of the demo's."""
_FIRST_LOOK, _SLOWEST_LOOK = 0.05, 0.25
_names = itertools.count(1)

_BODIES: dict[str, dict[str, Any]] = {
    "antom": {},
    "ottu": {
        "payment_method": {"type": "mpgs-kwd"},
        "customer": {"name": "Noor Salem", "email": "noor@example.com", "region": "KW"},
        "terms": {"amount": {"currency": "KWD", "value": 12_500}, "timezone": "Asia/Kuwait"},
    },
    "pivot": {
        "payment_method": {"type": "CARD"},
        "customer": {"name": "Sari Wijaya", "email": "sari@example.com", "region": "ID"},
        "terms": {"amount": {"currency": "IDR", "value": 150_000_00}, "timezone": "Asia/Jakarta"},
    },
}
"""What an agreement says otherwise than the demo's, per gateway."""

CARDS = {
    "ottu": ("5123450000000008", "4508750015741019"),
    "pivot": ("4440000112290002", "5550000112220002"),
}
"""Two test cards that pay, where customers pay with cards. Those of Pivot ask for 3-D Secure."""


@dataclass
class Shop:
    """A merchant's backend. `client_id` is what the sandbox knows the merchant by."""

    house: House
    merchant_id: str
    secret_key: str
    account: str
    client_id: str
    gateway: str = "antom"
    sandbox_url: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    """Of the merchant's account at the provider."""
    _calls: Any = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, path: str, json: Any = None, expect: int | None = None) -> dict[str, Any]:
        """One API call; fails the test on an unexpected status."""
        headers = {"Authorization": f"Bearer {self.secret_key}", "Idempotency-Key": f"k{next(self._calls)}"}
        answer = await self.house.outside.request(
            method, self.house.settings.public_url + path, json=json, headers=headers
        )
        assert answer.is_success if expect is None else answer.status_code == expect, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def sandbox(self, path: str, json: Any = None) -> Any:
        """GET under /_sandbox/ of the shop's gateway, or POST with a body."""
        url = f"{self.sandbox_url}/_sandbox/{path}"
        answer = await (self.house.outside.get(url) if json is None else self.house.outside.post(url, json=json))
        assert answer.is_success, answer.text
        return answer.json()

    async def clock(self, now: str) -> str:
        """A test clock standing at `now`."""
        return str((await self.call("POST", "/v1/test-clocks", {"now": now}))["id"])

    async def advance(self, clock: str, to: str) -> None:
        """Advances and waits until the clock is ready."""
        await self.call("POST", f"/v1/test-clocks/{clock}/advance", {"to": to}, expect=202)
        await self.ready(clock)

    async def ready(self, clock: str) -> dict[str, Any]:
        """The clock once it stands still."""
        pause = _FIRST_LOOK
        async with asyncio.timeout(_ADVANCED_WITHIN):
            while (read := await self.call("GET", f"/v1/test-clocks/{clock}"))["status"] != "ready":
                await asyncio.sleep(pause)
                pause = min(1.5 * pause, _SLOWEST_LOOK)
        return read

    def body(self, clock: str | None, **changes: Any) -> dict[str, Any]:
        """What creates an agreement of this shop's gateway; see `agreement_body`."""
        return agreement_body(clock, gateway=self.gateway, **changes)

    async def agree(self, clock: str | None, script: str = "success", **changes: Any) -> str:
        """An agreement the customer has approved; when this returns it is active, and has settled all it was told."""
        made = await self.call("POST", "/v1/agreements", self.body(clock, **changes), expect=201)
        await self.decide(made["authorization"]["url"], decision="approve", script=script)
        agreement = await self.until_status(str(made["id"]), "active")
        await self.until_settled(agreement)
        return agreement

    async def decide(self, url: str, **form: str) -> httpx.Response:
        """What the customer does on the provider's page (the bank's question included), and the browser's way back."""
        answer = await self.house.outside.post(url, data=form)
        assert answer.status_code == 303, answer.text
        if _asks_for_3ds(answer):
            challenge = httpx.URL(self.sandbox_url).join(answer.headers["location"])
            answer = await self.house.outside.post(challenge, data={"decision": form["decision"]})
            assert answer.status_code == 303, answer.text
        if urlsplit(answer.headers["location"]).path.startswith("/returns/"):
            answer = await self.house.outside.get(answer.headers["location"])
        return answer

    async def until_status(self, agreement: str, status: str) -> str:
        pause = _FIRST_LOOK
        async with asyncio.timeout(_PATIENCE):
            while (await self.read(agreement))["status"] != status:
                await asyncio.sleep(pause)
                pause = min(1.5 * pause, _SLOWEST_LOOK)
        return agreement

    async def until_settled(self, agreement: str) -> None:
        """The provider and the browser both tell of the consent; the later of them may settle after it is active."""
        pause = _FIRST_LOOK
        told = select(Notification.id).where(Notification.agreement_id == agreement, Notification.status == "signalled")
        async with asyncio.timeout(_PATIENCE):
            while True:
                async with self.house.database.transaction() as session:
                    if (await session.exec(told.limit(1))).first() is None:
                        return
                await asyncio.sleep(pause)
                pause = min(1.5 * pause, _SLOWEST_LOOK)

    async def read(self, agreement: str) -> dict[str, Any]:
        return await self.call("GET", f"/v1/agreements/{agreement}")

    async def charges(self, agreement: str) -> list[dict[str, Any]]:
        """Every charge of an agreement, oldest first."""
        found = await self.call("GET", f"/v1/charges?agreement={agreement}&limit=200")
        return list(reversed(found["data"]))

    async def events(self, agreement: str) -> list[dict[str, Any]]:
        """All that has been told so far: the feed keeps it back while anybody still writes who began before."""
        async with self.house.database.transaction() as session:
            told = (await session.get_one(Agreement, agreement)).sequence
        async with asyncio.timeout(_PATIENCE):
            while True:
                found = (await self.call("GET", f"/v1/events?agreement={agreement}&limit=200"))["data"]
                if len(found) >= min(told, 200):
                    return list(found)
                await asyncio.sleep(_FIRST_LOOK)

    async def ledger(self, agreement: str) -> list[dict[str, Any]]:
        """Every movement of money the provider saw for an agreement, oldest first."""
        rows = (await self.sandbox("ledger"))["data"]
        on_demand = [charge["id"] for charge in await self.charges(agreement) if charge["cycle"] is None]
        return [
            row
            for row in rows
            if any(name in f"{row['request_id']} {row['merchant_reference']}" for name in (agreement, *on_demand))
        ]

    async def credentials(self) -> list[dict[str, Any]]:
        """What the provider holds for this merchant's customers, oldest first."""
        rows = (await self.sandbox("credentials"))["data"]
        return [row for row in rows if self.client_id in (row.get("client_id"), row.get("merchant_id"))]


def _asks_for_3ds(answer: httpx.Response) -> bool:
    return "/3ds/" in urlsplit(answer.headers["location"]).path


def agreement_body(clock: str | None, *, gateway: str = "antom", **changes: Any) -> dict[str, Any]:
    """Ana's of the demo (PHP 499.00 on the 31st, 13 times, in Manila) as fits the gateway; `terms` are merged."""
    own = _BODIES[gateway]
    terms = ANA.agreement["terms"] | own.get("terms", {}) | ({} if clock else _FAR_AWAY)
    return {
        **ANA.agreement,
        **own,
        "gateway": gateway,
        "customer": ANA.agreement["customer"] | own.get("customer", {}),
        "reference": f"sub-{next(_names)}",
        "terms": terms | changes.pop("terms", {}),
        "test_clock": clock,
    } | changes
