"""What the promises' tests share: the audit of an agreement, faults, and single activities run by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import httpx
from sqlmodel import col, select
from temporalio.testing import ActivityEnvironment

from activities.authorizations import Authorizations
from activities.charges import Charges
from activities.contract import StepInput
from activities.credentials import Credentials
from activities.workbench import Workbench
from agreements.standing import Standing
from cli.audit import differences
from gateways import http
from gateways.antom.connector import Antom
from gateways.port import (
    Account,
    Call,
    ChargeAnswer,
    ChargeRequest,
    OpenAnswer,
    RefundRequest,
    ReversalAnswer,
    TokenAnswer,
)
from store.tables import Agreement, Attempt, Charge, TestClock
from tests.support.house import House, Shop
from workflows.messages import agreement_workflow_id

START = "2027-01-31T00:00:00Z"
NOWHERE = "http://127.0.0.1:9"
"""The discard port: notifications sent there reach nobody."""


async def audited(shop: Shop, agreement: str) -> list[dict[str, Any]]:
    """The charges of an agreement, which agree with the provider's ledger and whose events are gapless."""
    charges, events = await shop.charges(agreement), await shop.events(agreement)
    assert differences(charges, await shop.ledger(agreement)) == []
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    return charges


async def types(shop: Shop, agreement: str, *prefixes: str) -> list[str]:
    """The types of an agreement's events in order, of these prefixes only where some are given."""
    found = [event["type"] for event in await shop.events(agreement)]
    return [type_ for type_ in found if not prefixes or type_.startswith(prefixes)]


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 60) -> None:
    """Waits until a condition holds; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.03)


@asynccontextmanager
async def faults(house: House, **plan: Any) -> AsyncIterator[None]:
    """The sandbox's faults while the block runs."""
    url = f"{house.sandbox_url}/_sandbox/faults"
    assert (await house.outside.post(url, json=plan)).is_success
    try:
        yield
    finally:
        assert (await house.outside.post(url, json={})).is_success


async def credential(shop: Shop, agreement: str) -> dict[str, Any]:
    """The sandbox's credential of a merchant with one agreement."""
    answer = await shop.house.outside.get(f"{shop.house.sandbox_url}/_sandbox/credentials")
    [found] = [row for row in answer.json()["data"] if row["client_id"] == shop.client_id]
    return dict(found)


async def script(shop: Shop, agreement: str, words: str) -> None:
    """What the next debits do."""
    id_ = (await credential(shop, agreement))["id"]
    url = f"{shop.house.sandbox_url}/_sandbox/credentials/{id_}/script"
    assert (await shop.house.outside.post(url, json={"script": words})).is_success


async def workflow_closed(shop: Shop, agreement: str) -> None:
    """Waits until the agreement's workflow, in its latest run, has ended of its own accord."""
    handle = shop.house.temporal.get_workflow_handle(agreement_workflow_id(agreement))
    async with asyncio.timeout(60):
        await handle.result()


async def unwatched(house: House, clock: str, now: str) -> datetime:
    """Moves a test clock behind the workflows' backs: what is due then is left to the test."""
    moment = datetime.fromisoformat(now)
    async with house.database.transaction() as session:
        (await session.get_one(TestClock, clock)).now = moment
    return moment


async def charge_row(house: House, agreement: str, cycle: int = 1) -> Charge:
    query = select(Charge).where(Charge.agreement_id == agreement, Charge.cycle == cycle)
    async with house.database.transaction() as session:
        return (await session.exec(query)).one()


async def attempts(house: House, agreement: str) -> Sequence[Attempt]:
    query = select(Attempt).where(Attempt.agreement_id == agreement).order_by(col(Attempt.id))
    async with house.database.transaction() as session:
        return (await session.exec(query)).all()


async def agreement_row(house: House, agreement: str) -> Agreement:
    async with house.database.transaction() as session:
        return await session.get_one(Agreement, agreement)


async def charge_step(house: House, agreement: str, at: datetime, cycle: int = 1, attempt: int = 1) -> StepInput:
    """The step that tries to collect a cycle."""
    charge = await charge_row(house, agreement, cycle)
    return StepInput(agreement_id=agreement, at=at, subject=charge.id, attempt=attempt)


class Watched(Antom):
    """The real connector; remembers its calls, and lets a test step in before and after it moves anything.

    With `opens` it works in two steps, as Ottu does: an attempt is committed as prepared, then opened, then sent.
    """

    def __init__(self, client: httpx.AsyncClient, *, opens: bool = False) -> None:
        super().__init__(client)
        self.traits = replace(Antom.traits, opens=opens)
        self.calls: list[str] = []
        self.requests: list[tuple[Account, ChargeRequest, Call]] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None
        self.after_refund: Callable[[], Awaitable[None]] | None = None

    async def open(self, account: Account, request: ChargeRequest, call: Call) -> OpenAnswer:
        return replace(await super().open(account, request, call), handle=request.request_id)

    async def charge(self, account: Account, request: ChargeRequest, call: Call) -> ChargeAnswer:
        self.calls.append("charge")
        self.requests.append((account, request, call))
        if self.before:
            await self.before()
        answer = await super().charge(account, request, call)
        if self.after:
            await self.after()
        return answer

    async def exchange(self, account: Account, payment_method: str, code: str, call: Call) -> TokenAnswer:
        if self.before:
            await self.before()
        return await super().exchange(account, payment_method, code, call)

    async def inquire(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ChargeAnswer:
        self.calls.append("inquire")
        return await super().inquire(account, request_id, call, handle)

    async def cancel(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ReversalAnswer:
        self.calls.append("cancel")
        return await super().cancel(account, request_id, call, handle)

    async def refund(self, account: Account, request: RefundRequest, call: Call) -> ReversalAnswer:
        self.calls.append("refund")
        answer = await super().refund(account, request, call)
        if self.after_refund:
            await self.after_refund()
        return answer

    async def inquire_refund(
        self, account: Account, request_id: str, call: Call, handle: str | None = None
    ) -> ReversalAnswer:
        self.calls.append("inquire_refund")
        return await super().inquire_refund(account, request_id, call)


@dataclass
class Hand:
    """A worker's bench for activities run by the test; `after_commits` are called one by one, each after a commit."""

    bench: Workbench
    gateway: Watched
    public_url: str
    after_commits: list[Callable[[], Awaitable[None]]]

    def between_prepared_and_sent(self, happens: Callable[[], Awaitable[None]]) -> None:
        """What happens after the handle of what was opened is committed, and before the gate."""
        self.after_commits += [nothing, happens]

    async def arrives_late(self, number: int = 0) -> ChargeAnswer:
        """A request that hung in the network reaches the provider after all; its news reach the engine."""
        account, request, call = self.gateway.requests[number]
        notify_url = request.notify_url.replace(NOWHERE, self.public_url)
        return await Antom.charge(self.gateway, account, replace(request, notify_url=notify_url), call)

    async def charge(self, step: StepInput) -> Standing:
        """Runs the charge activity once."""
        found: Standing = await ActivityEnvironment().run(Charges(self.bench).charge, step)
        return found

    async def inquire(self, step: StepInput) -> Standing:
        """Runs the inquiry activity once."""
        found: Standing = await ActivityEnvironment().run(Charges(self.bench).inquire, step)
        return found

    async def authorize(self, step: StepInput) -> Standing:
        """Runs the activity that gets the customer's page, or the token for their code, once."""
        found: Standing = await ActivityEnvironment().run(Authorizations(self.bench).authorize, step)
        return found

    async def revoke(self, step: StepInput) -> Standing:
        """Runs the activity that tells the provider of a revocation once."""
        found: Standing = await ActivityEnvironment().run(Credentials(self.bench).revoke_at_provider, step)
        return found


@asynccontextmanager
async def by_hand(house: House, *, opens: bool = False) -> AsyncIterator[Hand]:
    """Real activities, PostgreSQL and sandbox, without Temporal; the provider's news do not reach the engine.

    With `opens` the provider works in two steps: `between_prepared_and_sent` takes what happens there.
    """
    after_commits: list[Callable[[], Awaitable[None]]] = []

    async def committed(_: object) -> None:
        if after_commits:
            await after_commits.pop(0)()

    settings = house.settings.model_copy(update={"public_url": NOWHERE})
    async with http.client() as client:
        gateway = Watched(client, opens=opens)
        bench = Workbench(settings, house.database, house.vault, {"antom": gateway}, committed)
        yield Hand(bench, gateway, house.settings.public_url, after_commits)


class Killed(BaseException):
    """Stands for the end of a process in the middle of an activity: nothing of ours catches it."""


async def killed() -> None:
    """Raises Killed."""
    raise Killed


async def nothing() -> None:
    """Does nothing."""
