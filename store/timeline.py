"""What happened to an agreement and why: its events and its decisions in one sequence, oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, func, tuple_
from sqlalchemy import cast as sql_cast
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.pages import BadCursor, Page, cut, of, place
from store.tables import Charge, DecisionRecord, Event

Entry = Event | DecisionRecord


async def read(session: AsyncSession, agreement_id: str, *, limit: int, after: str | None) -> Page[Entry]:
    """A page of the timeline. Raises BadCursor."""
    list_ = of("timeline", agreement_id)
    last = None if after is None else _place(after, list_)
    events = select(Event).where(Event.agreement_id == agreement_id)
    decisions = select(DecisionRecord).where(DecisionRecord.agreement_id == agreement_id)
    found: list[Entry] = [
        *await session.exec(_next(events, Event, col(Event.id), last, limit)),
        *await session.exec(_next(decisions, DecisionRecord, _decision_key(), last, limit)),
    ]
    found.sort(key=_key)
    return cut(
        found[: limit + 1], limit, list_, lambda entry: (str(_key(entry)[0]), str(_key(entry)[1]), _key(entry)[2])
    )


async def cycles(session: AsyncSession, entries: Sequence[Entry]) -> dict[str, int | None]:
    """The cycles of the charges that decisions are about, by the charges' ids; an event carries its own."""
    charges = {entry.charge_id for entry in entries if isinstance(entry, DecisionRecord) and entry.charge_id}
    if not charges:
        return {}
    found = await session.exec(select(Charge.id, Charge.cycle).where(col(Charge.id).in_(charges)))
    return {charge: cycle for charge, cycle in found}


def _next(query: Any, table: Any, key: Any, last: tuple[datetime, datetime, str] | None, limit: int) -> Any:
    order = table.at, table.created_at, key.collate("C")
    if last is not None:
        query = query.where(tuple_(*order) > tuple_(*last))
    return query.order_by(*order).limit(limit + 1)


def _key(entry: Entry) -> tuple[datetime, datetime, str]:
    """By the agreement's own time, which a test clock holds still, then by the order in which they were written."""
    return entry.at, entry.created_at, entry.id if isinstance(entry, Event) else f"dec_{entry.id:020d}"


def _decision_key() -> ColumnElement[str]:
    """`_key` in SQL: ids of decisions sort as numbers, and before the event of the same instant."""
    return func.concat("dec_", func.lpad(sql_cast(col(DecisionRecord.id), String), 20, "0"))


def _place(after: str, list_: str) -> tuple[datetime, datetime, str]:
    at, created_at, key = (str(part) for part in place(after, list_, str, str, str))
    try:
        instants = datetime.fromisoformat(at), datetime.fromisoformat(created_at)
    except ValueError as error:
        raise BadCursor(after) from error
    if any(instant.tzinfo is None for instant in instants):
        raise BadCursor(after)
    return *instants, key
