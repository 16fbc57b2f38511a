"""Reads an agreement's standing from its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.attempts import UNFINISHED
from agreements.refunds import RefundOrigin
from agreements.schedule import ends_at
from agreements.standing import (
    Deadline,
    DueCharge,
    DueNotice,
    DueRelease,
    Identity,
    RecentCharge,
    Standing,
    UnfinishedAttempt,
    UnfinishedReversal,
)
from agreements.status import ChargeStatus, Stop
from agreements.terms import Terms
from store import clocks, open_links, reminders
from store.database import Database
from store.tables import Agreement, Attempt, Authorization, Charge, Credential, Refund

_RECENT = 5


async def current(database: Database, agreement_id: str) -> Standing:
    """The standing of an agreement nobody is changing. Raises NoResultFound if there is none."""
    async with database.transaction() as session:
        agreement = (await session.exec(select(Agreement).where(Agreement.id == agreement_id))).one()
        return await read(session, agreement, await clocks.now_for(session, agreement.test_clock_id))


async def read(session: AsyncSession, agreement: Agreement, now: datetime) -> Standing:
    """The standing as of the rows of this transaction; whoever changes it holds the agreement's lock."""
    terms = Terms.model_validate(agreement.terms)
    authorization = await open_authorization(session, agreement)
    credential = await session.get(Credential, agreement.credential_id) if agreement.credential_id else None
    closing = authorization is not None and authorization.status == "closing"
    on_pages = await _on_closing_pages(session, agreement.id) if closing else ()
    charges = () if agreement.ended else await _due(session, agreement.id, now, on_pages)
    link = None if agreement.ended else await open_links.waiting(session, agreement.id)
    return Standing(
        agreement=Identity(
            id=agreement.id,
            merchant_id=agreement.merchant_id,
            gateway=agreement.gateway,
            customer_id=agreement.customer_id,
            reference=agreement.reference,
            test_clock_id=agreement.test_clock_id,
        ),
        version=agreement.version,
        as_of=now,
        status=agreement.status,
        stop=agreement.stop,
        closed=await _closed(session, agreement),
        authorize_at=authorization.next_try_at if authorization else None,
        authorization_expires_at=authorization.expires_at if authorization else None,
        refresh_at=credential.refresh_at if credential and not agreement.ended else None,
        charges=charges,
        unfinished=await _unfinished(session, agreement.id),
        notices=() if agreement.ended else await _notices(session, agreement.id),
        deadlines=() if agreement.ended else await _deadlines(session, agreement.id),
        reversals=await _reversals(session, agreement.id),
        releases=await due_releases(session, agreement.id),
        card_change_expires_at=link.expires_at if link else None,
        card_change_reminder_at=reminders.due_at(link) if link else None,
        credential_warning_at=reminders.warning_at(agreement, credential) if credential else None,
        revoke_at=agreement.revoke_at,
        expires_at=ends_at(terms) if agreement.credential_id and not agreement.ended else None,
        next_charge_at=min((charge.at for charge in charges), default=None) if agreement.stop is Stop.NONE else None,
        terms=_terms_in_words(terms),
        credential=_credential_in_words(credential),
        recent=await _recent(session, agreement.id, now, charges),
    )


async def open_authorization(session: AsyncSession, agreement: Agreement) -> Authorization | None:
    """The request for consent to go on with: one the provider is asked about, else the newest.

    Once the agreement has ended only a page that may have been paid.
    """
    settled_first = ("closing",) if agreement.ended else ("closing", "granted")
    wanted = settled_first if agreement.ended else (*settled_first, "requested", "open")
    query = select(Authorization).where(
        Authorization.agreement_id == agreement.id, col(Authorization.status).in_(wanted)
    )
    order = col(Authorization.status).in_(settled_first).desc(), col(Authorization.id).desc()
    return (await session.exec(query.order_by(*order).limit(1))).first()


async def _on_closing_pages(session: AsyncSession, agreement_id: str) -> Sequence[str]:
    """Charges that may have been paid on a page just now: they are not due before the provider has told."""
    query = (
        select(Attempt.charge_id)
        .join(Authorization, col(Authorization.id) == Attempt.authorization_id)
        .where(Authorization.agreement_id == agreement_id, Authorization.status == "closing")
    )
    return (await session.exec(query)).all()


async def _due(
    session: AsyncSession, agreement_id: str, now: datetime, apart_from: Sequence[str]
) -> tuple[DueCharge, ...]:
    """The oldest first: of several to be tried at the same instant, that is the one to be paid first.

    Of cycles written ahead only the next: the workflow hears of the others when that one is done.
    """
    query = (
        select(Charge, Attempt.decision)
        .outerjoin(Attempt, and_(col(Attempt.charge_id) == Charge.id, col(Attempt.number) == col(Charge.attempts_made)))
        .where(Charge.agreement_id == agreement_id, col(Charge.next_attempt_at).is_not(None))
    )
    rows = list(await session.exec(query.order_by(col(Charge.due_at), Charge.id)))
    ahead = [charge.id for charge, _ in rows if charge.status is ChargeStatus.SCHEDULED and charge.due_at > now]
    return tuple(
        DueCharge(
            charge_id=charge.id,
            cycle=charge.cycle,
            attempt=charge.attempts_made + 1,
            amount=_amount(charge),
            at=charge.next_attempt_at,
            rule=decision["rule"] if decision else "",
            budget_left=decision.get("budget_left") if decision else None,
        )
        for charge, decision in rows
        if charge.next_attempt_at is not None and charge.id not in (*ahead[1:], *apart_from)
    )


async def _notices(session: AsyncSession, agreement_id: str) -> tuple[DueNotice, ...]:
    query = select(Charge).where(Charge.agreement_id == agreement_id, col(Charge.notice_at).is_not(None))
    return tuple(
        DueNotice(charge_id=charge.id, cycle=charge.cycle, at=charge.notice_at)
        for charge in await session.exec(query.order_by(col(Charge.due_at), Charge.id))
        if charge.notice_at is not None
    )


async def _deadlines(session: AsyncSession, agreement_id: str) -> tuple[Deadline, ...]:
    query = select(Charge).where(
        Charge.agreement_id == agreement_id,
        Charge.status == ChargeStatus.ACTION_REQUIRED,
        col(Charge.act_by).is_not(None),
    )
    return tuple(
        Deadline(charge_id=charge.id, cycle=charge.cycle, at=charge.act_by)
        for charge in await session.exec(query.order_by(col(Charge.due_at), Charge.id))
        if charge.act_by is not None
    )


async def _closed(session: AsyncSession, agreement: Agreement) -> bool:
    """Ended, the provider knows, and no attempt or reversal is open, a person's to find out included (promise 10)."""
    if not agreement.ended or agreement.revoke_at is not None:
        return False
    unreleased = select(Credential.id).where(
        Credential.released_by == agreement.id, col(Credential.release_at).is_not(None)
    )
    if (await session.exec(unreleased.limit(1))).first() is not None:
        return False
    unsettled = or_(col(Attempt.status).in_(UNFINISHED), col(Attempt.next_look_at).is_not(None))
    attempts = select(Attempt.id).where(Attempt.agreement_id == agreement.id, unsettled)
    open_attempt = (await session.exec(attempts.limit(1))).first()
    return open_attempt is None and not await _reversals(session, agreement.id)


def _amount(charge: Charge) -> str:
    return "amount not set yet" if charge.amount is None else str(charge.money)


async def _unfinished(session: AsyncSession, agreement_id: str) -> tuple[UnfinishedAttempt, ...]:
    query = (
        select(Attempt, Charge.cycle)
        .join(Charge, col(Charge.id) == Attempt.charge_id)
        .where(Attempt.agreement_id == agreement_id, col(Attempt.next_look_at).is_not(None))
    )
    return tuple(
        UnfinishedAttempt(attempt_id=attempt.id, cycle=cycle, attempt=attempt.number, at=attempt.next_look_at)
        for attempt, cycle in await session.exec(query.order_by(Attempt.id))
        if attempt.next_look_at is not None
    )


async def _reversals(session: AsyncSession, agreement_id: str) -> tuple[UnfinishedReversal, ...]:
    """Those of merchants have workflows of their own."""
    query = select(Refund).where(
        Refund.agreement_id == agreement_id,
        col(Refund.next_try_at).is_not(None),
        Refund.origin != RefundOrigin.MERCHANT,
    )
    return tuple(
        UnfinishedReversal(refund_id=refund.id, amount=str(refund.money), at=refund.next_try_at)
        for refund in await session.exec(query.order_by(Refund.id))
        if refund.next_try_at is not None
    )


async def due_releases(session: AsyncSession, agreement_id: str) -> tuple[DueRelease, ...]:
    """Credentials to be ended at the provider, but none that an attempt in flight was sent with: it settles first."""
    in_flight = select(Attempt.credential_id).where(
        Attempt.agreement_id == agreement_id,
        col(Attempt.status).in_(UNFINISHED),
        col(Attempt.credential_id).is_not(None),
    )
    query = select(Credential).where(
        Credential.released_by == agreement_id,
        col(Credential.release_at).is_not(None),
        col(Credential.id).not_in(in_flight),
    )
    return tuple(
        DueRelease(credential_id=credential.id, at=credential.release_at)
        for credential in await session.exec(query.order_by(Credential.id))
        if credential.release_at is not None
    )


async def _recent(
    session: AsyncSession, agreement_id: str, now: datetime, due: Iterable[DueCharge]
) -> tuple[RecentCharge, ...]:
    """The last charges, and the next one; what is written ahead of it would only hide them."""
    until = max((now, *(charge.at for charge in due)))
    query = select(Charge).where(Charge.agreement_id == agreement_id, col(Charge.due_at) <= until)
    query = query.order_by(col(Charge.due_at).desc()).limit(_RECENT)
    return tuple(
        RecentCharge(cycle=charge.cycle, due_at=charge.due_at, amount=_amount(charge), status=charge.status)
        for charge in await session.exec(query)
    )


def _terms_in_words(terms: Terms) -> str:
    amount = str(terms.amount) if terms.amount else "variable amount"
    times = f", {terms.total_cycles} times" if terms.total_cycles else ""
    return f"{amount} {terms.frequency}{times}, {terms.debit_time} {terms.timezone}"


def _credential_in_words(credential: Credential | None) -> str:
    if credential is None:
        return "none yet"
    name = f"{credential.brand} {credential.last4 or ''}".strip()
    until = f", valid until {credential.token_expires_at:%Y-%m-%d}" if credential.token_expires_at else ""
    return name + until
