"""The year the demo tells: what is asked of the engine, and what must have come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cli.audit import differences
from cli.demo.backend import Backend, Json, Receiver, Unexpected
from cli.demo.words import line

START = "2027-01-30T16:00:00Z"
MONTH_ENDS = (
    "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30",
    "2027-07-31", "2027-08-31", "2027-09-30", "2027-10-31", "2027-11-30", "2027-12-31",
)  # fmt: skip

SCRIPT = "success,success,insufficient_funds,success,success,lost_answer_success,success"
"""What the wallet does with the debits: cycle 3 is declined once, the answer to cycle 5's debit gets lost."""

_SETTLED_WITHIN = 30.0

AGREEMENT: Json = {
    "reference": "sub-1001",
    "gateway": "antom",
    "payment_method": {"type": "GCASH"},
    "customer": {"id": "cus-7", "name": "Ana Cruz", "email": "ana@example.com", "region": "PH"},
    "terms": {
        "type": "recurring",
        "amount": {"currency": "PHP", "value": 49900},
        "amount_variability": "fixed",
        "frequency": "monthly",
        "cycle_interval_days": 25,
        "payment_processing_day": 31,
        "start_date": "2027-01-31",
        "expiry_date": "2028-12-31",
        "total_cycles": 13,
        "timezone": "Asia/Manila",
        "seller": {"name": "Example Store", "short_name": "EXSTORE", "category_code": "5968"},
    },
    "return_url": "https://merchant.example/return",
}


@dataclass(frozen=True)
class Verdict:
    """What the audit found: the figures, and everything that was not as it must be."""

    debits: int
    collected: int
    events: int
    problems: list[str]


class Year:
    """Tells the story step by step; `say` prints a line of the timeline, `progress` the month that is running."""

    def __init__(
        self, backend: Backend, receiver: Receiver, say: Callable[[str], None], progress: Callable[[str], None]
    ) -> None:
        self._backend = backend
        self._receiver = receiver
        self._say = say
        self._progress = progress
        self._told = ""
        self.agreement = ""

    async def run(self, receiver_url: str) -> None:
        """From the merchant's set-up to the revocation. Raises Unexpected."""
        endpoint = await self._backend.call(
            "POST", "/v1/webhook-endpoints", {"url": receiver_url, "event_types": ["*"]}
        )
        self._receiver.secret = endpoint["secret"]
        clock = (await self._backend.call("POST", "/v1/test-clocks", {"now": START}))["id"]
        self._progress("the customer is asked")
        made = await self._backend.call("POST", "/v1/agreements", {**AGREEMENT, "test_clock": clock})
        self.agreement = made["id"]
        back = await self._backend.approve(made["authorization"]["url"], SCRIPT)
        if not back.startswith(AGREEMENT["return_url"]):
            raise Unexpected(f"the customer was sent to {back}")
        await self._until(lambda read: read["status"] == "active", "the agreement becomes active")
        await self._tell()
        for month in MONTH_ENDS:
            self._progress(f"{month[:7]}")
            await self._advance(clock, f"{month}T12:00:00Z")
            await self._tell()
        self._progress("the customer cancels")
        path = f"/v1/agreements/{self.agreement}/revoke"
        await self._backend.call("POST", path, {"initiator": "customer", "reason": "moved away"})
        await self._until(lambda read: read["revocation"]["provider_status"] == "done", "the wallet confirms")
        await self._advance(clock, "2028-02-29T00:00:00Z")
        await self._tell()

    async def audit(self, ledger: list[Json]) -> Verdict:
        """Compares the engine's books with the provider's, with what was expected, and with the webhooks received."""
        charges = await self._backend.all(f"/v1/charges?agreement={self.agreement}")
        events = await self._backend.all(f"/v1/events?agreement={self.agreement}")
        debits = [row for row in ledger if row["kind"] == "debit" and row["status"] == "succeeded"]
        problems = differences(charges, ledger)
        days = tuple(sorted(_day(row["virtual_time"]) for row in debits))
        expected = tuple(sorted({*MONTH_ENDS, "2027-04-01"} - {"2027-03-31"}))
        if days != expected:
            problems.append(f"debits on {days}, expected on {expected}")
        sequences = [event["sequence"] for event in events]
        if sequences != list(range(1, len(events) + 1)):
            problems.append(f"event sequence with gaps: {sequences}")
        types = {event["type"] for event in events}
        problems += [
            f"no {type_} event"
            for type_ in ("credential.refreshed", "charge.retry_scheduled", "charge.unknown", "agreement.revoked")
            if type_ not in types
        ]
        problems += await self._undelivered({event["id"] for event in events})
        return Verdict(len(debits), sum(row["amount"] for row in debits), len(events), problems)

    async def _undelivered(self, expected: set[str]) -> list[str]:
        """Webhooks run in real time: they get a moment after the last event."""
        try:
            async with asyncio.timeout(_SETTLED_WITHIN):
                while not expected <= self._receiver.events.keys():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            missing = expected - self._receiver.events.keys()
            return [f"{len(missing)} events never reached the merchant's webhook endpoint"]
        return [f"{self._receiver.forged} webhooks were wrongly signed"] if self._receiver.forged else []

    async def _advance(self, clock: str, to: str) -> None:
        await self._backend.call("POST", f"/v1/test-clocks/{clock}/advance", {"to": to})
        while (await self._backend.call("GET", f"/v1/test-clocks/{clock}"))["status"] != "ready":
            await asyncio.sleep(0.05)

    async def _until(self, holds: Callable[[Json], bool], what: str) -> None:
        try:
            async with asyncio.timeout(_SETTLED_WITHIN):
                while not holds(await self._backend.call("GET", f"/v1/agreements/{self.agreement}")):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Unexpected(f"waited {_SETTLED_WITHIN:.0f} s until {what}") from None

    async def _tell(self) -> None:
        """Prints what is new in the feed."""
        path = f"/v1/events?agreement={self.agreement}&limit=200" + (f"&after={self._told}" if self._told else "")
        page = await self._backend.call("GET", path)
        for event in page["data"]:
            self._say(line(event))
            self._told = event["id"]


def _day(instant: str) -> str:
    """The day in Manila, eight hours ahead of UTC and without daylight saving time."""
    return (datetime.fromisoformat(instant) + timedelta(hours=8)).date().isoformat()
