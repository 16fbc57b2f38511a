"""The year the demo tells: what is asked of the engine, and what must have come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from agreements.money import Money
from cli.audit import differences
from cli.demo.backend import Backend, Json, Receiver, Unexpected
from cli.demo.stories import ANA, MONTH_ENDS, NOOR, NOORS_NEW_CARD, START, STORIES, Story
from cli.demo.words import line

_NOOR_IS_ASKED = ("2027-06-30", "2027-07-02")
"""The month in which her card dies, and the day on which she gives another one."""
_SETTLED_WITHIN = 30.0


@dataclass(frozen=True)
class Book:
    """What was collected through one gateway."""

    gateway: str
    debits: int
    collected: Money | None


@dataclass(frozen=True)
class Verdict:
    """What the audit found: the figures, and everything that was not as it must be."""

    books: list[Book]
    events: int
    problems: list[str]


class Year:
    """Tells the stories month by month; `say` prints a line of the timeline, `progress` what is running."""

    def __init__(
        self, backend: Backend, receiver: Receiver, say: Callable[[str], None], progress: Callable[[str], None]
    ) -> None:
        self._backend = backend
        self._receiver = receiver
        self._say = say
        self._progress = progress
        self._told = ""
        self._agreements: dict[Story, str] = {}

    async def run(self, receiver_url: str) -> None:
        """From the merchant's set-up to the last customer's end. Raises Unexpected."""
        endpoint = await self._backend.call(
            "POST", "/v1/webhook-endpoints", {"url": receiver_url, "event_types": ["*"]}
        )
        self._receiver.secret = endpoint["secret"]
        clock = (await self._backend.call("POST", "/v1/test-clocks", {"now": START}))["id"]
        for story in STORIES:
            self._progress(f"{story.customer} is asked")
            await self._agree(story, clock)
        await self._tell()
        for month in MONTH_ENDS:
            self._progress(month[:7])
            await self._advance(clock, f"{month}T12:00:00Z")
            if month == _NOOR_IS_ASKED[0]:
                await self._advance(clock, f"{_NOOR_IS_ASKED[1]}T12:00:00Z")
                await self._another_card(NOOR, NOORS_NEW_CARD)
            await self._tell()
        self._progress("Ana cancels")
        await self._revoke(ANA)
        await self._advance(clock, "2028-02-29T00:00:00Z")
        await self._tell()

    async def audit(self, ledgers: Mapping[str, list[Json]]) -> Verdict:
        """Compares the engine's books with each provider's, with what was expected, and with the webhooks received."""
        books, problems, seen = [], [], set()
        for story, agreement in self._agreements.items():
            charges = await self._backend.all(f"/v1/charges?agreement={agreement}")
            events = await self._backend.all(f"/v1/events?agreement={agreement}")
            ledger = ledgers[story.gateway]
            debits = [row for row in ledger if row["kind"] == "debit" and row["status"] == "succeeded"]
            total = story.amount | {"value": sum(row["amount"] for row in debits)}
            books.append(Book(story.gateway, len(debits), Money(**total) if debits else None))
            problems += differences(charges, ledger)
            problems += _unexpected(story, debits, events)
            seen |= {event["id"] for event in events}
        problems += await self._undelivered(seen)
        return Verdict(books, len(seen), problems)

    async def _agree(self, story: Story, clock: str) -> None:
        made = await self._backend.call("POST", "/v1/agreements", {**story.agreement, "test_clock": clock})
        self._agreements[story] = made["id"]
        back = await self._backend.approve(made["authorization"]["url"], script=story.script, **story.page)
        if not back.startswith(story.agreement["return_url"]):
            raise Unexpected(f"{story.customer} was sent to {back}")
        await self._until(story, lambda read: read["status"] == "active", "the agreement becomes active")

    async def _another_card(self, story: Story, page: dict[str, str]) -> None:
        """The merchant asks for it by a link; the customer follows it and pays what is overdue with the new card."""
        path = f"/v1/agreements/{self._agreements[story]}/card-changes"
        link = await self._backend.call("POST", path, {"initiator": "merchant"})
        await self._backend.approve(await self._backend.follow(link["url"]), **page)
        await self._until(story, lambda read: read["status"] == "active", "the debt is collected")

    async def _revoke(self, story: Story) -> None:
        path = f"/v1/agreements/{self._agreements[story]}/revoke"
        await self._backend.call("POST", path, {"initiator": "customer", "reason": "moved away"})
        await self._until(story, lambda read: read["revocation"]["provider_status"] == "done", "the provider confirms")

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
            await asyncio.sleep(0.2)

    async def _until(self, story: Story, holds: Callable[[Json], bool], what: str) -> None:
        path = f"/v1/agreements/{self._agreements[story]}"
        try:
            async with asyncio.timeout(_SETTLED_WITHIN):
                while not holds(await self._backend.call("GET", path)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Unexpected(f"{story.customer}: waited {_SETTLED_WITHIN:.0f} s until {what}") from None

    async def _tell(self) -> None:
        """Prints what is new in the merchant's feed."""
        told_of = {agreement: story for story, agreement in self._agreements.items()}
        news = await self._backend.all("/v1/events?", after=self._told)
        for event in sorted(news, key=lambda event: str(event["created_at"])):
            if text := line(event, told_of[event["data"]["agreement"]["id"]]):
                self._say(text)
        self._told = news[-1]["id"] if news else self._told


def _unexpected(story: Story, debits: list[Json], events: list[Json]) -> list[str]:
    """What the customer's story does not foresee."""
    problems = []
    days = sorted(_day(row["virtual_time"], story) for row in debits)
    if days != sorted(story.days):
        problems.append(f"{story.customer}: debits on {days}, expected on {sorted(story.days)}")
    sequences = [event["sequence"] for event in events]
    if sequences != list(range(1, len(events) + 1)):
        problems.append(f"{story.customer}: event sequence with gaps: {sequences}")
    types = {event["type"] for event in events}
    return problems + [f"{story.customer}: no {type_} event" for type_ in sorted(story.events - types)]


def _day(instant: str, story: Story) -> str:
    """The customer's day."""
    return datetime.fromisoformat(instant).astimezone(story.zone).date().isoformat()
