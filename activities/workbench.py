"""What activities work with, handed to them when the worker starts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog

from agreements.deliveries import Run
from gateways import notifications
from gateways.port import Account, Call, Gateway, News
from settings import Settings
from store import changes, journal, merchants
from store.card_changes import Links
from store.changes import Change
from store.database import Database
from store.tables import Agreement, Credential, GatewayAccount, Notification
from store.vault import Vault

log = structlog.get_logger(__name__)

StartDeliveries = Callable[[Sequence[Run]], Awaitable[None]]


@dataclass(frozen=True)
class Workbench:
    """The worker's database, vault, connectors and settings. Shared by all activities, safe for concurrent use."""

    settings: Settings
    database: Database
    vault: Vault
    gateways: Mapping[str, Gateway]
    start_deliveries: StartDeliveries

    @asynccontextmanager
    async def change(self, agreement_id: str, at: datetime) -> AsyncIterator[Change]:
        """One change of an agreement, committed when the block ends; its webhooks start right after.

        The change stands whether or not they start: the sweep starts what was left behind, and a step that has moved
        money must not be repeated for the sake of its news.
        """
        async with changes.change(self.database, agreement_id, at) as change:
            yield change
        try:
            await self.start_deliveries([Run(id_, change.agreement.merchant_id) for id_ in change.delivery_ids])
        except Exception as error:
            log.warning("deliveries_not_started", agreement=agreement_id, error=type(error).__name__)

    async def account(self, change: Change) -> Account:
        """The merchant's account at the agreement's provider, its keys opened."""
        row = await change.session.get_one(GatewayAccount, change.agreement.account_id)
        return Account.of(row, merchants.opened_keys(self.vault, row))

    def call(self, agreement: Agreement, now: datetime, *, customer_waits: bool = False) -> Call:
        """How long to wait for the provider. A test clock stands still meanwhile, so its time-outs are short, except
        where a customer waits for the answer: nobody moves the clock for a second try.
        """
        if agreement.test_clock_id is None:
            return Call(timeout=self.settings.provider_timeout)
        patience = self.settings.provider_timeout if customer_waits else self.settings.test_clock_provider_timeout
        return Call(timeout=patience, clock=agreement.test_clock_id, now=now)

    def gateway(self, change: Change) -> Gateway:
        """The connector of the agreement's provider."""
        return self.gateways[change.agreement.gateway]

    @property
    def links(self) -> Links:
        """Makes the links customers are sent."""
        return Links(self.vault, self.settings.public_url)

    def open_token(self, credential: Credential) -> str:
        """The access token, in clear for one call. Raises RuntimeError for a deleted one, which nothing may need."""
        if credential.sealed_access_token is None:
            raise RuntimeError(f"{credential.id} was deleted")
        return self.vault.open("access_token", credential.sealed_access_token)

    def news(self, gateway: str, account: Account, journalled: Notification) -> list[News]:
        """What a journalled message says. It was verified when it came; raises BadNotification if it no longer is."""
        message = journal.unseal(self.vault, journalled.sealed_message)
        return notifications.read(gateway, account, source=journalled.source, message=message)

    def notify_url(self, change: Change) -> str:
        """Where the provider reports what happens on this account."""
        return self.settings.notification_url(change.agreement.gateway, change.agreement.account_id)
