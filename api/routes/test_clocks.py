"""`/v1/test-clocks`: time for agreements of test mode (design §3)."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import update
from sqlmodel import col

from api import views as shown
from api.auth import Caller
from api.bodies import StrictRoute
from api.instants import Timestamp
from api.problems import Problem, invalid, not_found
from api.services import Inside
from api.views import TestClockView
from store import ids, reads, trail
from store.merchants import Principal
from store.tables import TestClock
from workflows import client

router = APIRouter(prefix="/v1/test-clocks", tags=["test clocks"], route_class=StrictRoute)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TestClockBody(_Body):
    """When the clock stands at first."""

    __test__ = False

    now: Timestamp


class AdvanceBody(_Body):
    """How far to go; what is due at this very instant is done too."""

    to: Timestamp


@router.post("", status_code=201)
async def create(body: TestClockBody, caller: Caller, inside: Inside) -> TestClockView:
    """Makes a clock that stands still until it is advanced."""
    _test_mode(caller)
    row = TestClock(id=ids.new("clk"), merchant_id=caller.merchant_id, now=body.now)
    async with inside.database.transaction() as session:
        session.add(row)
        trail.by_call(session, caller, row.id)
    return shown.test_clock(row)


@router.get("/{clock_id}")
async def read(clock_id: str, caller: Caller, inside: Inside) -> TestClockView:
    """One clock."""
    async with inside.database.transaction() as session:
        row = await reads.find_clock(session, caller, clock_id)
    if row is None:
        raise not_found("test clock")
    return shown.test_clock(row)


@router.post("/{clock_id}/advance", status_code=202)
async def advance(clock_id: str, body: AdvanceBody, caller: Caller, inside: Inside) -> TestClockView:
    """Runs everything due on the way, in order; read the clock until it is `ready`."""
    _test_mode(caller)
    async with inside.database.transaction() as session:
        row = await reads.find_clock(session, caller, clock_id, lock=True)
        if row is None:
            raise not_found("test clock")
        if row.target is not None:
            raise Problem("clock_advancing", "the clock is on its way already")
        if body.to < row.now:
            raise invalid("/to", f"earlier than the clock, which stands at {row.now.isoformat()}")
        row.target = body.to
        trail.by_call(session, caller, row.id)
    try:
        await client.advance_clock(inside.temporal, clock_id)
    except Exception:
        await _stay(inside, clock_id, body.to)
        raise
    return shown.test_clock(row)


async def _stay(inside: Inside, clock_id: str, target: datetime) -> None:
    """Takes a target back that nobody was told of, so that the caller can ask again."""
    query = update(TestClock).where(col(TestClock.id) == clock_id, col(TestClock.target) == target)
    async with inside.database.transaction() as session:
        await session.exec(query.values(target=None))


def _test_mode(caller: Principal) -> None:
    if caller.livemode:
        raise Problem("test_mode_only", "test clocks exist in test mode only")
