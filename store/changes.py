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
from typing import Any, TypeVar

from sqlalchemy import bindparam
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements import agenda, rulebook, schedule
from agreements.policies import RetryPolicy, resolve
from agreements.retries import Decision
from agreements.schedule import Plan
from agreements.standing import Standing
from agreements.status import AgreementStatus, ChargeStatus, Stop, derive
from agreements.terms import Terms
from store import clocks, events, plans, standing_facts, standings, stops
from store.database import Database
from store.standing_facts import StandingFacts
from store.tables import Agreement, Attempt, Charge, DecisionRecord

_Row = TypeVar("_Row", bound=SQLModel)
# What a session read before it held the lock may be out of date.
_WITH_ITS_STOPS = (
    select(Agreement, stops.on(Agreement))
    .where(Agreement.id == bindparam("agreement"))
    .with_for_update(of=Agreement)
    .execution_options(populate_existing=True)
)
_ANNOUNCED = {
    AgreementStatus.PAST_DUE: "agreement.past_due",
    AgreementStatus.ACTION_REQUIRED: "agreement.action_required",
}


class NoSuchAgreement(LookupError):
    """No agreement has this id, or it is not the caller's."""


class Change:
    """One agreement, locked. `now` is its own time: real, or its test clock's."""

    def __init__(self, session: AsyncSession, agreement: Agreement, now: datetime, held: str = "") -> None:
        self.session = session
        self.agreement = agreement
        self.now = now
        self.held = held
        """By which stop switches its debits are held, in words; the gate looks again for itself."""
        self.delivery_ids: list[str] = []
        self._events: list[tuple[str, Charge | None, dict[str, Any]]] = []
        self._standing: Standing | None = None
        self._rows: list[SQLModel] = []

    async def row(self, table: type[_Row], id_: str | None) -> _Row:
        """A row by its id, asked for once in a change: the session itself forgets what nobody holds on to.

        Raises NoResultFound.
        """
        row = await self.session.get_one(table, id_)
        self._rows.append(row)
        return row

    @property
    def stopped(self) -> bool:
        """Whether no debit may be made: by the agreement's own switch, or by one of its scope."""
        return bool(self.held) or self.agreement.stop is not Stop.NONE

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
        agreement, before = self.agreement, self.agreement.status
        facts = await standing_facts.read(self.session, agreement, self.now)
        # What changes on the row from here on is written once, when the transaction commits.
        with self.session.no_autoflush:
            agreement.status = _status(agreement, facts)
            if agreement.status != before and agreement.status in _ANNOUNCED:
                self.event(_ANNOUNCED[agreement.status])
            agreement.version += 1
            standing = standings.build(agreement, facts, self.now, self.held)
            step = agenda.next_step(standing, self.now)
            agreement.next_charge_at = standing.next_charge_at
            agreement.next_step_at = step.due_at if step else None
            self.delivery_ids = await events.write(self.session, agreement, self.now, self._events)
        self._standing = standing


def _status(agreement: Agreement, facts: StandingFacts) -> AgreementStatus:
    return derive(
        ended=agreement.ended,
        authorized=agreement.credential_id is not None,
        stop=agreement.stop,
        action_required=bool(agreement.action_required) or ChargeStatus.ACTION_REQUIRED in facts.unpaid,
        past_due=bool(facts.unpaid),
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
    found = (await session.exec(_WITH_ITS_STOPS, params={"agreement": agreement_id})).first()
    if found is None:
        raise NoSuchAgreement(agreement_id)
    agreement, held = found
    locked = Change(session, agreement, await clocks.now_for(session, agreement.test_clock_id, at), held)
    yield locked
    await locked.finish()
