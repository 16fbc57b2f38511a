"""Webhook endpoints and deliveries as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict

from agreements.deliveries import DeliveryStatus, DisabledReason
from agreements.views import View
from store.delivery_log import Logged
from store.tables import WebhookEndpoint

_DESCRIBED = ConfigDict(frozen=True, use_attribute_docstrings=True)


class WebhookEndpointView(View):
    """Where a merchant wants events, and whether they are sent there."""

    model_config = _DESCRIBED

    id: str
    url: str
    event_types: list[str]
    description: str | None
    livemode: bool
    status: Literal["enabled", "disabled"]
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None
    """Merchant: by PATCH. Gone: it answered 410. Failing: it took nothing for five days."""
    failing_since: datetime | None
    """When the first of the attempts failed that have been failing ever since; null while all is well."""
    waiting: int
    """Events still to be sent there; while it is disabled they are kept."""
    created_at: datetime


class WebhookEndpointWithSecret(WebhookEndpointView):
    """An endpoint with its newest secret."""

    secret: str
    """Signs what is sent there (`whsec_…`); shown this once."""


class AttemptView(View):
    """How one attempt of a delivery went. Attempts are listed for 30 days, or as the installation has it set."""

    model_config = _DESCRIBED

    number: int
    at: datetime
    status: int | None
    """The HTTP status of the answer; null if there was none."""
    error: str | None
    """Why it failed; null if the receiver took the event."""
    latency_ms: int
    answer: str | None
    """The first bytes of the answer's body, what looks like a secret taken out."""


class DeliveryView(View):
    """One event on its way to one endpoint, with its latest attempts, oldest first.

    Pending: to be sent, at `next_attempt_at` if it was tried before. Parked: its endpoint is disabled, or has earlier
    events to catch up with first. Failed: given up. Dropped: its endpoint was deleted.
    """

    model_config = _DESCRIBED

    id: str
    event: str
    type: str
    endpoint: str
    status: DeliveryStatus
    next_attempt_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    attempts: int
    log: list[AttemptView]


def webhook_endpoint(row: WebhookEndpoint, waiting: int) -> WebhookEndpointView:
    """An endpoint without its secret."""
    return WebhookEndpointView(
        id=row.id,
        url=row.url,
        event_types=row.event_types,
        description=row.description,
        livemode=row.livemode,
        status="enabled" if row.disabled_at is None else "disabled",
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        failing_since=row.failing_since,
        waiting=waiting,
        created_at=row.created_at,
    )


def delivery(found: Logged) -> DeliveryView:
    """A delivery with those of its attempts that are shown."""
    row = found.delivery
    return DeliveryView(
        id=row.id,
        event=row.event_id,
        type=found.event.type,
        endpoint=row.endpoint_id,
        status=row.status,
        next_attempt_at=row.next_attempt_at,
        finished_at=row.finished_at,
        created_at=row.created_at,
        attempts=row.attempts,
        log=[
            AttemptView(
                number=one.number,
                at=one.at,
                status=one.status,
                error=one.error,
                latency_ms=one.latency_ms,
                answer=one.answer,
            )
            for one in found.attempts
        ],
    )
