"""The back door every gateway's sandbox has under `/_sandbox/` (design §8). No part of any provider's API."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy.orm import Session

from sandbox import clocks, ledger, notifier
from sandbox.agenda import Agenda
from sandbox.clocks import Clock, Moment
from sandbox.database import Database
from sandbox.faults import FaultPlan, Faults

Listing = dict[str, list[dict[str, object]]]


class Advance(BaseModel):
    """Where to move a clock."""

    model_config = ConfigDict(extra="forbid")

    to: AwareDatetime


class ClockState(BaseModel):
    """`next_due_at` is the earliest event after `now`; `outstanding` counts events due and not finished.

    `now` is null for a clock that never reached this sandbox.
    """

    id: str
    now: datetime | None
    next_due_at: datetime | None
    outstanding: int


def shared_router(database: Database, agenda: Agenda, faults: Faults, keep_on_reset: frozenset[str]) -> APIRouter:
    """Ledger, notifications, clocks, faults, reset and health of one gateway's sandbox."""
    router = APIRouter(prefix="/_sandbox")

    def shown(session: Session, moment: Moment) -> ClockState:
        return ClockState(
            id=moment.clock or "",
            now=moment.now,
            next_due_at=agenda.next_due(session, moment),
            outstanding=agenda.outstanding(session, moment),
        )

    @router.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/ledger")
    async def ledger_entries() -> Listing:
        with database.begin() as session:
            return {"data": ledger.entries(session)}

    @router.get("/notifications")
    async def notifications() -> Listing:
        with database.begin() as session:
            return {"data": notifier.log_of(session)}

    @router.get("/clocks/{clock}")
    async def clock_state(clock: str) -> ClockState:
        with database.begin() as session:
            if session.get(Clock, clock) is None:
                return ClockState(id=clock, now=None, next_due_at=None, outstanding=0)
            return shown(session, clocks.read(session, clock))

    @router.post("/clocks/{clock}/advance")
    async def advance(clock: str, body: Advance) -> ClockState:
        with database.begin() as session:
            state = shown(session, clocks.move(session, clock, body.to))
        agenda.wake()
        return state

    @router.post("/faults")
    async def set_faults(plan: FaultPlan) -> FaultPlan:
        with database.begin() as session:
            faults.set(session, plan)
        return plan

    @router.post("/reset")
    async def reset() -> dict[str, str]:
        """Forgets everything but who the merchants are, and takes all faults off."""
        database.empty(keep_on_reset)
        with database.begin() as session:
            faults.set(session, FaultPlan())
        return {"status": "ok"}

    return router
