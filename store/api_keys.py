"""The keys merchants call us with: made, rotated, ended, and recognised.

A key is 256 random bits behind `sk_test_` or `sk_live_`, and only its SHA-256 is kept. It is looked up by that hash:
how long the look-up takes depends on the hash of what was sent, which nobody can steer towards a stored one without
knowing the key, so that time tells nothing about a key. The hash found is compared once more in constant time, so that
this does not rest on how a database compares text.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, update
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store import ids
from store.tables import ApiKey, Merchant

_NOTED_EVERY = timedelta(minutes=1)
"""How exact `last_used_at` is, and at most how often a key's row is written for it."""
# Made once, as every call needs it: to make a statement takes longer than to execute it.
_BY_HASH = (
    select(ApiKey, Merchant.disabled_at)
    .join(Merchant, col(Merchant.id) == ApiKey.merchant_id)
    .where(ApiKey.key_hash == bindparam("hash"))
)


class KeyRefused(Exception):
    """The key opens nothing; the text says why, to whoever holds it."""


@dataclass(frozen=True)
class Issued:
    """A key just made: this is the only time it exists in clear."""

    id: str
    key: str


def hashed(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


async def issue(session: AsyncSession, merchant_id: str, *, livemode: bool) -> Issued:
    """A new key in one mode."""
    key = f"sk_{'live' if livemode else 'test'}_{secrets.token_urlsafe(32)}"
    row = ApiKey(id=ids.new("key"), merchant_id=merchant_id, livemode=livemode, key_hash=hashed(key), ending=key[-4:])
    session.add(row)
    await session.flush()
    return Issued(row.id, key)


async def recognise(session: AsyncSession, key: str, now: datetime) -> ApiKey:
    """The row of a key that works, its use noted. Raises KeyRefused."""
    digest = hashed(key)
    found = (await session.exec(_BY_HASH, params={"hash": digest})).first()
    if found is None or not hmac.compare_digest(found[0].key_hash, digest):
        raise KeyRefused("the key is not known here")
    row, merchant_disabled_at = found
    if not row.works(now):
        raise KeyRefused(f"the key {row.id} has not worked since {row.works_until:%Y-%m-%d %H:%M} UTC")
    if merchant_disabled_at is not None:
        raise KeyRefused("the merchant has been disabled")
    if row.last_used_at is None or row.last_used_at <= now - _NOTED_EVERY:
        await _note_use(session, row.id, now)
    return row


async def rotate(
    session: AsyncSession, merchant_id: str, *, livemode: bool, until: datetime
) -> tuple[Issued, list[str]]:
    """A key in the place of the mode's others, and the ids of those that would work longer than `until`: they end then.
    What an earlier overlap left working ends too: whoever rotates after a leak cannot tell which key has leaked. The
    caller holds the merchant's lock.
    """
    longer = or_(col(ApiKey.works_until).is_(None), col(ApiKey.works_until) > until)
    query = select(ApiKey).where(ApiKey.merchant_id == merchant_id, ApiKey.livemode == livemode, longer)
    old = (await session.exec(query.order_by(ApiKey.id))).all()
    for row in old:
        row.works_until = until
    return await issue(session, merchant_id, livemode=livemode), [row.id for row in old]


async def end(session: AsyncSession, key_id: str, now: datetime) -> ApiKey:
    """From now on the key opens nothing; repeatable. Raises LookupError if there is no such key."""
    row = await session.get(ApiKey, key_id, with_for_update=True)
    if row is None:
        raise LookupError(f"there is no key {key_id}")
    if row.works(now):
        row.works_until = now
    return row


async def disable_merchant(session: AsyncSession, merchant_id: str, now: datetime) -> Merchant:
    """From now on none of the merchant's keys opens anything; repeatable. Raises LookupError."""
    row = await session.get(Merchant, merchant_id, with_for_update=True)
    if row is None:
        raise LookupError(f"there is no merchant {merchant_id}")
    row.disabled_at = row.disabled_at or now
    return row


async def of_everybody(session: AsyncSession) -> list[tuple[Merchant, list[ApiKey]]]:
    """Every merchant with its keys, oldest first."""
    merchants = (await session.exec(select(Merchant).order_by(Merchant.id))).all()
    keys = (await session.exec(select(ApiKey).order_by(ApiKey.id))).all()
    return [(merchant, [key for key in keys if key.merchant_id == merchant.id]) for merchant in merchants]


async def _note_use(session: AsyncSession, key_id: str, now: datetime) -> None:
    """Nobody waits for the row: where calls meet, one of them writes."""
    stale = or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) <= now - _NOTED_EVERY)
    free = select(ApiKey.id).where(ApiKey.id == key_id, stale).with_for_update(skip_locked=True)
    await session.exec(update(ApiKey).where(col(ApiKey.id).in_(free)).values(last_used_at=now))
