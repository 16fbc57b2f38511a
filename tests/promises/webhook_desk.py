"""A desk at which deliveries are tried by hand: the real activity, database and receiver, and nobody else."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import col
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contract import DeliveryInput
from activities.deliveries import Deliveries
from activities.webhook_calls import WebhookCalls
from store.changes import change
from store.tables import Delivery, WebhookEndpoint
from tests.promises.webhook_receiver import Receiver, a_receiver, an_endpoint
from tests.support.house import House, Shop, agreement_body


@dataclasses.dataclass
class Desk:
    """A merchant with a receiver and an agreement; events are written, and nobody starts their deliveries."""

    house: House
    shop: Shop
    receiver: Receiver
    agreement: str
    endpoint: str
    secret: str
    stack: AsyncExitStack

    async def write(self, *types: str) -> list[str]:
        """The deliveries of events written in one change."""
        async with change(self.house.database, self.agreement) as locked:
            for type_ in types:
                locked.event(type_)
        return locked.delivery_ids

    def deliveries(self, scale: float = 0.001, **options: Any) -> Deliveries:
        """`options` are those of the calls; they are closed when the test ends."""
        house, calls = self.house, WebhookCalls(**{"timeout": timedelta(seconds=60)} | options)
        self.stack.push_async_callback(calls.close)
        settings = house.settings.model_copy(update={"webhook_backoff_scale": scale})
        return Deliveries(settings, house.database, house.vault, calls)

    async def attempt(
        self, delivery: str, with_: Deliveries | None = None, run: int | None = None
    ) -> str | ApplicationError:
        """What the activity answers, or the error with which it asks for another attempt."""
        work = with_ or self.deliveries()
        run = run or (await self.row(delivery)).run
        try:
            return await ActivityEnvironment().run(work.deliver, DeliveryInput(delivery_id=delivery, run=run))
        except ApplicationError as error:
            return error

    async def row(self, delivery: str) -> Delivery:
        async with self.house.database.transaction() as session:
            return await session.get_one(Delivery, delivery)

    async def change_endpoint(self, **values: object) -> None:
        async with self.house.database.transaction() as session:
            await session.exec(update(WebhookEndpoint).where(col(WebhookEndpoint.id) == self.endpoint).values(values))

    async def read_endpoint(self) -> WebhookEndpoint:
        async with self.house.database.transaction() as session:
            return await session.get_one(WebhookEndpoint, self.endpoint)


@asynccontextmanager
async def a_desk(house: House, shop: Shop) -> AsyncIterator[Desk]:
    """With an agreement that has nothing to do for a long time, and an endpoint; nobody starts its deliveries."""
    terms = {"start_date": "2099-01-31", "expiry_date": "2100-12-31"}
    made = await shop.call("POST", "/v1/agreements", agreement_body(None, terms=terms), expect=201)
    async with a_receiver() as receiver, AsyncExitStack() as stack:
        endpoint, secret = await an_endpoint(shop, receiver)
        desk = Desk(house, shop, receiver, str(made["id"]), endpoint, secret, stack)
        yield desk
        await desk.change_endpoint(deleted_at=datetime.now(UTC))
