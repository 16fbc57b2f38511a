"""Webhooks: one event to one endpoint by the Standard Webhooks specification, tried for seven days."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
from sqlmodel import select
from standardwebhooks import Webhook
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contract import DELIVER, DeliveryInput
from settings import Settings
from store.database import Database
from store.tables import Delivery, Event, WebhookEndpoint
from store.vault import Vault

_TIMEOUT = timedelta(seconds=15)

WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 60, 300, 1800, 7200, 14400, 21600, 36000, 43200, 64800, 86400, 129600, 201600)
)
"""Between the 14 attempts: seconds first, then hours, together just under seven days (design §4)."""


class Deliveries:
    """Standalone activities, one per delivery row; operators see each in the Temporal UI."""

    def __init__(self, settings: Settings, database: Database, vault: Vault, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._database = database
        self._vault = vault
        self._client = client

    @activity.defn(name=DELIVER)
    async def deliver(self, delivery: DeliveryInput) -> str:
        """Sends once and writes down what came back; a failure asks Temporal for the next attempt by the plan."""
        async with self._database.transaction() as session:
            row = await session.get_one(Delivery, delivery.delivery_id)
            event = await session.get_one(Event, row.event_id)
            endpoint = await session.get_one(WebhookEndpoint, row.endpoint_id)
            row.started = True
            if endpoint.deleted_at is not None and row.status == "pending":
                row.status, row.finished_at = "dropped", datetime.now(UTC)
        if row.status != "pending":
            return row.status
        status, error = await self._post(endpoint, event)
        return await self._record(row.id, status, error)

    async def _post(self, endpoint: WebhookEndpoint, event: Event) -> tuple[int | None, str | None]:
        if endpoint.livemode and await _is_private(endpoint.url):
            return None, "the address is private"
        body = message(event)
        sent_at = datetime.now(UTC)
        secret = self._vault.open("webhook_secret", endpoint.sealed_secret)
        headers = {
            "content-type": "application/json",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": Webhook(secret).sign(event.id, sent_at, body),
        }
        try:
            async with asyncio.timeout(_TIMEOUT.total_seconds()):
                answer = await self._client.post(endpoint.url, content=body, headers=headers)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            return None, type(error).__name__
        return answer.status_code, None if answer.is_success else f"HTTP {answer.status_code}"

    async def _record(self, delivery_id: str, status: int | None, error: str | None) -> str:
        async with self._database.transaction() as session:
            query = select(Delivery).where(Delivery.id == delivery_id).with_for_update()
            row = (await session.exec(query)).one()
            row.attempts += 1
            row.last_status, row.last_error = status, error
            over = row.attempts > len(WAITS)
            if error is None or over:
                row.status = "delivered" if error is None else "failed"
                row.finished_at = datetime.now(UTC)
        if row.status == "pending":
            wait = WAITS[row.attempts - 1] * self._settings.webhook_backoff_scale
            raise ApplicationError(error or "", type="delivery_failed", next_retry_delay=wait)
        return row.status


def message(event: Event) -> str:
    """The body of an event, the same in the feed and in every delivery of it."""
    return json.dumps(
        {
            "id": event.id,
            "type": event.type,
            "created_at": event.at.isoformat().replace("+00:00", "Z"),
            "sequence": event.sequence,
            "livemode": event.livemode,
            "data": event.data,
        },
        separators=(",", ":"),
    )


async def _is_private(url: str) -> bool:
    """Whether a live webhook would reach into our own network. A name that does not resolve is left to the call."""
    host = urlsplit(url).hostname or ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(not ipaddress.ip_address(address[0]).is_global for *_, address in found)
