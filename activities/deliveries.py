"""Webhooks: one event to one endpoint by the Standard Webhooks specification, tried for seven days."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from standardwebhooks import Webhook
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.contract import DELIVER, DeliveryInput
from settings import Settings
from store.database import Database
from store.tables import Delivery, Event, WebhookEndpoint
from store.vault import Vault

WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 60, 300, 1800, 7200, 14400, 21600, 36000, 43200, 64800, 86400, 129600, 194400)
)
"""Between the 14 attempts: seconds first, then hours, together just under seven days (design §4)."""

_LONGEST_ASKED = timedelta(days=1)
"""More than this a receiver cannot ask for with Retry-After: the plan would never end."""

_READ = 1024
"""Bytes of an answer's body that are read, and thrown away: a short answer leaves the connection usable."""

# An event gives way to the one before it until that one was tried once, but no longer than this after it was written.
_GIVES_WAY = timedelta(minutes=1)
_LOOKS = (0.02, 0.04, 0.08, 0.15, 0.25, 0.5)
_LOOK_AGAIN = timedelta(seconds=1)

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host name; raises OSError when it has none."""


@dataclass(frozen=True)
class _Answer:
    """What came of one attempt. No `error` means that the receiver has taken the event."""

    error: str | None
    status: int | None = None
    wait: timedelta = timedelta(0)
    """What the receiver asked for before the next attempt."""


class Deliveries:
    """Standalone activities, one per delivery row; operators see each in the Temporal UI."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        vault: Vault,
        client: httpx.AsyncClient,
        *,
        timeout: timedelta = timedelta(seconds=15),
        resolve: Resolve | None = None,
    ) -> None:
        """`timeout` is for one attempt as a whole (design §4); `resolve` stands in for DNS in tests."""
        self._settings = settings
        self._database = database
        self._vault = vault
        self._client = client
        self._timeout = timeout
        self._resolve = resolve or _resolve

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
        if row.attempts == 0:
            await self._give_way(event, endpoint.id)
        return await self._record(row.id, await self._post(endpoint, event))

    async def _give_way(self, event: Event, endpoint_id: str) -> None:
        """Waits for the first attempt of the event before this one, so that events arrive in order while all is well.

        Nobody waits for a second attempt, nor for ever: one dead delivery must not hold up the others.
        """
        for pause in _LOOKS:
            async with self._database.transaction() as session:
                if not await _is_behind(session, event, endpoint_id):
                    return
            await asyncio.sleep(pause)
        raise _again("gives_way", "an earlier event goes first", _LOOK_AGAIN)

    async def _post(self, endpoint: WebhookEndpoint, event: Event) -> _Answer:
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
            async with asyncio.timeout(self._timeout.total_seconds()):
                request = self._client.build_request("POST", endpoint.url, content=body, headers=headers)
                if endpoint.livemode and not await self._pin(request):
                    return _Answer("the address is private")
                return await self._send(request)
        except (TimeoutError, OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            return _Answer(type(error).__name__)

    async def _pin(self, request: httpx.Request) -> bool:
        """Ties a request to the address that was checked, so that a second look-up cannot lead into our own network."""
        name = request.url.host
        addresses = await self._resolve(name)
        if not all(ipaddress.ip_address(address).is_global for address in addresses):
            return False
        request.url = request.url.copy_with(host=addresses[0])
        request.extensions["sni_hostname"] = name
        return True

    async def _send(self, request: httpx.Request) -> _Answer:
        answer = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            read = 0
            async for part in answer.aiter_raw(_READ):
                read += len(part)
                if read >= _READ:
                    break
        finally:
            await answer.aclose()
        if answer.is_success:
            return _Answer(None, answer.status_code)
        return _Answer(f"HTTP {answer.status_code}", answer.status_code, _asked_for(answer, datetime.now(UTC)))

    async def _record(self, delivery_id: str, answer: _Answer) -> str:
        async with self._database.transaction() as session:
            query = select(Delivery).where(Delivery.id == delivery_id).with_for_update()
            row = (await session.exec(query)).one()
            row.attempts += 1
            row.last_status, row.last_error = answer.status, answer.error
            if answer.error is None:
                row.status = "delivered"
            elif row.attempts > len(WAITS) or answer.status == httpx.codes.GONE:
                row.status = "failed"
            if row.status != "pending":
                row.finished_at = datetime.now(UTC)
                return row.status
        wait = max(WAITS[row.attempts - 1] * self._settings.webhook_backoff_scale, answer.wait)
        raise _again("delivery_failed", answer.error or "", wait)


def _again(kind: str, reason: str, wait: timedelta) -> ApplicationError:
    """Asks Temporal for the next attempt; somebody else's failure is no alarm in our logs and metrics."""
    return ApplicationError(reason, type=kind, next_retry_delay=wait, category=ApplicationErrorCategory.BENIGN)


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


async def _is_behind(session: AsyncSession, event: Event, endpoint_id: str) -> bool:
    """Whether the event before this one, of those the endpoint wants, was not tried yet."""
    query = (
        select(Delivery)
        .join(Event, col(Event.id) == Delivery.event_id)
        .where(
            Event.agreement_id == event.agreement_id,
            Event.sequence < event.sequence,
            Delivery.endpoint_id == endpoint_id,
        )
        .order_by(col(Event.sequence).desc())
        .limit(1)
    )
    before = (await session.exec(query)).first()
    if before is None or before.status != "pending" or before.attempts > 0:
        return False
    return datetime.now(UTC) - before.created_at < _GIVES_WAY


def _asked_for(answer: httpx.Response, now: datetime) -> timedelta:
    """Retry-After, in seconds or as a date (RFC 9110 §10.2.3); nothing where it is absent or makes no sense."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        wait = timedelta(seconds=int(text)) if text.isdecimal() else parsedate_to_datetime(text) - now
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
    return max(timedelta(0), min(wait, _LONGEST_ASKED))


async def _resolve(host: str) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
