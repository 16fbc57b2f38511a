"""Tells running agreements that a stop switch was turned: what the gate goes by, they show, and after a `go` act on.

The switch remembers how far it got, in the transaction that changes the agreement: whatever dies on the way, the next
sweep goes on from there. One agreement after the other, so that a `go` does not let all of them loose at once.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from activities.sweep import Chore
from agreements import rulebook
from agreements.standing import Standing
from store import cycles, lifecycle, stops
from store.changes import Change, change
from store.database import Database
from store.tables import DecisionRecord, StopSwitch

log = structlog.get_logger(__name__)

_BATCH = 100

Look = Callable[[Standing], Awaitable[None]]
"""Hands a newer standing to an agreement's workflow."""


def telling(database: Database, look: Look, for_at_most: timedelta = timedelta(seconds=15)) -> Chore:
    """Goes on telling agreements for a while; the rest waits for the next sweep."""

    async def chore(now: datetime) -> None:
        until = time.monotonic() + for_at_most.total_seconds()
        async with database.transaction() as session:
            switches = await stops.untold(session)
        for switch in switches:
            while time.monotonic() < until and await _tell_some(database, look, switch):
                pass

    return chore


async def _tell_some(database: Database, look: Look, switch: StopSwitch) -> bool:
    """Whether it got on. A workflow that cannot be reached ends the round; should it have something to do, the sweep
    finds it overdue.
    """
    async with database.transaction() as session:
        found = await stops.to_tell(session, switch, _BATCH)
        if not found:
            await stops.all_told(session, switch)
    reached = switch.told_to
    for agreement_id in found:
        try:
            async with change(database, agreement_id) as changed:
                told = await _tell(changed, switch)
        except (SQLAlchemyError, OSError):
            raise  # PostgreSQL is away or busy: the next sweep tells this one, before those behind it
        except Exception as error:  # the others must not wait for one that cannot be changed
            log.error("not_told_of_a_stop", agreement=agreement_id, error=type(error).__name__)
            continue
        if not told:
            return False
        switch.told_to = agreement_id
        await look(changed.standing)
    return switch.told_to != reached


async def _tell(changed: Change, switch: StopSwitch) -> bool:
    held = await stops.tell(changed.session, switch, changed.agreement)
    if held is None:
        return False
    changed.held = held
    lifted = switch.lifted_at is not None
    changed.session.add(
        DecisionRecord(
            agreement_id=changed.agreement.id,
            at=changed.now,
            action="go" if lifted else "stop",
            rule="operator_stop",
            rulebook_version=rulebook.current().version,
            inputs={"debits_of": switch.scope.value, "name": switch.name, "reason": switch.reason},
        )
    )
    if lifted and not held:
        await _let_go(changed)
    return True


async def _let_go(changed: Change) -> None:
    """A cycle that was never tried goes by the catch-up limit of its terms, as if the engine had been away. A retry
    never runs into the next cycle, so one whose successor is due was missed.
    """
    for charge in await cycles.missed_retries(changed):
        await cycles.skip(changed, charge, "missed while debits were stopped")
    await lifecycle.complete_if_finished(changed)
