"""The stop switches: no debit for a provider or for a merchant until somebody says go (design promise 4).

A stop is a row, committed at once: every gate after that reads it. Gates read with FOR SHARE, and with that hold the
table's lock until they have committed; `drained` asks for the lock that waits for exactly these, so whoever has waited
knows that nothing passed that had not seen the stop. The table is empty while nothing is stopped: gates lock no row
then, and do not wait for each other. Locks are taken in one order: the agreement, then its switches.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, and_, func, literal, or_, text, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store import ids
from store.database import Database
from store.tables import Agreement, Merchant, StopSwitch
from store.tables.stops import Scope

_LOCK_NOT_AVAILABLE = "55P03"
_TRIES = 5
"""A second each: who waits for the table's lock holds up those who come after."""


async def stop(
    session: AsyncSession, scope: Scope, name: str, *, livemode: bool, reason: str, by: str, at: datetime
) -> tuple[StopSwitch, bool]:
    """The stop in force, and whether it is this one. Raises LookupError for a merchant that does not exist.

    It is in force when the transaction commits; see `drained` for what was under way.
    """
    if scope is Scope.MERCHANT and await session.get(Merchant, name) is None:
        raise LookupError(f"there is no merchant {name}")
    switch = StopSwitch(id=ids.new("stp"), scope=scope, name=name, livemode=livemode, reason=reason, by=by, at=at)
    statement = insert(StopSwitch).values(**switch.model_dump())
    one_in_force = ("scope", "name", "livemode"), text("lifted_at is null")
    await session.exec(statement.on_conflict_do_nothing(index_elements=one_in_force[0], index_where=one_in_force[1]))
    found = (await session.exec(_in_force().where(*_of(scope, name, livemode)))).one()
    return found, found.id == switch.id


async def go(session: AsyncSession, scope: Scope, name: str, *, livemode: bool, at: datetime) -> StopSwitch | None:
    """Ends a stop and answers it, None where there was none. Its agreements go on as each of them is told."""
    query = _in_force().where(*_of(scope, name, livemode)).with_for_update()
    switch: StopSwitch | None = (await session.exec(query)).first()
    if switch is not None:
        switch.lifted_at, switch.told_to, switch.told = at, "", False
    return switch


async def drained(database: Database) -> bool:
    """Waits until every transaction that passed the gate before the last commit here is over; whether it was, in five
    seconds.
    """
    for _ in range(_TRIES):
        try:
            async with database.transaction() as session:
                connection = await session.connection()
                await connection.execute(text("set local lock_timeout = '1s'"))
                await connection.execute(text("lock table stop_switches in exclusive mode"))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
        else:
            return True
    return False


async def listed(session: AsyncSession, *, every: bool = False) -> Sequence[StopSwitch]:
    """The stops in force, and those whose agreements are still told of the end; with `every` the past ones too."""
    query = select(StopSwitch).order_by(StopSwitch.id)
    if not every:
        query = query.where(or_(col(StopSwitch.lifted_at).is_(None), col(StopSwitch.told).is_(False)))
    return (await session.exec(query)).all()


async def at_the_gate(session: AsyncSession, agreement: Agreement) -> str:
    """The stops that hold the agreement, in words, read under a lock; empty where a debit may be sent.

    Called with the agreement's row locked, in the transaction that sends.
    """
    query = select(_words()).where(_holds(agreement)).order_by(StopSwitch.id).with_for_update(read=True)
    return "; ".join(await session.exec(query))


def on(agreement: type[Agreement]) -> ScalarSelect[Any]:
    """The same as a column of a query for agreements: what to show and to plan by. Only the gate's own look decides."""
    words = func.string_agg(_words(), aggregate_order_by(literal("; "), col(StopSwitch.id)))
    return select(func.coalesce(words, "")).where(_holds(agreement)).correlate(agreement).scalar_subquery()


async def untold(session: AsyncSession) -> Sequence[StopSwitch]:
    """Stops, and ends of stops, that not every agreement of the scope was told of."""
    query = select(StopSwitch).where(col(StopSwitch.told).is_(False)).order_by(StopSwitch.id)
    return (await session.exec(query)).all()


async def to_tell(session: AsyncSession, switch: StopSwitch, limit: int) -> Sequence[str]:
    """The next agreements to be told, by id."""
    scope = Agreement.gateway if switch.scope is Scope.GATEWAY else Agreement.merchant_id
    query = select(Agreement.id).where(
        scope == switch.name,
        Agreement.livemode == switch.livemode,
        col(Agreement.ended).is_(None),
        Agreement.id > switch.told_to,
    )
    if switch.lifted_at is not None:
        query = query.where(Agreement.written_at < switch.lifted_at)
    return (await session.exec(query.order_by(Agreement.id).limit(limit))).all()


async def tell(session: AsyncSession, switch: StopSwitch, agreement: Agreement) -> str | None:
    """Notes that the agreement, whose row is locked, is being told; what holds it from here on.

    None where it was told already, or the switch was turned meanwhile.
    """
    statement = (
        update(StopSwitch).where(*_as_seen(switch), col(StopSwitch.told_to) < agreement.id).values(told_to=agreement.id)
    )
    if (await session.exec(statement)).rowcount == 0:
        return None
    return await at_the_gate(session, agreement)


async def all_told(session: AsyncSession, switch: StopSwitch) -> None:
    """Nobody is left to be told, unless the switch was turned meanwhile."""
    await session.exec(update(StopSwitch).where(*_as_seen(switch)).values(told=True))


def _as_seen(switch: StopSwitch) -> tuple[ColumnElement[bool], ...]:
    return col(StopSwitch.id) == switch.id, col(StopSwitch.lifted_at).is_not_distinct_from(switch.lifted_at)


def _in_force() -> Any:
    return select(StopSwitch).where(col(StopSwitch.lifted_at).is_(None))


def _of(scope: Scope, name: str, livemode: bool) -> tuple[ColumnElement[bool], ...]:
    return (col(StopSwitch.scope) == scope, col(StopSwitch.name) == name, col(StopSwitch.livemode) == livemode)


def _holds(agreement: Agreement | type[Agreement]) -> ColumnElement[bool]:
    """Whether a switch holds an agreement: in force, or lifted and the agreement not told yet. Who came after the `go`
    is not held.
    """
    gateway = and_(col(StopSwitch.scope) == Scope.GATEWAY, col(StopSwitch.name) == agreement.gateway)
    merchant = and_(col(StopSwitch.scope) == Scope.MERCHANT, col(StopSwitch.name) == agreement.merchant_id)
    to_come = and_(
        col(StopSwitch.told).is_(False),
        col(StopSwitch.told_to) < agreement.id,
        col(StopSwitch.lifted_at) > agreement.written_at,
    )
    mode = col(StopSwitch.livemode) == agreement.livemode
    return and_(or_(gateway, merchant), mode, or_(col(StopSwitch.lifted_at).is_(None), to_come))


@cache
def _words() -> ColumnElement[str]:
    since = func.to_char(func.timezone("UTC", col(StopSwitch.at)), 'YYYY-MM-DD HH24:MI "UTC"')
    return func.concat(
        "stopped for ", StopSwitch.name, " by ", StopSwitch.by, " since ", since, ": ", StopSwitch.reason
    )
