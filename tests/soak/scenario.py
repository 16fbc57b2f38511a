"""The run: agreements made, collected, paused and revoked through the API while processes die under it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

from sandbox.server import running
from tests.promises.webhook_receiver import Receiver, a_receiver
from tests.soak import kills
from tests.soak.audit import LifeBooks, audit
from tests.soak.books import Finding
from tests.soak.kills import Dev, Killed, Progress
from tests.soak.lives import Subscriber, legs, subscribers
from tests.soak.merchant import Json, Merchant

FAULTS = {"lost_answer": 0.05, "duplicate": 0.02, "shuffle": 0.05, "http_500": 0.01}

_ALIVE = ("active", "past_due", "action_required", "paused")
_LOOK = 0.25
_ADVANCED_WITHIN = 600.0
_DELIVERED_WITHIN = 300.0
_MOMENTS = (timedelta(seconds=10), timedelta(minutes=10))
"""Of a clock that stands still while customers agree, the first and the longest: long enough for a lost answer to be
asked for again, and soon for a page to have had its time.
"""


class Stuck(Exception):
    """A clock does not arrive: something of it is due for ever."""


@dataclass(frozen=True)
class Size:
    """`per_clock` agreements share a test clock, which moves independently of the others; `kills` are per kind."""

    agreements: int
    cycles: int
    per_clock: int
    kills: int


@dataclass(frozen=True)
class Outcome:
    """What happened, in seconds and figures, and everything that was not as it must be."""

    seed: int
    seconds: float
    killed: Sequence[Killed]
    findings: Sequence[Finding]
    repeated_calls: int

    @property
    def differences(self) -> list[str]:
        return [line for finding in self.findings for line in finding.differences]

    def __str__(self) -> str:
        return "\n".join([_heading(self.seed, self.seconds, self.killed), *self.differences])


async def run(size: Size, seed: int, folder: Path, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """A whole run on a `dev` of its own, with its data in `folder`; `say` is told how far it has come.

    Raises Lost, Refused, Stuck or TimeoutError, alone or in a group, when the run cannot be brought to its end.
    """
    dice = random.Random(seed)
    customers = subscribers(dice, size.agreements, size.cycles, size.per_clock)
    began = time.monotonic()
    async with AsyncExitStack() as leaving:
        dev = await leaving.enter_async_context(kills.dev(folder))
        planned = kills.plan(dice, sorted(dev.ready.pids), size.kills)
        receiver = await leaving.enter_async_context(a_receiver())
        client = await leaving.enter_async_context(httpx.AsyncClient(timeout=20, trust_env=False))
        sandboxes = dev.ready.sandboxes.values()
        for sandbox in sandboxes:
            (await client.post(f"{sandbox}/_sandbox/faults", json={"seed": seed, **FAULTS})).raise_for_status()
        merchant = Merchant(client, dev.ready.api_url, dev.ready.secret_key)
        storm = Storm(dev, merchant, receiver, Progress(size.agreements * (1 + size.cycles)))
        await storm.listen()
        await leaving.enter_async_context(running(storm.follow()))
        try:
            await storm.rage(customers, size, planned)
            say(f"{time.monotonic() - began:.0f} s: every clock has arrived and every kill was made")
            await storm.until_delivered()
            say(f"{time.monotonic() - began:.0f} s: the webhooks have come")
            ledgers = [(await client.get(f"{sandbox}/_sandbox/ledger")).json()["data"] for sandbox in sandboxes]
            findings = audit(await storm.books([row for ledger in ledgers for row in ledger]))
        except Exception as error:
            error.add_note(_heading(seed, time.monotonic() - began, dev.killed))
            raise
    return Outcome(seed, time.monotonic() - began, dev.killed, findings, merchant.repeated)


def _heading(seed: int, seconds: float, killed: Sequence[Killed]) -> str:
    each = ", ".join(f"{kill.kind} at {kill.at:.1f} s (back after {kill.back_after:.1f} s)" for kill in killed)
    return f"seed {seed}, {seconds:.0f} s; killed: {each}"


def _moments(now: datetime) -> Iterator[datetime]:
    moment, longest = _MOMENTS
    while True:
        now += moment
        yield now
        moment = min(1.5 * moment, longest)


class Storm:
    """One run on a stack that stands."""

    def __init__(self, dev: Dev, merchant: Merchant, receiver: Receiver, progress: Progress) -> None:
        self._dev = dev
        self._merchant = merchant
        self._receiver = receiver
        self._progress = progress
        self._agreements: dict[str, Subscriber] = {}
        self._cards: dict[str, int] = {}
        """How often each customer filled in a page for another card."""
        self._followed: list[Json] = []
        self._received: dict[str, Json] = {}
        self._forged: list[str] = []
        self._read = 0
        self._secret = ""

    async def rage(self, customers: Sequence[Subscriber], size: Size, planned: Sequence[kills.Kill]) -> None:
        """Returns when every clock is at its end and every kill was made."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._dev.suffer(planned, self._progress))
            for first in range(0, len(customers), size.per_clock):
                tasks.create_task(self._live(customers[first : first + size.per_clock], size.cycles))

    async def books(self, ledger: list[Json]) -> LifeBooks:
        """What every side says at the end."""
        return LifeBooks(
            subscribers=self._agreements,
            agreements=await self._merchant.all("/v1/agreements"),
            charges=await self._merchant.all("/v1/charges"),
            events=await self._merchant.all("/v1/events", cursor_name="after"),
            ledger=ledger,
            followed=self._followed,
            received=self._received,
            broken=[*self._merchant.broken, *self._forged],
        )

    # The agreements of one clock

    async def _live(self, customers: Sequence[Subscriber], cycles: int) -> None:
        begin = customers[0].begins.isoformat()
        clock = str((await self._merchant.call("POST", "/v1/test-clocks", {"now": begin}))["id"])
        agreements = await self._sign_up(clock, customers)
        for cycle, end in enumerate(legs(cycles), start=1):
            await asyncio.gather(
                self._advance(clock, end),
                *(self._command(agreement, self._agreements[agreement], cycle) for agreement in agreements),
            )
            await self._give_cards(clock, end, agreements, cycle)
            if cycle <= cycles:
                await self._progress.add(len(agreements))

    async def _sign_up(self, clock: str, customers: Sequence[Subscriber]) -> list[str]:
        """Agreements of all customers, active. Who got lost on the way is asked again with a new agreement."""
        pending = dict.fromkeys(customers, "")
        tries = dict.fromkeys(customers, 0)
        visited: set[str] = set()
        moments = _moments(customers[0].begins)
        while pending:
            await asyncio.gather(*(self._ask(clock, who, pending, tries, visited) for who in list(pending)))
            await self._advance(clock, next(moments))
        return [agreement for agreement, who in self._agreements.items() if who in customers]

    async def _ask(
        self,
        clock: str,
        who: Subscriber,
        pending: dict[Subscriber, str],
        tries: dict[Subscriber, int],
        visited: set[str],
    ) -> None:
        """The next thing to do for one customer who has no agreement yet."""
        if not pending[who]:
            tries[who] += 1
            pending[who] = (await self._merchant.call("POST", "/v1/agreements", who.body(clock, tries[who])))["id"]
        agreement = pending[who]
        found = await self._merchant.call("GET", f"/v1/agreements/{agreement}")
        if found["status"] == "authorization_failed":
            pending[who] = ""
        elif found["status"] != "pending_authorization":
            del pending[who]
            self._agreements[agreement] = who
            await self._progress.add(1)
        elif agreement not in visited and (url := (found["authorization"] or {}).get("url")):
            visited.add(agreement)
            await self._merchant.approve(url, who.script, who.page(0))

    async def _command(self, agreement: str, who: Subscriber, cycle: int) -> None:
        await asyncio.sleep(who.command_after)  # somewhere in the middle of the clock's way
        if command := who.command(cycle):
            name, body = command
            await self._merchant.call("POST", f"/v1/agreements/{agreement}/{name}", body)
        if back := who.refunded.get(cycle - 1):
            charges = (await self._merchant.call("GET", f"/v1/charges?agreement={agreement}"))["data"]
            charge = next(charge["id"] for charge in charges if charge["cycle"] == cycle - 1)
            body = {"amount": {"currency": who.currency, "value": back}}
            await self._merchant.call("POST", f"/v1/charges/{charge}/refunds", body)

        if who.life.command == "another card" and cycle == who.command_in:
            # While the clock is on its way: what the page is for may fall due, or its time be over.
            await self._give_card(agreement, who)

    async def _give_cards(self, clock: str, now: datetime, agreements: Sequence[str], cycle: int) -> None:
        """Everybody who is to give another card, or has to, has done so when this returns."""
        moments = _moments(now)
        waiting = {name: self._agreements[name] for name in agreements if self._agreements[name].gives_card(cycle)}
        while waiting := {name: who for name, who in waiting.items() if await self._wants_card(name, who)}:
            await asyncio.gather(*(self._give_card(name, who) for name, who in waiting.items()))
            await self._advance(clock, next(moments))

    async def _wants_card(self, agreement: str, who: Subscriber) -> bool:
        read = await self._merchant.call("GET", f"/v1/agreements/{agreement}")
        if read["action"] is not None:
            return True
        made = (await self._merchant.call("GET", f"/v1/agreements/{agreement}/card-changes"))["data"]
        return read["status"] in _ALIVE and "completed" not in [change["status"] for change in made]

    async def _give_card(self, agreement: str, who: Subscriber) -> None:
        """The customer takes the link they were sent, or the merchant sends one."""
        action = (await self._merchant.call("GET", f"/v1/agreements/{agreement}"))["action"]
        path = f"/v1/agreements/{agreement}/card-changes"
        link = action or await self._merchant.call("POST", path, {"initiator": "merchant"}, accept=["state_conflict"])
        if "url" in link and (page := await self._merchant.follow(link["url"])):
            self._cards[agreement] = self._cards.get(agreement, 0) + 1
            await self._merchant.approve(page, "success", who.page(self._cards[agreement]))

    async def _advance(self, clock: str, to: datetime) -> None:
        """Advances and waits. The call has no idempotency key: a repeat may find the clock on its way already."""
        body = {"to": to.isoformat()}
        await self._merchant.call("POST", f"/v1/test-clocks/{clock}/advance", body, accept=["clock_advancing"])
        deadline = time.monotonic() + _ADVANCED_WITHIN
        while (found := await self._merchant.call("GET", f"/v1/test-clocks/{clock}"))["status"] != "ready":
            if time.monotonic() > deadline:
                raise Stuck(f"{clock} stands at {found['now']}, wanted {to.isoformat()} for {_ADVANCED_WITHIN:.0f} s")
            await asyncio.sleep(_LOOK)

    # What the merchant hears

    async def listen(self) -> None:
        """Registers the webhook endpoint; before the first kill, since this call has no idempotency key."""
        body = {"url": self._receiver.url, "event_types": ["*"]}
        self._secret = (await self._merchant.call("POST", "/v1/webhook-endpoints", body))["secret"]

    async def follow(self) -> None:
        """Reads the feed from where it was left, and checks the signatures of the webhooks that have come."""
        while True:
            after = f"&after={self._followed[-1]['id']}" if self._followed else ""
            page = await self._merchant.call("GET", f"/v1/events?limit=200{after}")
            self._followed += page["data"]
            self._verify()
            if not page["has_more"]:
                await asyncio.sleep(_LOOK)

    def _verify(self) -> None:
        calls = self._receiver.calls[self._read :]
        self._read += len(calls)
        for _, headers, body in calls:
            try:
                event = Webhook(self._secret).verify(body, headers)
            except WebhookVerificationError as error:
                self._forged.append(f"a webhook that is not ours: {error}")
            else:
                self._received[event["id"]] = event

    async def until_delivered(self) -> None:
        """Webhooks run in real time: those a killed worker held come when Temporal gives them to the next one. What has
        not come within the limit is the audit's finding.
        """
        deadline = time.monotonic() + _DELIVERED_WITHIN
        while time.monotonic() < deadline:
            events = await self._merchant.all("/v1/events", cursor_name="after")
            ids = {event["id"] for event in events}
            if ids <= self._received.keys() and len(self._followed) >= len(ids):
                return
            await asyncio.sleep(_LOOK)
