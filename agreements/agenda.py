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
    LAPSE = 9
    """The customer did not act in time."""
    ANNOUNCE = 10
    """Say that a debit is coming."""
    RELEASE = 11
    """End a replaced credential at the provider."""
    EXPIRE_CARD_CHANGE = 12
    REMIND = 13
    """Say again that the customer is to give another card."""
    WARN = 14
    """Say that the credential can soon be charged no more."""


class Step(BaseModel):
    """One thing to do. `subject` is the id of the row it concerns; `title` is for people."""

    model_config = ConfigDict(frozen=True)

    kind: StepKind
    due_at: datetime
    subject: str = ""
    attempt: int = 0
    on_demand: bool = False
    """A charge somebody asked for; no date of the plan."""
    title: str


def next_step(standing: Standing, now: datetime) -> Step | None:
    """The most urgent step that is due at `now`, else the earliest of all; None when nothing ever falls due."""
    steps = list(_steps(standing))
    due = [step for step in steps if step.due_at <= now]
    if due:
        return min(due, key=lambda step: (step.kind, step.due_at))
    return min(steps, key=lambda step: (step.due_at, step.kind), default=None)


def _steps(standing: Standing) -> Iterator[Step]:
    yield from _consent(standing)
    yield from _found_out_and_given_back(standing)
    if standing.stop is Stop.NONE and not standing.held:
        yield from _collecting(standing)


def _consent(standing: Standing) -> Iterator[Step]:
    dates = (
        (StepKind.REVOKE, standing.revoke_at, "revoke at the provider"),
        (StepKind.EXPIRE, standing.expires_at, "the agreement expires"),
        (StepKind.EXPIRE_AUTHORIZATION, standing.authorization_expires_at, "the customer's authorization runs out"),
        (StepKind.AUTHORIZE, standing.authorize_at, "ask for the customer's authorization"),
        (StepKind.REFRESH, standing.refresh_at, "refresh the payment token"),
        (StepKind.EXPIRE_CARD_CHANGE, standing.card_change_expires_at, "the link for a card change runs out"),
        (StepKind.REMIND, standing.card_change_reminder_at, "remind of the card change"),
        (StepKind.WARN, standing.credential_warning_at, "say that the credential is about to expire"),
    )
    for kind, at, title in dates:
        if at is not None:
            yield Step(kind=kind, due_at=at, title=title)


def _found_out_and_given_back(standing: Standing) -> Iterator[Step]:
    for attempt in standing.unfinished:
        yield Step(
            kind=StepKind.INQUIRE,
            due_at=attempt.at,
            subject=attempt.attempt_id,
            attempt=attempt.attempt,
            title=f"ask what became of {called(attempt.cycle)}, attempt {attempt.attempt}",
        )
    for reversal in standing.reversals:
        yield Step(
            kind=StepKind.REVERSE,
            due_at=reversal.at,
            subject=reversal.refund_id,
            title=f"give back {reversal.amount}",
        )
    for release in standing.releases:
        yield Step(
            kind=StepKind.RELEASE,
            due_at=release.at,
            subject=release.credential_id,
            title="release a replaced credential at the provider",
        )


def _collecting(standing: Standing) -> Iterator[Step]:
    for charge in standing.charges:
        left = "" if charge.budget_left is None else f", {charge.budget_left} left"
        because = f" ({charge.rule}{left})" if charge.rule else ""
        what = "on demand" if charge.cycle is None else called(charge.cycle)
        yield Step(
            kind=StepKind.CHARGE,
            due_at=charge.at,
            subject=charge.charge_id,
            attempt=charge.attempt,
            on_demand=charge.cycle is None,
            title=f"charge {what}, attempt {charge.attempt}: {charge.amount}{because}",
        )
    for notice in standing.notices:
        yield Step(
            kind=StepKind.ANNOUNCE,
            due_at=notice.at,
            subject=notice.charge_id,
            title=f"announce {called(notice.cycle)}",
        )
    for deadline in standing.deadlines:
        yield Step(
            kind=StepKind.LAPSE,
            due_at=deadline.at,
            subject=deadline.charge_id,
            title=f"give up {called(deadline.cycle)} unless the customer has acted",
        )


def called(cycle: int | None) -> str:
    """What a charge is called for people, by its cycle."""
    return "a charge on demand" if cycle is None else f"cycle {cycle}"
