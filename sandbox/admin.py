"""The back door every gateway's sandbox has under `/_sandbox/` (design §8). No part of any provider's API."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass
class BackDoor:
    """Ledger, notifications, clocks, faults, reset and health of one gateway's sandbox."""

    database: Database
    agenda: Agenda
    faults: Faults
    keep_on_reset: frozenset[str]

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/_sandbox")
        router.add_api_route("/health", self.health, methods=["GET"])
        router.add_api_route("/ledger", self.ledger, methods=["GET"])
        router.add_api_route("/notifications", self.notifications, methods=["GET"])
        router.add_api_route("/clocks/{clock}", self.clock, methods=["GET"])
        router.add_api_route("/clocks/{clock}/advance", self.advance, methods=["POST"])
        router.add_api_route("/faults", self.set_faults, methods=["POST"])
        router.add_api_route("/reset", self.reset, methods=["POST"])
        return router

    async def health(self) -> dict[str, str]:
        return {"status": "ok"}

    async def ledger(self) -> Listing:
        """Every movement of money tried, oldest first."""
        with self.database.begin() as session:
            return {"data": ledger.entries(session)}

    async def notifications(self) -> Listing:
        """Every message to a merchant, oldest first."""
        with self.database.begin() as session:
            return {"data": notifier.log_of(session)}

    async def clock(self, clock: str) -> ClockState:
        """How far a test clock has come here."""
        with self.database.begin() as session:
            if session.get(Clock, clock) is None:
                return ClockState(id=clock, now=None, next_due_at=None, outstanding=0)
            return self._state(session, clocks.read(session, clock))

    async def advance(self, clock: str, body: Advance) -> ClockState:
        """Moves a test clock; what falls due by that is under way when this answers, not finished."""
        with self.database.begin() as session:
            state = self._state(session, clocks.move(session, clock, body.to))
        self.agenda.wake()
        return state

    async def set_faults(self, plan: FaultPlan) -> FaultPlan:
        """Puts a plan of faults in force."""
        with self.database.begin() as session:
            self.faults.set(session, plan)
        return plan

    async def reset(self) -> dict[str, str]:
        """Forgets everything but who the merchants are, and takes all faults off."""
        self.database.empty(self.keep_on_reset)
        with self.database.begin() as session:
            self.faults.set(session, FaultPlan())
        return {"status": "ok"}

    def _state(self, session: Session, moment: Moment) -> ClockState:
        return ClockState(
            id=moment.clock or "",
            now=moment.now,
            next_due_at=self.agenda.next_due(session, moment),
            outstanding=self.agenda.outstanding(session, moment),
        )
