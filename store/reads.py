"""What the API reads: one row, or a page of a list. Everything is scoped to a merchant and a mode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Text, func, tuple_
from sqlalchemy import cast as sql_cast
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from agreements import schedule
from agreements.schedule import PlannedCycle
from agreements.status import AgreementStatus, ChargeStatus
from agreements.terms import Terms
from store import clocks, ids, old_rows, plans
from store.merchants import Principal
from store.pages import BadCursor, Page, cut, of, opened, place
from store.tables import Agreement, CardChange, Charge, Credential, Event, Refund, TestClock, WebhookEndpoint

_Owned = TypeVar("_Owned", Agreement, Charge, Event, WebhookEndpoint)

_FEED = (col(Event.transaction), col(Event.sequence), col(Event.id))
"""The order of the feed; a cursor is a place in it."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_ABOUT = timedelta(hours=1)
"""More than clocks of machines differ, or a transaction takes: what was written later may have an earlier id."""
_AT_THE_END = (2**63 - 1, 0, "")

_ID = re.compile(r"[a-z]{3}_[0-9a-z]{26}", re.ASCII)


async def find(session: AsyncSession, table: type[_Owned], principal: Principal, id_: str) -> _Owned | None:
    """The row with this id; None if there is none, or it belongs to another merchant or mode."""
    if not _ID.fullmatch(id_):
        return None
    return (await session.exec(_owned(table, principal).where(col(table.id) == id_))).first()


async def owns_agreement(session: AsyncSession, principal: Principal, id_: str) -> bool:
    """Whether there is such an agreement of the caller's. Loads no row: a change must read it under its lock."""
    if not _ID.fullmatch(id_):
        return False
    query = select(Agreement.id).where(
        Agreement.id == id_,
        Agreement.merchant_id == principal.merchant_id,
        Agreement.livemode == principal.livemode,
    )
    return (await session.exec(query)).first() is not None


async def find_clock(session: AsyncSession, principal: Principal, id_: str, *, lock: bool = False) -> TestClock | None:
    """A test clock of the merchant; there are none in live mode."""
    if principal.livemode or not _ID.fullmatch(id_):
        return None
    query = select(TestClock).where(TestClock.id == id_, TestClock.merchant_id == principal.merchant_id)
    return (await session.exec(query.with_for_update() if lock else query)).first()


async def find_refund(session: AsyncSession, principal: Principal, id_: str) -> Refund | None:
    """A refund of one of the merchant's charges."""
    if not _ID.fullmatch(id_):
        return None
    query = select(Refund).join(Charge, col(Charge.id) == Refund.charge_id)
    query = query.where(Charge.merchant_id == principal.merchant_id, Charge.livemode == principal.livemode)
    return (await session.exec(query.where(Refund.id == id_))).first()


async def agreements(
    session: AsyncSession, principal: Principal, *, limit: int, after: str | None, **filters: str | AgreementStatus
) -> Page[Agreement]:
    """Newest first; `filters` are columns that must have these values. Raises BadCursor."""
    query = _owned(Agreement, principal)
    for name, value in filters.items():
        query = query.where(getattr(Agreement, name) == value)
    return await _newest_first(session, Agreement, query, _of("agreements", principal), limit, after)


async def charges(
    session: AsyncSession,
    principal: Principal,
    *,
    agreement_id: str | None,
    status: ChargeStatus | None,
    limit: int,
    after: str | None,
) -> Page[Charge]:
    """Newest first. Raises BadCursor."""
    query = _owned(Charge, principal)
    if agreement_id is not None:
        query = query.where(Charge.agreement_id == agreement_id)
    if status is not None:
        query = query.where(Charge.status == status)
    return await _newest_first(session, Charge, query, _of("charges", principal), limit, after)


async def card_changes(
    session: AsyncSession, principal: Principal, agreement_id: str, *, limit: int, after: str | None
) -> Page[CardChange]:
    """An agreement's, newest first. Raises BadCursor."""
    query = _owned(CardChange, principal).where(col(CardChange.agreement_id) == agreement_id)
    return await _newest_first(session, CardChange, query, of("card changes", agreement_id), limit, after)


async def saved_credentials(
    session: AsyncSession, principal: Principal, customer_id: str, *, limit: int, after: str | None
) -> Page[Credential]:
    """What a customer has on file, newest first, one for each token. Raises BadCursor."""
    query = _owned(Credential, principal).where(
        col(Credential.customer_id) == customer_id,
        col(Credential.deleted_at).is_(None),
        col(Credential.status) != "superseded",
    )
    return await _newest_first(session, Credential, query, _of("credentials", principal, customer_id), limit, after)


async def saved_credential(
    session: AsyncSession, principal: Principal, customer_id: str, id_: str
) -> Credential | None:
    """One of a customer's credentials, deleted ones too."""
    if not _ID.fullmatch(id_):
        return None
    query = _owned(Credential, principal).where(col(Credential.customer_id) == customer_id, col(Credential.id) == id_)
    return (await session.exec(query)).first()


async def webhook_endpoints(
    session: AsyncSession, principal: Principal, *, limit: int, after: str | None
) -> Page[WebhookEndpoint]:
    """Newest first, without the deleted ones. Raises BadCursor."""
    query = _owned(WebhookEndpoint, principal).where(col(WebhookEndpoint.deleted_at).is_(None))
    return await _newest_first(session, WebhookEndpoint, query, _of("endpoints", principal), limit, after)


async def events(
    session: AsyncSession,
    principal: Principal,
    *,
    agreement_id: str | None,
    type_: str | None,
    limit: int,
    after: str | None,
) -> Page[Event]:
    """The feed, oldest first, after the event `after` names: a cursor, or the id of an event. Raises BadCursor.

    Ordered by transaction, within one by sequence, and cut below the oldest transaction still running, so that a row
    which commits late can never appear behind a reader (design promise 6).
    """
    oldest_running = sql_cast(sql_cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger)
    query = _owned(Event, principal).where(col(Event.transaction) < oldest_running)
    if agreement_id is not None:
        query = query.where(Event.agreement_id == agreement_id)
    if type_ is not None:
        query = query.where(Event.type == type_)
    if after is not None:
        last = await _event_place(session, principal, after)
        query = query.where(tuple_(*_FEED) > tuple_(*last))
    rows = (await session.exec(query.order_by(*_FEED).limit(limit + 1))).all()
    # A place in the feed is an event's id, so that it serves with any filter and for ever.
    return Page(list(rows[:limit]), rows[limit - 1].id if len(rows) > limit else None)


async def upcoming(session: AsyncSession, agreement: Agreement, *, count: int, after: str | None) -> Page[PlannedCycle]:
    """The coming cycles, soonest first; none once the agreement has ended. Raises BadCursor."""
    terms = Terms.model_validate(agreement.terms)
    if agreement.ended or not schedule.has_schedule(terms):
        return Page([], None)
    now = await clocks.now_for(session, agreement.test_clock_id)
    plan = plans.of(agreement, terms, now)
    list_ = of("schedule", agreement.id)
    first = schedule.next_cycle_after(plan, now) if after is None else int(place(after, list_, int)[0]) + 1
    if not 1 <= first <= 10**6:
        raise BadCursor(after)
    try:
        planned = schedule.planned(plan, first, count + 1)
    except OverflowError:
        return Page([], None)
    return cut(planned, count, list_, lambda cycle: (cycle.cycle,))


async def of_cycles(session: AsyncSession, agreement: Agreement, numbers: Sequence[int]) -> dict[int, Charge]:
    """The rows of these cycles by their numbers; most cycles that are still to come have none yet."""
    query = select(Charge).where(Charge.agreement_id == agreement.id, col(Charge.cycle).in_(numbers))
    return {charge.cycle: charge for charge in await session.exec(query) if charge.cycle is not None}


def _of(name: str, principal: Principal, *more: str) -> str:
    return of(name, principal.merchant_id, principal.livemode, *more)


def _owned(table: type[Any], principal: Principal) -> SelectOfScalar[Any]:
    return select(table).where(table.merchant_id == principal.merchant_id, table.livemode == principal.livemode)


async def _newest_first(
    session: AsyncSession, table: type[Any], query: SelectOfScalar[Any], list_: str, limit: int, after: str | None
) -> Page[Any]:
    """Ids sort by the time they were made: what is added comes before the first page, and moves no later one."""
    if after is not None:
        query = query.where(table.id < place(after, list_, str)[0])
    rows = await session.exec(query.order_by(table.id.desc()).limit(limit + 1))
    return cut(rows.all(), limit, list_, lambda row: (row.id,))


def _event_key(event: Event) -> tuple[int, int, str]:
    return event.transaction or 0, event.sequence, event.id


async def _event_place(session: AsyncSession, principal: Principal, after: str) -> tuple[int, int, str]:
    # Cursors given out by 0.2.0, which readers may have kept, end with the id.
    id_ = after if _ID.fullmatch(after) else str(opened(after, int, int, str)[-1])
    known = (await session.exec(_owned(Event, principal).where(col(Event.id) == id_))).first()
    if known is not None:
        return _event_key(known)
    purged_until = await old_rows.purged_until(session)
    if purged_until is None or not ids.first_at("evt", _EPOCH) <= id_ < ids.first_at("evt", purged_until):
        raise BadCursor(after)
    return await _place_of_purged(session, principal, id_)


async def _place_of_purged(session: AsyncSession, principal: Principal, id_: str) -> tuple[int, int, str]:
    """Where the feed goes on for a reader whose last event is gone: before everything made since, or about then."""
    since = ids.first_at("evt", max(ids.made_at(id_) - _ABOUT, _EPOCH))
    query = _owned(Event, principal).where(col(Event.id) >= since).order_by(*_FEED).limit(1)
    first = (await session.exec(query)).first()
    return (first.transaction or 0, first.sequence, "") if first else _AT_THE_END
