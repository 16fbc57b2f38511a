"""An agreement as its customer is told of it: what was collected, what is owed, what comes next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.status import ChargeStatus, Stop
from agreements.terms import Terms
from store.tables import Agreement, Attempt, CardChange, Charge, Credential, Merchant, Refund

_SHOWN = 100


@dataclass(frozen=True)
class Statement:
    """One agreement's, as of `now` in its own time; charges newest first, of what is owed the oldest first."""

    agreement: Agreement
    terms: Terms
    seller: str
    credential: Credential | None
    now: datetime
    charges: Sequence[Charge]
    older: bool
    """There are more charges than are shown."""
    refunds: dict[str, list[Refund]]
    owed: Sequence[Charge]
    declines: dict[str, str]
    """Why what is owed was declined last."""
    next: Charge | None


async def read(session: AsyncSession, agreement: Agreement, now: datetime) -> Statement:
    """What has come due and what was tried, and the next debit."""
    terms = Terms.model_validate(agreement.terms)
    charges = await _charges(session, agreement, now)
    unpaid = () if agreement.ended else await owed(session, agreement, now)
    return Statement(
        agreement=agreement,
        terms=terms,
        seller=await seller(session, agreement, terms),
        credential=await session.get(Credential, agreement.credential_id) if agreement.credential_id else None,
        now=now,
        charges=charges[:_SHOWN],
        older=len(charges) > _SHOWN,
        refunds=await _refunds(session, [charge.id for charge in charges]),
        owed=unpaid,
        declines=await last_declines(session, [charge.id for charge in unpaid]),
        next=None if agreement.ended or agreement.stop is not Stop.NONE else await _next(session, agreement),
    )


async def owed(session: AsyncSession, agreement: Agreement, now: datetime) -> Sequence[Charge]:
    """What was due, of a known amount, and is not written off, oldest first; also what was given up, for another card
    collects that too.
    """
    waiting = col(Charge.status).in_((ChargeStatus.RETRYING, ChargeStatus.ACTION_REQUIRED))
    given_up = and_(col(Charge.status) == ChargeStatus.FAILED, col(Charge.attempts_made) > 0)
    query = select(Charge).where(
        Charge.agreement_id == agreement.id,
        Charge.due_at <= now,
        col(Charge.amount).is_not(None),
        or_(waiting, given_up),
    )
    return (await session.exec(query.order_by(col(Charge.due_at), Charge.id))).all()


async def seller(session: AsyncSession, agreement: Agreement, terms: Terms) -> str:
    """Whom the customer pays, by the name they know."""
    return terms.seller.name if terms.seller else (await session.get_one(Merchant, agreement.merchant_id)).name


async def last_declines(session: AsyncSession, charge_ids: Sequence[str]) -> dict[str, str]:
    """The category of each charge's last decline; of a payment of their own customers know what became of it."""
    query = select(Attempt.charge_id, Attempt.decline).where(
        col(Attempt.charge_id).in_(charge_ids),
        col(Attempt.decline).is_not(None),
        col(Attempt.authorization_id).is_(None),
    )
    found = await session.exec(query.order_by(col(Attempt.number)))
    return {charge_id: str(decline["category"]) for charge_id, decline in found if decline}


async def at_rest(session: AsyncSession, agreement: Agreement, now: datetime) -> bool:
    """Whether nothing is being collected at this moment."""
    due = col(Charge.next_attempt_at) <= now
    moving = and_(due, agreement.stop is Stop.NONE), col(Charge.status) == ChargeStatus.PROCESSING
    query = select(Charge.id).where(Charge.agreement_id == agreement.id, or_(*moving))
    return (await session.exec(query.limit(1))).first() is None


async def changed_from(session: AsyncSession, portal_link_id: str) -> CardChange | None:
    """The last card change that was asked for on the page behind a link."""
    query = select(CardChange).where(CardChange.portal_link_id == portal_link_id)
    return (await session.exec(query.order_by(col(CardChange.id).desc()).limit(1))).first()


async def _charges(session: AsyncSession, agreement: Agreement, now: datetime) -> Sequence[Charge]:
    query = select(Charge).where(
        Charge.agreement_id == agreement.id,
        col(Charge.amount).is_not(None),
        or_(col(Charge.due_at) <= now, col(Charge.attempts_made) > 0),
    )
    newest = col(Charge.due_at).desc(), col(Charge.id).desc()
    return (await session.exec(query.order_by(*newest).limit(_SHOWN + 1))).all()


async def _next(session: AsyncSession, agreement: Agreement) -> Charge | None:
    query = select(Charge).where(Charge.agreement_id == agreement.id, col(Charge.next_attempt_at).is_not(None))
    return (await session.exec(query.order_by(col(Charge.next_attempt_at), Charge.id).limit(1))).first()


async def _refunds(session: AsyncSession, charge_ids: Sequence[str]) -> dict[str, list[Refund]]:
    found: dict[str, list[Refund]] = defaultdict(list)
    query = select(Refund).where(col(Refund.charge_id).in_(charge_ids))
    for refund in await session.exec(query.order_by(Refund.id)):
        found[refund.charge_id].append(refund)
    return dict(found)
