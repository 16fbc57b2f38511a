"""Reads an agreement's standing from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.money import Money
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
from store import clocks, reminders, standing_facts, stops
from store.database import Database
from store.standing_facts import ChargeRow, CredentialRow, StandingFacts
from store.tables import Agreement, Authorization


async def current(database: Database, agreement_id: str) -> Standing:
    """The standing of an agreement nobody is changing. Raises NoResultFound if there is none."""
    async with database.transaction() as session:
        query = select(Agreement, stops.on(Agreement)).where(Agreement.id == agreement_id)
        agreement, held = (await session.exec(query)).one()
        return await read(session, agreement, await clocks.now_for(session, agreement.test_clock_id), held)


async def read(session: AsyncSession, agreement: Agreement, now: datetime, held: str = "") -> Standing:
    """The standing as of the rows of this transaction; whoever changes it holds the agreement's lock."""
    return build(agreement, await standing_facts.read(session, agreement, now), now, held)


def build(agreement: Agreement, facts: StandingFacts, now: datetime, held: str = "") -> Standing:
    """The standing of an agreement about which these are the facts; `held` says which stop switches hold its debits."""
    terms = Terms.model_validate(agreement.terms)
    authorization, credential, link = facts.authorization, facts.credential, facts.link
    rows, running = facts.waiting, not agreement.ended
    due = _due(rows, now, facts.paid_on_closing_pages) if running else []
    charges = tuple(_due_charge(row, row.next_attempt_at) for row in due if row.next_attempt_at)
    stopped = held or agreement.stop is not Stop.NONE
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
        held=held if running else "",
        closed=_closed(agreement, facts),
        authorize_at=authorization.next_try_at if authorization and not (held and authorization.to_be_paid) else None,
        authorization_expires_at=authorization.expires_at if authorization else None,
        refresh_at=credential.refresh_at if credential and running else None,
        charges=charges,
        unfinished=tuple(
            UnfinishedAttempt(attempt_id=row.id, cycle=row.cycle, attempt=row.number, at=row.next_look_at)
            for row in facts.unfinished
        ),
        notices=tuple(
            DueNotice(charge_id=row.id, cycle=row.cycle, at=row.notice_at) for row in rows if row.notice_at and running
        ),
        deadlines=tuple(
            Deadline(charge_id=row.id, cycle=row.cycle, at=row.act_by)
            for row in rows
            if row.status is ChargeStatus.ACTION_REQUIRED and row.act_by and running
        ),
        reversals=tuple(
            UnfinishedReversal(
                refund_id=row.id, amount=str(Money(currency=row.currency, value=row.amount)), at=row.next_try_at
            )
            for row in facts.reversals
        ),
        releases=tuple(DueRelease(credential_id=row.id, at=row.release_at) for row in facts.due_releases),
        card_change_expires_at=link.expires_at if link and running else None,
        card_change_reminder_at=reminders.due_at(link) if link and running else None,
        credential_warning_at=reminders.warning_at(agreement, credential) if credential else None,
        revoke_at=agreement.revoke_at,
        expires_at=ends_at(terms) if agreement.credential_id and running else None,
        next_charge_at=None if stopped else min((charge.at for charge in charges), default=None),
        terms=_terms_in_words(terms),
        credential=_credential_in_words(credential),
        recent=_recent(facts.past, due, now),
    )


async def open_authorization(session: AsyncSession, agreement: Agreement) -> Authorization | None:
    """The request for consent to go on with: one the provider is asked about, else the newest."""
    query = select(Authorization).where(
        Authorization.agreement_id == agreement.id,
        col(Authorization.status).in_(standing_facts.hopeful_pages(agreement)),
    )
    settled_first = col(Authorization.status).in_(standing_facts.SETTLED_FIRST)
    return (await session.exec(query.order_by(settled_first.desc(), col(Authorization.id).desc()).limit(1))).first()


def _due(rows: Sequence[ChargeRow], now: datetime, paid_on_pages: Sequence[str]) -> list[ChargeRow]:
    """The oldest first: of several to be tried at the same instant, that is the one to be paid first.

    Of cycles written ahead only the next: the workflow hears of the others when that one is done. A charge that may
    have been paid on a page just now is not due before the provider has told.
    """
    waiting = [row for row in rows if row.next_attempt_at is not None]
    ahead = [row.id for row in waiting if row.status is ChargeStatus.SCHEDULED and row.due_at > now]
    return [row for row in waiting if row.id not in (*ahead[1:], *paid_on_pages)]


def _due_charge(row: ChargeRow, at: datetime) -> DueCharge:
    return DueCharge(
        charge_id=row.id,
        cycle=row.cycle,
        attempt=row.attempts_made + 1,
        amount=row.shown_amount,
        at=at,
        rule=row.decision["rule"] if row.decision else "",
        budget_left=row.decision.get("budget_left") if row.decision else None,
    )


def _closed(agreement: Agreement, facts: StandingFacts) -> bool:
    """Ended, the provider knows, and no attempt or reversal is open, a person's to find out included (promise 10)."""
    if not agreement.ended or agreement.revoke_at is not None:
        return False
    return not (facts.replaced or facts.attempts_open or facts.reversals)


def _recent(past: Sequence[ChargeRow], due: Sequence[ChargeRow], now: datetime) -> tuple[RecentCharge, ...]:
    """The last charges, and the next one; what is written ahead of it would only hide them."""
    rows = [*(row for row in reversed(due) if row.due_at > now), *past]
    return tuple(
        RecentCharge(
            cycle=row.cycle,
            due_at=row.due_at,
            amount=row.shown_amount,
            status=row.status,
            tries=row.attempts_made,
            last=_last_in_words(row),
        )
        for row in rows[: standing_facts.RECENT]
    )


def _last_in_words(row: ChargeRow) -> str:
    """What the last try met with, and what was decided by which rule."""
    decided = f"{row.decision['action'].replace('_', ' ')} by {row.decision['rule']}" if row.decision else ""
    return ": ".join(filter(None, (row.declined, decided)))


def _terms_in_words(terms: Terms) -> str:
    amount = str(terms.amount) if terms.amount else "variable amount"
    times = f", {terms.total_cycles} times" if terms.total_cycles else ""
    return f"{amount} {terms.frequency}{times}, {terms.debit_time} {terms.timezone}"


def _credential_in_words(credential: CredentialRow | None) -> str:
    if credential is None:
        return "none yet"
    name = f"{credential.brand} {credential.last4 or ''}".strip()
    until = f", valid until {credential.token_expires_at:%Y-%m-%d}" if credential.token_expires_at else ""
    return name + until
