"""A due day in real time: hundreds of debits are due since one instant, and what collects them is killed in turn.

The worker stands still until all agreements are made: then it finds them due together, on whatever machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import httpx
from standardwebhooks import Webhook

from cli.demo.stories import ANA, SARI, Story
from sandbox.server import running
from tests.promises.webhook_receiver import Receiver, a_receiver
from tests.soak import kills
from tests.soak.books import Books, Finding, Kept, kept, lost, sound
from tests.soak.kills import Kill, Killed, Progress
from tests.soak.merchant import Json, Merchant, Refused

IN_TURN = (
    Kill("worker", 0.1, 0),
    Kill("sandbox", 0.25, 0),
    Kill("temporal", 0.4, 0),
    Kill("api", 0.55, 0),
    Kill("postgres", 0.7, 0),
)
"""Each when that share of the debits is over, so that others are on their way."""
SLOW = {"latency_ms": [100, 500]}
"""Of the providers: whatever is killed, the answers to some debits are outstanding."""

_STORIES = (ANA, SARI)
"""Ottu ties a card to the agreement it was given for, and there the first cycle is paid on the page."""
_HEARD = [
    f"charge.{what}"
    for what in ("succeeded", "failed", "retry_scheduled", "action_required", "unknown", "canceled", "reversed")
]
_CUSTOMERS = 3
"""At each gateway. Each signs many agreements with the card, or wallet, they gave for the first one."""
_AT_ONCE = 6
_LOOK = 0.2
_PATIENCE = 900.0


@dataclass(frozen=True)
class Customer:
    """Who has given their card, or wallet, at one of the gateways."""

    id: str
    story: Story
    credential: str


class Inbox:
    """The webhooks that came, by event. Each is verified at once: after five minutes its signature is too old."""

    def __init__(self, receiver: Receiver, secret: str) -> None:
        self.events: dict[str, Json] = {}
        self._receiver, self._webhook, self._read = receiver, Webhook(secret), 0

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            for _, headers, body in self._receiver.calls[self._read :]:
                event = self._webhook.verify(body, headers)
                self.events[event["id"]] = event
                self._read += 1
            await asyncio.sleep(_LOOK)


@dataclass(frozen=True)
class DueDay:
    """What came of it. `amounts` are those due at `due`, in minor units by agreement."""

    due: datetime
    amounts: dict[str, int]
    killed: Sequence[Killed]
    findings: Sequence[Finding]
    seconds: dict[str, float]
    """From the start of the run until each of its parts was over."""

    @property
    def differences(self) -> list[str]:
        return [line for finding in self.findings for line in finding.differences]

    def __str__(self) -> str:
        parts = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in self.seconds.items())
        each = ", ".join(f"{kill.kind} at {kill.at:.1f} s (back after {kill.back_after:.1f} s)" for kill in self.killed)
        return "\n".join([parts, f"killed: {each}", *self.differences])


async def run(agreements: int, folder: Path) -> DueDay:
    """A whole day on a `dev` of its own with its data in `folder`.

    Raises Lost, Refused or TimeoutError, alone or in a group, when it cannot be brought to its end.
    """
    began, seconds = time.monotonic(), {}

    def over(part: str) -> None:
        seconds[part] = time.monotonic() - began

    async with AsyncExitStack() as leaving:
        dev = await leaving.enter_async_context(kills.dev(folder))
        receiver = await leaving.enter_async_context(a_receiver())
        client = await leaving.enter_async_context(httpx.AsyncClient(timeout=20, trust_env=False))
        over("started")
        merchant = Merchant(client, dev.ready.api_url, dev.ready.secret_key)
        body = {"url": receiver.url, "event_types": _HEARD}
        inbox = Inbox(receiver, (await merchant.call("POST", "/v1/webhook-endpoints", body))["secret"])
        await leaving.enter_async_context(running(inbox.follow()))
        customers = await asyncio.gather(
            *(_customer(merchant, story, number) for story in _STORIES for number in range(_CUSTOMERS))
        )
        over("customers known")
        due = datetime.now(UTC).replace(second=0, microsecond=0)
        with dev.frozen("worker"):
            amounts = await _agreements(merchant, customers, agreements, due)
            for sandbox in dev.ready.sandboxes.values():
                (await client.post(f"{sandbox}/_sandbox/faults", json=SLOW)).raise_for_status()
            over("agreements made")
        progress = Progress(agreements)
        async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as tasks:
            tasks.create_task(dev.suffer(IN_TURN, progress))
            await _collected(dev.ready.database_url, list(amounts), progress)
            over("collected")
        events = await _announced(merchant, inbox, agreements)
        over("announced")
        books = Books(
            agreements=await merchant.all("/v1/agreements"),
            charges=await merchant.all("/v1/charges"),
            events=await merchant.all("/v1/events", cursor_name="after"),
            ledger=[row for url in dev.ready.sandboxes.values() for row in await _ledger(client, url)],
            received=inbox.events,
            broken=merchant.broken,
        )
        over("audited")
    findings = [
        *sound(books),
        Finding("agreements debited, each once", len(amounts), list(debited(kept(books.ledger), amounts, due))),
        Finding("agreements in good standing", len(books.agreements), list(in_arrears(books.agreements))),
        Finding("webhooks received, none lost", len(books.received), list(lost(events, books.received))),
    ]
    return DueDay(due, amounts, dev.killed, findings, seconds)


# Before the day


async def _customer(merchant: Merchant, story: Story, number: int) -> Customer:
    """A customer who agreed for the first time."""
    id_ = f"cus-{story.gateway}-{number}"
    body = _body(story, id_, reference=f"first-{id_}", amount=_amount(story, number), due=datetime.now(UTC))
    made = await merchant.call("POST", "/v1/agreements", body)
    agreement = f"/v1/agreements/{made['id']}"
    while (found := await merchant.call("GET", agreement))["status"] != "active":
        if (url := (found["authorization"] or {}).get("url")) and found["status"] == "pending_authorization":
            await merchant.approve(url, "success", story.page)
        await asyncio.sleep(_LOOK)
    return Customer(id_, story, found["credential"]["id"])


async def _agreements(merchant: Merchant, customers: Sequence[Customer], wanted: int, due: datetime) -> dict[str, int]:
    """So many active agreements, their first debit due at the same instant; nobody works on them yet."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def sign(number: int) -> tuple[str, int]:
        async with places:
            return await _sign(merchant, customers[number % len(customers)], number, due)

    return dict(await asyncio.gather(*(sign(number) for number in range(wanted))))


async def _sign(merchant: Merchant, customer: Customer, number: int, due: datetime) -> tuple[str, int]:
    """The id and the amount of another agreement of a known customer."""
    amount = _amount(customer.story, number)
    body = _body(customer.story, customer.id, reference=f"due-{number}", amount=amount, due=due)
    body["payment_method"] = {**body["payment_method"], "credential": customer.credential}
    made = await merchant.call("POST", "/v1/agreements", body)
    if made["status"] != "active" or datetime.fromisoformat(made["next_charge_at"]) != due:
        raise Refused(f"not due at {due}: {made}")
    return made["id"], amount


def _amount(story: Story, number: int) -> int:
    """No two owe the same, so that a mix-up shows; whole units of what has no smaller coin."""
    return (2_000_000 if story is SARI else 10_000) + 100 * number


def _body(story: Story, customer: str, *, reference: str, amount: int, due: datetime) -> Json:
    """The create call of monthly debits from `due` on, wherever it is not about midnight then."""
    zone = "UTC" if 1 <= due.hour < 23 else "Asia/Tokyo"
    local = due.astimezone(ZoneInfo(zone))
    terms = story.agreement["terms"] | {
        "amount": {"currency": story.amount["currency"], "value": amount},
        "timezone": zone,
        "debit_time": f"{local:%H:%M}",
        "payment_processing_day": local.day,
        "start_date": local.date().isoformat(),
        "expiry_date": (local.date() + timedelta(days=700)).isoformat(),
    }
    person = story.agreement["customer"] | {"id": customer}
    return {**story.agreement, "reference": reference, "customer": person, "terms": terms}


# The day


async def _collected(database_url: str, agreements: list[str], progress: Progress) -> None:
    """Returns when everything due is paid, and tells `progress`. It reads the engine's rows: the API is killed, too."""
    query = "SELECT count(*) FROM charges WHERE agreement_id = ANY($1) AND cycle = 1 AND status = 'succeeded'"
    paid = 0
    while paid < len(agreements):
        async with _connection(database_url) as database:
            while database is not None and paid < len(agreements):
                found = await database.fetchval(query, agreements)
                await progress.add(found - paid)
                paid = found
                await asyncio.sleep(_LOOK)
        await asyncio.sleep(_LOOK)


@asynccontextmanager
async def _connection(database_url: str) -> AsyncIterator[asyncpg.Connection | None]:
    """None while PostgreSQL is away; what it does not live to answer is no error."""
    try:
        database = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        yield None
        return
    try:
        yield database
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        pass
    finally:
        database.terminate()


# After the day


async def _announced(merchant: Merchant, inbox: Inbox, paid: int) -> list[Json]:
    """What webhooks have to tell, once they have. What has not come by then is the audit's finding."""
    deadline = time.monotonic() + _PATIENCE
    while len(inbox.events) < paid and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK)
    while True:
        events = await merchant.all("/v1/events", cursor_name="after")
        told = [event for event in events if event["type"] in _HEARD]
        if {event["id"] for event in told} <= inbox.events.keys() or time.monotonic() > deadline:
            return told
        await asyncio.sleep(1)


async def _ledger(client: httpx.AsyncClient, sandbox: str) -> list[Json]:
    found: list[Json] = (await client.get(f"{sandbox}/_sandbox/ledger")).json()["data"]
    return found


def debited(debits: Kept, amounts: dict[str, int], due: datetime) -> Iterator[str]:
    """Agreements that did not pay what they owe, once and not before it was due."""
    for agreement, amount in amounts.items():
        found = [(row["amount"], row["virtual_time"]) for row in debits.get(f"{agreement}-c1", ())]
        if [money for money, _ in found] != [amount]:
            yield f"{agreement}: debited {found}, owed {amount} once"
        yield from (
            f"{agreement}: debited at {at}, before {due}" for _, at in found if datetime.fromisoformat(at) < due
        )


def in_arrears(agreements: Sequence[Json]) -> Iterator[str]:
    """Agreements that are not what they should be after one paid cycle."""
    for agreement in agreements:
        if (agreement["status"], agreement["totals"]["cycles_paid"]) != ("active", 1):
            yield f"{agreement['id']}: {agreement['status']}, {agreement['totals']}"
