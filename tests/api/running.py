"""An agreement that runs on a test clock, without a worker: what the API does to its rows is all that happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlmodel import col, select

from agreements.declines import Decline, DeclineCategory
from agreements.status import AttemptStatus, ChargeStatus
from store import cycles, ids
from store.changes import change
from store.database import Database
from store.tables import Agreement, Attempt, Charge, Credential, TestClock
from store.vault import Vault
from tests.api.conftest import Shop, activate

START = "2055-01-31T00:00:00Z"
"""One hour before cycle 1 is due in Manila."""
DUE = "2055-01-31T01:00:00Z"

VARIABLE: dict[str, Any] = {"amount_variability": "variable", "max_amount_per_cycle": 100_000}
OPEN: dict[str, Any] = VARIABLE | {"amount": None}
"""Amounts are set cycle by cycle."""
ON_DEMAND: dict[str, Any] = {
    "terms": {"type": "unscheduled", "frequency": "irregular", "timezone": "Asia/Manila", "start_date": "2055-01-31"}
}
LOST = Decline(category=DeclineCategory.LOST_OR_STOLEN, code="lost_card")
POOR = Decline(category=DeclineCategory.INSUFFICIENT_FUNDS, code="insufficient_funds")


def php(value: object, currency: str = "PHP") -> dict[str, Any]:
    return {"currency": currency, "value": value}


@dataclass
class Running:
    """An active agreement, and what its merchant and its provider do to it."""

    shop: Shop
    database: Database
    id: str
    clock: str

    @property
    def path(self) -> str:
        return f"/v1/agreements/{self.id}"

    async def put(self, cycle: object, json: Any) -> httpx.Response:
        return await self.shop.http.put(f"{self.path}/cycles/{cycle}", json=json, headers=self.shop.bearer)

    async def patch(self, **json: Any) -> httpx.Response:
        return await self.shop.http.patch(self.path, json=json, headers=self.shop.bearer)

    async def charge(self, **json: Any) -> httpx.Response:
        return await self.shop.post(f"{self.path}/charges", json)

    async def command(self, name: str, json: Any = None) -> None:
        answer = await self.shop.post(f"{self.path}/{name}", json)
        assert answer.status_code == 200, answer.text

    async def read(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.shop.get(self.path)).json()
        return found

    async def charges(self) -> list[dict[str, Any]]:
        """Oldest first."""
        found = (await self.shop.get("/v1/charges", agreement=self.id, limit=200)).json()
        return list(reversed(found["data"]))

    async def schedule(self) -> list[dict[str, Any]]:
        return list((await self.shop.get(f"{self.path}/schedule")).json()["data"])

    async def events(self, *types: str) -> list[dict[str, Any]]:
        found = (await self.shop.get("/v1/events", agreement=self.id, limit=200)).json()
        return [event for event in found["data"] if event["type"] in types]

    async def at(self, now: str) -> None:
        """The clock is moved; nobody does what falls due."""
        async with self.database.transaction() as session:
            (await session.get_one(TestClock, self.clock)).now = datetime.fromisoformat(now)

    async def row(self) -> Agreement:
        async with self.database.transaction() as session:
            return await session.get_one(Agreement, self.id)

    async def set_row(self, cycle: int | None = 1, **values: Any) -> str:
        """Writes into a charge's row, that of a cycle or the last one on demand; its id."""
        async with change(self.database, self.id) as locked:
            query = select(Charge).where(Charge.agreement_id == self.id, Charge.cycle == cycle)
            charge = (await locked.session.exec(query.order_by(col(Charge.id).desc()))).first()
            assert charge is not None
            for name, value in values.items():
                setattr(charge, name, value)
        return charge.id

    async def tried(
        self,
        status: AttemptStatus,
        cycle: int | None = 1,
        decline: Decline | None = None,
        ago: timedelta = timedelta(hours=1),
        shown: ChargeStatus | None = None,
    ) -> str:
        """One more attempt, sent `ago`, that stands as told; the charge."""
        sent = status is not AttemptStatus.CANCELED
        states = {AttemptStatus.SUCCEEDED: ChargeStatus.SUCCEEDED, AttemptStatus.FAILED: ChargeStatus.RETRYING}
        async with change(self.database, self.id) as locked:
            query = select(Charge).where(Charge.agreement_id == self.id, Charge.cycle == cycle)
            charge = (await locked.session.exec(query.order_by(col(Charge.id).desc()))).first()
            assert charge is not None
            number, at = charge.attempts_made + 1, locked.now - ago
            charge.attempts_made += sent
            charge.status = shown or states.get(status, ChargeStatus.UNKNOWN)
            charge.next_attempt_at = locked.now + timedelta(days=1) if charge.status is ChargeStatus.RETRYING else None
            charge.paid_at = at if status is AttemptStatus.SUCCEEDED else None
            attempt = Attempt(
                id=ids.new("att"),
                agreement_id=self.id,
                charge_id=charge.id,
                number=number,
                gateway_request_id=f"{charge.id}-a{number}",
                status=status,
                currency=charge.money.currency,
                amount=charge.money.value,
                credential_id=locked.agreement.credential_id or "",
                decline=decline.model_dump(mode="json") if decline else None,
                prepared_at=at,
                sent_at=at if sent else None,
                finished_at=None if status.open else at,
            )
            locked.session.add(attempt)
        return charge.id

    async def card(self, **values: Any) -> None:
        """What is known of the credential."""
        async with change(self.database, self.id) as locked:
            credential = await locked.session.get_one(Credential, locked.agreement.credential_id)
            for name, value in values.items():
                setattr(credential, name, value)


async def running(shop: Shop, database: Database, vault: Vault, **changes: Any) -> Running:
    """The customer has agreed an hour before cycle 1 is due."""
    clock = (await shop.post("/v1/test-clocks", {"now": START})).json()["id"]
    if changes.get("terms", {}).get("type") == "unscheduled":
        changes = changes | {"terms": dict.fromkeys(_SCHEDULED) | changes["terms"]}
    made = await shop.create(test_clock=clock, reference=ids.new("sub")[-20:], **changes)
    await activate(database, vault, made["id"], f"token of {made['id']}")
    async with change(database, made["id"]) as locked:
        await cycles.write_missed(locked)
    return Running(shop, database, made["id"], clock)


_SCHEDULED = ("amount", "cycle_interval_days", "payment_processing_day", "expiry_date", "total_cycles")
"""Members of the usual terms that one on demand does without."""
