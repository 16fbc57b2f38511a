"""Who did what: the trail of everything somebody changed through the API, the command line or a page of ours.

An entry is written in the transaction of the change, so neither exists without the other. Addresses and user agents in
it are for operators (`autodebit audit-trail`): they may be personal data, and no answer of the API shows them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store import ids
from store.actors import Actor
from store.merchants import Principal
from store.tables import Agreement, TrailEntry


def note(
    session: AsyncSession,
    actor: Actor | None,
    *,
    merchant_id: str | None,
    livemode: bool | None,
    object_id: str | None,
    agreement_id: str | None = None,
) -> None:
    """Writes an entry with the session's transaction; nothing for None, which is the engine itself."""
    if actor is None:
        return
    session.add(
        TrailEntry(
            id=ids.new("aud"),
            merchant_id=merchant_id,
            livemode=livemode,
            actor=actor.kind,
            who=actor.who,
            ip=actor.ip,
            user_agent=actor.user_agent,
            call=actor.call,
            object_id=object_id,
            agreement_id=agreement_id,
            reason=actor.reason,
        )
    )


def by_call(session: AsyncSession, principal: Principal, object_id: str, agreement_id: str | None = None) -> None:
    """The same for a call of the API, which its principal knows; `object_id` is what it made or changed."""
    note(
        session,
        principal.by,
        merchant_id=principal.merchant_id,
        livemode=principal.livemode,
        object_id=object_id,
        agreement_id=agreement_id,
    )


def by_customer(session: AsyncSession, agreement: Agreement, call: str, link_id: str) -> None:
    """The same for a button on a page of ours. Who pressed it is known by the link they were sent, which is `link_id`;
    where they were is sealed with their consent, and not repeated here.
    """
    note(
        session,
        Actor("customer", call, who=link_id),
        merchant_id=agreement.merchant_id,
        livemode=agreement.livemode,
        object_id=agreement.id,
        agreement_id=agreement.id,
    )


async def read(
    session: AsyncSession, *, agreement_id: str | None, merchant_id: str | None, limit: int
) -> Sequence[TrailEntry]:
    """The last `limit` entries, oldest first, of an agreement, a merchant, or all."""
    query = select(TrailEntry)
    if agreement_id is not None:
        query = query.where(TrailEntry.agreement_id == agreement_id)
    if merchant_id is not None:
        query = query.where(TrailEntry.merchant_id == merchant_id)
    newest = await session.exec(query.order_by(col(TrailEntry.id).desc()).limit(limit))
    return list(reversed(newest.all()))
