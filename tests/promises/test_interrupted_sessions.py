"""Promises 1 and 9 where a debit is opened first (Ottu): whatever dies on its way, one debit in the end.

Nothing at Ottu may be repeated: the handle of what was opened is committed before the debit, and after that only asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest
from temporalio.testing import ActivityEnvironment

from activities.charges import Charges
from activities.contract import StepInput
from activities.workbench import Workbench
from agreements.attempts import Verdict
from agreements.status import AttemptStatus
from gateways import http
from gateways.ottu.connector import Ottu
from gateways.port import Account, Call, ChargeAnswer, ChargeRequest, OpenAnswer
from store.tables import Attempt
from tests.promises.support import NOWHERE, Killed, attempts, audited, charge_step, killed, unwatched
from tests.promises.test_first_payments import MORNING
from tests.support.house import House
from tests.support.shops import Shop

DUE = "2027-02-28T06:00:00Z"


class Watched(Ottu):
    """The real connector; remembers what it was asked, and lets a test step in around the debit."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        super().__init__(client)
        self.calls: list[str] = []
        self.silent = False
        self.opened: Callable[[], Awaitable[None]] | None = None
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None

    async def open(self, account: Account, request: ChargeRequest, call: Call) -> OpenAnswer:
        self.calls.append("open")
        if self.silent:
            return OpenAnswer(Verdict.UNKNOWN, evidence="timeout")
        answer = await super().open(account, request, call)
        if self.opened:
            await self.opened()
        return answer

    async def charge(self, account: Account, request: ChargeRequest, call: Call) -> ChargeAnswer:
        self.calls.append("charge")
        if self.before:
            await self.before()
        answer = await super().charge(account, request, call)
        if self.after:
            await self.after()
        return answer

    async def inquire(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ChargeAnswer:
        self.calls.append("inquire")
        return await super().inquire(account, request_id, call, handle)


@dataclass
class Hand:
    """The charging activities, run by the test; `after_commits` are called one by one, each after a commit."""

    bench: Workbench
    gateway: Watched
    after_commits: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def charge(self, step: StepInput) -> None:
        await ActivityEnvironment().run(Charges(self.bench).charge, step)


@asynccontextmanager
async def by_hand(house: House) -> AsyncIterator[Hand]:
    """Real activities, PostgreSQL and sandbox, without Temporal; Ottu's news do not reach the engine."""
    after_commits: list[Callable[[], Awaitable[None]]] = []

    async def committed(_: object) -> None:
        if after_commits:
            await after_commits.pop(0)()

    settings = house.settings.model_copy(update={"public_url": NOWHERE})
    async with http.client() as client:
        gateway = Watched(client)
        yield Hand(
            Workbench(settings, house.database, house.vault, {"ottu": gateway}, committed), gateway, after_commits
        )


async def due(house: House, words: str = "success") -> tuple[Shop, str, StepInput]:
    """An agreement whose second cycle is due and untouched, and the step that collects it."""
    shop = await house.shop("ottu")
    clock = await shop.clock(MORNING)
    agreement = await shop.agree(clock, words)
    at = await unwatched(house, clock, DUE)
    return shop, agreement, await charge_step(house, agreement, at, cycle=2)


async def renewal(house: House, agreement: str) -> Attempt:
    return (await attempts(house, agreement))[-1]


async def debits(shop: Shop, agreement: str) -> list[str]:
    return [row["status"] for row in await shop.ledger(agreement) if row["kind"] == "debit"][1:]


async def nothing() -> None:
    """A commit nobody dies after."""


async def test_the_handle_is_committed_before_the_debit(house: House) -> None:
    shop, agreement, step = await due(house)
    async with by_hand(house) as hand:
        hand.after_commits += [nothing, killed]
        with pytest.raises(Killed):
            await hand.charge(step)
        opened = await renewal(house, agreement)
        assert (opened.status, opened.payment_id is not None) == (AttemptStatus.PREPARED, True)
        assert await debits(shop, agreement) == []
        await hand.charge(step)
        assert hand.gateway.calls == ["open", "charge"]
        assert (await renewal(house, agreement)).payment_id == opened.payment_id
    assert await debits(shop, agreement) == ["succeeded"]
    await audited(shop, agreement)


async def test_killed_before_the_handle_was_kept_another_one_is_opened(house: House) -> None:
    shop, agreement, step = await due(house)
    async with by_hand(house) as hand:
        hand.after_commits.append(killed)
        with pytest.raises(Killed):
            await hand.charge(step)
        await hand.charge(step)
    assert await debits(shop, agreement) == ["succeeded"]
    await audited(shop, agreement)


async def test_a_second_worker_that_took_the_first_for_dead_while_it_opened(house: House) -> None:
    """Both open, the second debits and does not hear what came of it: the first sends nothing, and keeps its hands off
    the handle by which the debit is asked about.
    """
    shop, agreement, step = await due(house)
    sent_with: list[str | None] = []
    async with by_hand(house) as first, by_hand(house) as second:

        async def overtaken() -> None:
            second.gateway.after = killed
            with pytest.raises(Killed):
                await second.charge(step)
            sent_with.append((await renewal(house, agreement)).payment_id)

        first.gateway.opened = overtaken
        await first.charge(step)
        assert (first.gateway.calls, second.gateway.calls) == (["open"], ["open", "charge"])
        assert [(await renewal(house, agreement)).payment_id] == sent_with
    assert await debits(shop, agreement) == ["succeeded"]
    later = await unwatched(house, await clock(shop), (step.at + timedelta(minutes=10)).isoformat())
    async with by_hand(house) as hand:
        await hand.charge(step.model_copy(update={"at": later}))
    await audited(shop, agreement)


@pytest.mark.parametrize("words", ["success", "insufficient_funds"])
async def test_killed_between_the_debit_and_its_record_it_is_only_asked_about(house: House, words: str) -> None:
    shop, agreement, step = await due(house, words)
    async with by_hand(house) as hand:
        hand.gateway.after = killed
        with pytest.raises(Killed):
            await hand.charge(step)
        # Not before Ottu lets itself be asked.
        await hand.charge(step)
        assert hand.gateway.calls == ["open", "charge"]
        later = step.at + timedelta(minutes=10)
        await hand.charge(step.model_copy(update={"at": await unwatched(house, await clock(shop), later.isoformat())}))
        assert hand.gateway.calls == ["open", "charge", "inquire"]
    assert len(await debits(shop, agreement)) == 1
    await audited(shop, agreement)


async def test_a_cancel_of_ours_that_nobody_wrote_down_is_not_the_customers(house: House) -> None:
    """The debit never arrived and was canceled; then the worker died. What Ottu says of it must not cost the cycle."""
    shop, agreement, step = await due(house)
    async with by_hand(house) as hand:
        hand.gateway.before = killed
        with pytest.raises(Killed):
            await hand.charge(step)
        async with hand.bench.change(agreement, step.at) as change:
            account = await hand.bench.account(change)
        sent = await renewal(house, agreement)
        call = Call(timeout=timedelta(seconds=5))
        canceled = await hand.gateway.cancel(account, sent.gateway_request_id, call, sent.payment_id)
        assert canceled.verdict is Verdict.SUCCEEDED
        later = await unwatched(house, await clock(shop), (step.at + timedelta(minutes=10)).isoformat())
        await hand.charge(step.model_copy(update={"at": later}))
    second = (await shop.charges(agreement))[1]
    assert (second["status"], second["attempts"][0]["status"]) == ("retrying", "canceled")
    await shop.advance(await clock(shop), (later + timedelta(hours=1)).isoformat())
    assert await debits(shop, agreement) == ["succeeded"]
    await audited(shop, agreement)


async def test_a_provider_that_opens_nothing_is_asked_later_and_nothing_is_debited(house: House) -> None:
    shop, agreement, step = await due(house)
    async with by_hand(house) as hand:
        hand.gateway.silent = True
        await hand.charge(step)
        assert (await renewal(house, agreement)).status is AttemptStatus.PREPARED
        second = (await shop.charges(agreement))[1]
        assert (second["status"], second["next_attempt_at"]) == ("scheduled", "2027-02-28T06:00:05Z")
        assert hand.gateway.calls == ["open"]
    assert await debits(shop, agreement) == []


async def clock(shop: Shop) -> str:
    [agreement] = (await shop.call("GET", "/v1/agreements"))["data"]
    return str(agreement["test_clock"])
