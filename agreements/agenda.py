"""The agenda: the next thing to do for an agreement, and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import IntEnum

from pydantic import BaseModel, ConfigDict

from agreements.standing import Standing
from agreements.status import Stop


class StepKind(IntEnum):
    """What a step does. Of several that are due, the lowest goes first."""

    REVOKE = 1
    """Tell the provider that the authorization has ended."""
    INQUIRE = 2
    """Find out what became of an attempt; always before money is moved again."""
    REVERSE = 3
    EXPIRE = 4
    EXPIRE_AUTHORIZATION = 5
    AUTHORIZE = 6
    REFRESH = 7
    """Before any charge, so that a charge never uses a token that is about to be replaced."""
    CHARGE = 8


class Step(BaseModel):
    """One thing to do. `subject` is the id of the row it concerns; `title` is for people."""

    model_config = ConfigDict(frozen=True)

    kind: StepKind
    due_at: datetime
    subject: str = ""
    attempt: int = 0
    title: str


def next_step(standing: Standing, now: datetime) -> Step | None:
    """The most urgent step that is due at `now`, else the earliest of all; None when nothing ever falls due."""
    steps = list(_steps(standing))
    due = [step for step in steps if step.due_at <= now]
    if due:
        return min(due, key=lambda step: (step.kind, step.due_at))
    return min(steps, key=lambda step: (step.due_at, step.kind), default=None)


def _steps(standing: Standing) -> Iterator[Step]:
    if standing.revoke_at:
        yield Step(kind=StepKind.REVOKE, due_at=standing.revoke_at, title="revoke at the provider")
    for attempt in standing.unfinished:
        yield Step(
            kind=StepKind.INQUIRE,
            due_at=attempt.at,
            subject=attempt.attempt_id,
            attempt=attempt.attempt,
            title=f"ask what became of {_cycle(attempt.cycle)}, attempt {attempt.attempt}",
        )
    for reversal in standing.reversals:
        yield Step(
            kind=StepKind.REVERSE,
            due_at=reversal.at,
            subject=reversal.refund_id,
            title=f"give back {reversal.amount}",
        )
    if standing.authorize_at:
        yield Step(kind=StepKind.AUTHORIZE, due_at=standing.authorize_at, title="ask for the customer's authorization")
    if standing.authorization_expires_at:
        yield Step(
            kind=StepKind.EXPIRE_AUTHORIZATION,
            due_at=standing.authorization_expires_at,
            title="the customer's authorization runs out",
        )
    if standing.expires_at:
        yield Step(kind=StepKind.EXPIRE, due_at=standing.expires_at, title="the agreement expires")
    if standing.refresh_at:
        yield Step(kind=StepKind.REFRESH, due_at=standing.refresh_at, title="refresh the payment token")
    if standing.stop is Stop.NONE:
        for charge in standing.charges:
            yield Step(
                kind=StepKind.CHARGE,
                due_at=charge.at,
                subject=charge.charge_id,
                attempt=charge.attempt,
                title=f"charge {_cycle(charge.cycle)}, attempt {charge.attempt}: {charge.amount}",
            )


def _cycle(cycle: int | None) -> str:
    return "on demand" if cycle is None else f"cycle {cycle}"
