"""Webhook endpoints: their secrets, their health, and what is parked while they are disabled.

An endpoint's row is locked before those of its deliveries, here and wherever both are changed.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Update, delete, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.deliveries import DeliveryStatus, DisabledReason, is_dead
from store import ids
from store.tables import Delivery, RetiredSecret, WebhookEndpoint
from store.vault import Vault

MOST_SECRETS = 10
"""That sign at once: every one lengthens a header of each delivery."""

_PURPOSE = "webhook_secret"
_SECRET_BYTES = 32


class TooManySecrets(Exception):
    """So many secrets were replaced that still sign."""


def new_secret(vault: Vault) -> tuple[str, str]:
    """A fresh secret as the Standard Webhooks specification writes it, and the same sealed."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    return secret, vault.seal(_PURPOSE, secret)


async def signing_secrets(session: AsyncSession, vault: Vault, endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """Every secret that signs at present, newest first."""
    query = select(RetiredSecret.sealed_secret).where(
        RetiredSecret.endpoint_id == endpoint.id, RetiredSecret.signs_until > now
    )
    retired = await session.exec(query.order_by(col(RetiredSecret.id).desc()))
    return opened(vault, [endpoint.sealed_secret, *retired])


def opened(vault: Vault, sealed: Sequence[str]) -> list[str]:
    """Secrets in clear, in the same order."""
    return [vault.open(_PURPOSE, each) for each in sealed]


async def rotate_secret(
    session: AsyncSession, vault: Vault, endpoint: WebhookEndpoint, overlap: timedelta, now: datetime
) -> str:
    """Gives a locked endpoint a new secret; those before it sign until `overlap` has passed, none longer than before.

    Raises TooManySecrets.
    """
    await session.exec(
        delete(RetiredSecret).where(col(RetiredSecret.endpoint_id) == endpoint.id, col(RetiredSecret.signs_until) < now)
    )
    until = now + overlap
    earlier = update(RetiredSecret).where(col(RetiredSecret.endpoint_id) == endpoint.id)
    await session.exec(earlier.values(signs_until=func.least(RetiredSecret.signs_until, until)))
    retired = RetiredSecret(
        id=ids.new("whs"), endpoint_id=endpoint.id, sealed_secret=endpoint.sealed_secret, signs_until=until
    )
    session.add(retired)
    secret, endpoint.sealed_secret = new_secret(vault)
    await session.flush()
    if len(await signing_secrets(session, vault, endpoint, now)) > MOST_SECRETS:
        raise TooManySecrets
    return secret


async def lock(session: AsyncSession, endpoint_id: str, *, shared: bool = False) -> WebhookEndpoint:
    """The endpoint as it is now, and stays until the transaction ends. New deliveries may refer to it meanwhile."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id)
    locked = query.with_for_update(read=shared, key_share=not shared)
    return (await session.exec(locked.execution_options(populate_existing=True))).one()


async def disable(session: AsyncSession, endpoint: WebhookEndpoint, reason: DisabledReason, now: datetime) -> None:
    """Nothing more is sent to a locked endpoint; what was still to be sent is parked."""
    endpoint.disabled_at, endpoint.disabled_reason, endpoint.catching_up = now, reason, False
    await _park(session, endpoint.id)


async def enable(session: AsyncSession, endpoint: WebhookEndpoint) -> None:
    """A locked endpoint is sent everything again; what is parked, or waits for another attempt, comes first."""
    endpoint.disabled_at, endpoint.disabled_reason, endpoint.failing_since = None, None, None
    endpoint.catching_up = True
    await _park(session, endpoint.id)


async def drop(session: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> None:
    """A locked endpoint is gone for good, and what was still to be sent with it."""
    endpoint.deleted_at = now
    values = {"status": DeliveryStatus.DROPPED, "finished_at": now, "next_attempt_at": None, "started": True}
    await session.exec(_waiting(endpoint.id, DeliveryStatus.PENDING, DeliveryStatus.PARKED).values(values))


async def failed(
    session: AsyncSession, sent_to: WebhookEndpoint, *, gone: bool, now: datetime, scale: float
) -> DisabledReason | None:
    """Notes that an attempt failed; answers why the endpoint was disabled for it, if it was.

    An answer of an address the endpoint has no longer says nothing about the one it has now.
    """
    endpoint = await lock(session, sent_to.id)
    if endpoint.url != sent_to.url or endpoint.disabled_at is not None or endpoint.deleted_at is not None:
        return None
    endpoint.failing_since = endpoint.failing_since or now
    if gone:
        await disable(session, endpoint, DisabledReason.GONE, now)
    elif is_dead(endpoint.failing_since, now, scale):
        await disable(session, endpoint, DisabledReason.FAILING, now)
    return endpoint.disabled_reason


async def recovered(session: AsyncSession, endpoint_id: str) -> None:
    """Notes that an attempt succeeded after others had failed."""
    query = update(WebhookEndpoint).where(col(WebhookEndpoint.id) == endpoint_id)
    await session.exec(query.values(failing_since=None))


async def _park(session: AsyncSession, endpoint_id: str) -> None:
    # A parked row counts as started, so that the sweep does not come upon it again and again.
    values = {"status": DeliveryStatus.PARKED, "next_attempt_at": None, "started": True}
    await session.exec(_waiting(endpoint_id, DeliveryStatus.PENDING).values(values))


def _waiting(endpoint_id: str, *statuses: DeliveryStatus) -> Update:
    return update(Delivery).where(
        col(Delivery.endpoint_id) == endpoint_id,
        col(Delivery.finished_at).is_(None),
        col(Delivery.status).in_(statuses),
    )
