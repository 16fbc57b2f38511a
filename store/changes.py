"""A change of an agreement: its row locked, its facts written, its events numbered, its new standing handed on.

Everything that happens to an agreement goes through here, from activities and from the API alike. One transaction holds
the fact, its events and their deliveries (design promise 6); the row's lock puts concurrent writers in a queue, so
sequences have no gaps and a stop that was committed is seen by whoever comes after it (promise 4).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements import agenda, rulebook, schedule
from agreements.policies import RetryPolicy, resolve
from agreements.retries import Decision
from agreements.schedule import Plan
from agreements.standing import Standing
from agreements.status import AgreementStatus, ChargePurpose, ChargeStatus, derive
from agreements.terms import Terms
from store import clocks, events, plans, standings
from store.database import Database
from store.tables import Agreement, Attempt, Charge, DecisionRecord

_ANNOUNCED = {
    AgreementStatus.PAST_DUE: "agreement.past_due",
    AgreementStatus.ACTION_REQUIRED: "agreement.action_required",
}

_UNPAID = (ChargeStatus.RETRYING, ChargeStatus.ACTION_REQUIRED, ChargeStatus.FAILED)


class NoSuchAgreement(LookupError):
    """No agreement has this id, or it is not the caller's."""


class Change:
    """One agreement, locked. `now` is its own time: real, or its test clock's."""

    def __init__(self, session: AsyncSession, agreement: Agreement, now: datetime) -> None:
        self.session = session
        self.agreement = agreement
        self.now = now
        self.delivery_ids: list[str] = []
        self._events: list[tuple[str, Charge | None, dict[str, Any]]] = []
        self._standing: Standing | None = None

    @cached_property
    def terms(self) -> Terms:
        """What the customer consented to."""
        return Terms.model_validate(self.agreement.terms)

    @cached_property
    def plan(self) -> Plan:
        """What the agreement's instants are computed from."""
        return plans.of(self.agreement, self.terms, self.now)

    @cached_property
    def policy(self) -> RetryPolicy:
        """How its charges are tried again: by name, or its own."""
        today = schedule.today(self.terms.timezone, self.now)
        return resolve(self.agreement.chosen_policy, rulebook.current(), today, accepted=True)

    def amend(self, terms: Terms) -> None:
        """Other terms, from here on."""
        self.agreement.terms = terms.model_dump(mode="json")
        for outdated in ("terms", "plan"):
            self.__dict__.pop(outdated, None)

    @property
    def standing(self) -> Standing:
        """The standing after this change; only there once the transaction has committed."""
        if self._standing is None:
            raise RuntimeError("the change has not been committed yet")
        return self._standing

    def event(self, type_: str, charge: Charge | None = None, **details: Any) -> None:
        """Announces a fact; the event is written with the state at the end of the change."""
        self._events.append((type_, charge, details))

    def decide(self, decision: Decision, charge: Charge, attempt: Attempt | None) -> None:
        """Keeps a decision with everything it was based on (design promise 7)."""
        self.session.add(
            DecisionRecord(
                agreement_id=self.agreement.id,
                charge_id=charge.id,
                attempt_id=attempt.id if attempt else None,
                at=self.now,
                action=decision.action,
                chosen_at=decision.at,
                rule=decision.rule,
                rulebook_version=decision.rulebook_version,
                budget_left=decision.budget_left,
                inputs=dict(decision.inputs),
            )
        )

    async def finish(self) -> None:
        """Derives the status, writes the events and the standing. Called once, by `change` and by `create`."""
        before = self.agreement.status
        await self.session.flush()
        self.agreement.status = await self._status()
        if self.agreement.status != before and self.agreement.status in _ANNOUNCED:
            self.event(_ANNOUNCED[self.agreement.status])
        self.agreement.version += 1
        standing = await standings.read(self.session, self.agreement, self.now)
        step = agenda.next_step(standing, self.now)
        self.agreement.next_charge_at = standing.next_charge_at
        self.agreement.next_step_at = step.due_at if step else None
        self.delivery_ids = await events.write(self.session, self.agreement, self.now, self._events)
        self._standing = standing

    async def _status(self) -> AgreementStatus:
        tried_before = col(Charge.status).in_((ChargeStatus.PROCESSING, ChargeStatus.UNKNOWN)), Charge.attempts_made > 1
        query = select(Charge.status).where(
            Charge.agreement_id == self.agreement.id,
            Charge.purpose == ChargePurpose.CYCLE,
            or_(col(Charge.status).in_(_UNPAID), and_(*tried_before)),
        )
        unpaid = set(await self.session.exec(query.distinct()))
        return derive(
            ended=self.agreement.ended,
            authorized=self.agreement.credential_id is not None,
            stop=self.agreement.stop,
            action_required=bool(self.agreement.action_required) or ChargeStatus.ACTION_REQUIRED in unpaid,
            past_due=bool(unpaid),
        )


@asynccontextmanager
async def change(database: Database, agreement_id: str, at: datetime | None = None) -> AsyncIterator[Change]:
    """Locks an agreement for one decision and commits it when the block ends; nothing of it happens when it raises.

    `at` is the instant for which Temporal woke the caller. Raises NoSuchAgreement.
    """
    async with database.transaction() as session, changing(session, agreement_id, at) as locked:
        yield locked


@asynccontextmanager
async def changing(session: AsyncSession, agreement_id: str, at: datetime | None = None) -> AsyncIterator[Change]:
    """The same inside a transaction of the caller's."""
    query = select(Agreement).where(Agreement.id == agreement_id).with_for_update()
    # What this session read before it held the lock may be out of date.
    agreement = (await session.exec(query.execution_options(populate_existing=True))).first()
    if agreement is None:
        raise NoSuchAgreement(agreement_id)
    locked = Change(session, agreement, await clocks.now_for(session, agreement.test_clock_id, at))
    yield locked
    await locked.finish()
