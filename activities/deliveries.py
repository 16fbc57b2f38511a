"""Webhooks: one event to one endpoint by the Standard Webhooks specification, tried for seven days."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import structlog
from standardwebhooks import Webhook
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.contract import DELIVER, DeliveryInput
from activities.places import Places
from activities.webhook_calls import WebhookCalls
from agreements.deliveries import DeliveryStatus, is_dead
from settings import Settings
from store import deliveries, webhook_endpoints
from store.database import Database
from store.deliveries import Attempted, Due
from store.tables import Event
from store.vault import Vault

log = structlog.get_logger(__name__)

# How long an event waits here for the one before it, before it lets others have its place in the worker.
_LOOKS = (0.02, 0.04, 0.08, 0.15, 0.25, 0.5)
_LOOK_AGAIN = timedelta(seconds=1)

_SOONEST = timedelta(milliseconds=1)
"""Temporal takes no wait at all for none asked for, and waits by its own policy: minutes, after a few looks."""


class Deliveries:
    """Standalone activities, one per run of a delivery; operators see each in the Temporal UI."""

    def __init__(self, settings: Settings, database: Database, vault: Vault, calls: WebhookCalls) -> None:
        self._scale = settings.webhook_backoff_scale
        self._database = database
        self._vault = vault
        self._calls = calls
        self._places = Places()

    @activity.defn(name=DELIVER)
    async def deliver(self, delivery: DeliveryInput) -> str:
        """Sends once and writes down what came back; a failure asks Temporal for the next attempt by the plan."""
        async with self._database.transaction() as session:
            due = await deliveries.begin(session, delivery.delivery_id, delivery.run, datetime.now(UTC))
        if isinstance(due, str):
            return due
        await self._turn_away_if_full(due)
        if due.behind:
            await self._give_way(due)
            await self._turn_away_if_full(due)
        with self._places.taken(due.endpoint.id):
            attempted = await self._post(due)
        return await self._record(due, attempted)

    async def _turn_away_if_full(self, due: Due) -> None:
        wait = self._places.wait(due.endpoint, datetime.now(UTC))
        if wait is not None:
            await self._mark_started(due)
            raise _again("busy", "enough calls to this endpoint are under way", wait)

    async def _give_way(self, due: Due) -> None:
        """Waits for the first attempt of the event before this one, so that events arrive in order while all is well.

        Nobody waits for a second attempt, nor for ever: one dead delivery must not hold up the others.
        """
        for pause in _LOOKS:
            await asyncio.sleep(pause)
            async with self._database.transaction() as session:
                if not await deliveries.is_behind(session, due.delivery.id, datetime.now(UTC)):
                    return
        await self._mark_started(due)
        raise _again("gives_way", "an earlier event goes first", _LOOK_AGAIN)

    async def _mark_started(self, due: Due) -> None:
        if not due.delivery.started:
            async with self._database.transaction() as session:
                await deliveries.mark_started(session, due.delivery)

    async def _post(self, due: Due) -> Attempted:
        body, sent_at = message(due.event), datetime.now(UTC)
        secrets = webhook_endpoints.opened(self._vault, due.sealed_secrets)
        signatures = (Webhook(secret).sign(due.event.id, sent_at, body) for secret in secrets)
        headers = {
            "content-type": "application/json",
            "webhook-id": due.event.id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        return await self._calls.post(due.endpoint.url, headers, body, livemode=due.endpoint.livemode, secrets=secrets)

    async def _record(self, due: Due, attempted: Attempted) -> str:
        async with self._database.transaction() as session:
            follows = await deliveries.record(session, due, attempted, self._scale)
        if await self._disabled(due, attempted):
            return DeliveryStatus.PARKED.value
        if isinstance(follows, DeliveryStatus):
            return follows.value
        raise _again("delivery_failed", attempted.error or "", max(follows - datetime.now(UTC), _SOONEST))

    async def _disabled(self, due: Due, attempted: Attempted) -> bool:
        """Notes what the attempt says about the endpoint; whether it was disabled for it."""
        now, endpoint = datetime.now(UTC), due.endpoint
        if attempted.error is None:
            if endpoint.failing_since is not None:
                async with self._database.transaction() as session:
                    await webhook_endpoints.recovered(session, endpoint.id)
            return False
        gone = attempted.status == httpx.codes.GONE
        if not gone and endpoint.failing_since and not is_dead(endpoint.failing_since, now, self._scale):
            return False  # it is known to be failing
        async with self._database.transaction() as session:
            reason = await webhook_endpoints.failed(session, endpoint, gone=gone, now=now, scale=self._scale)
        if reason is not None:
            log.warning("webhook_endpoint_disabled", endpoint=endpoint.id, reason=reason.value)
        return reason is not None


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
