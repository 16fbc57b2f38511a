"""The engine's steps on the simulation's rows: what `activities/` does, transaction by transaction, without SQL.

Every rule is the engine's own (`agreements/`); only finding rows and committing them is done here. A worker may die at
any commit and between any two: `Crash`. What was not committed is lost then, and the step is repeated from the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from agreements import collection, credentials, gate, inquiries, retries, schedule
from agreements.agenda import Step, StepKind
from agreements.attempts import ChargeAnswer, Finding, Verdict, request_id
from agreements.collection import Aftermath
from agreements.declines import Decline, DeclineCategory
from agreements.gate import Clearance, Means
from agreements.retries import Action, Case
from agreements.rulebook import Rulebook
from agreements.status import AgreementStatus, AttemptStatus, ChargeStatus, Stop
from bench import lifecycle
from bench.cards import Cards
from bench.lifecycle import Change
from bench.mix import GATEWAY_KINDS
from bench.model_provider import ModelProvider, Request
from bench.records import Agreement, Attempt, Charge, Reversal

_FAILURES = (Finding.FAIL, Finding.CANCEL)
_TOKEN_LIFE = timedelta(days=365)


class Crash(Exception):
    """The worker died."""


@dataclass(slots=True)
class Tally:
    """What the engine did, by name."""

    steps: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    crashes: int = 0


class Engine:
    """The steps, over the rows of one household. `pass_time` lets the world go on while a step runs."""

    def __init__(
        self,
        provider: ModelProvider,
        rulebook: Rulebook,
        rng: Random,
        crash: float,
        tally: Tally,
        pass_time: Callable[[str, timedelta], datetime],
    ) -> None:
        self.rows: dict[str, Agreement] = {}
        self._provider = provider
        self._rulebook = rulebook
        self._rng = rng
        self._crash = crash
        self._tally = tally
        self._pass_time = pass_time
        self._cards = Cards(rulebook)

    @contextmanager
    def change(self, agreement_id: str, now: datetime) -> Iterator[Change]:
        """A transaction. The worker may die before the commit, which leaves no trace of it, or right after it."""
        chance = self._rng.random() if self._crash else 0.5
        dies_before, dies_after = chance < self._crash, chance >= 1 - self._crash
        # What is to be lost happens on a copy: a step that is under way holds on to the rows themselves.
        row = self.rows[agreement_id]
        change = Change(deepcopy(row) if dies_before else row, now)
        yield change
        if dies_before:
            raise Crash
        self._commit(change)
        if dies_after:
            raise Crash

    def perform(self, agreement_id: str, step: Step, now: datetime) -> None:
        """Does one step of the agenda. Raises Crash."""
        self._tally.steps[step.kind.name.lower()] += 1
        {
            StepKind.CHARGE: self._charge,
            StepKind.INQUIRE: self._inquire,
            StepKind.LAPSE: self._lapse,
            StepKind.REFRESH: self._refresh,
            StepKind.REVERSE: self._reverse,
        }[step.kind](agreement_id, step, now)

    def settle(self, agreement_id: str, name: str, answer: ChargeAnswer, now: datetime) -> None:
        """Applies a notification. Raises Crash."""
        self._tally.steps["news"] += 1
        with self.change(agreement_id, now) as change:
            self._record(change, name, answer)

    # The steps

    def _charge(self, agreement_id: str, step: Step, now: datetime) -> None:
        request = None
        with self.change(agreement_id, now) as change:
            attempt = self._prepare(change, step)
            to_ask = attempt is not None and attempt.status.open
            if attempt is not None and not to_ask and not self._provider.traits.opens:
                request = self._may_send(change, attempt.request_id)
        if attempt is None:
            return
        now = self._pass_time(agreement_id, timedelta(milliseconds=5))
        if to_ask:
            self._inquire(agreement_id, step.model_copy(update={"subject": attempt.request_id}), now)
        elif request is not None:
            self._debit(agreement_id, request, now)
        elif self._provider.traits.opens:
            self._send(agreement_id, attempt.request_id, now)

    def _send(self, agreement_id: str, name: str, now: datetime) -> bool:
        """Passes the gate and debits; whether it did."""
        with self.change(agreement_id, now) as change:
            request = self._may_send(change, name)
        if request is not None:
            self._debit(agreement_id, request, now)
        return request is not None

    def _debit(self, agreement_id: str, request: Request, now: datetime) -> None:
        """Calls the provider for an attempt that is committed as sent."""
        answer, took = self._provider.charge(request, now)
        self._may_die()
        now = self._pass_time(agreement_id, took)
        with self.change(agreement_id, now) as change:
            self._record(change, request.request_id, answer)

    def _inquire(self, agreement_id: str, step: Step, now: datetime) -> None:
        name, traits = step.subject, self._provider.traits
        with self.change(agreement_id, now) as change:
            charge, attempt = change.agreement.attempt(name)
            due = attempt.status.open and attempt.next_look_at is not None and attempt.next_look_at <= now
            earliest = inquiries.earliest_look(attempt.sent_at or now, attempt.looked_at, traits.queries)
            asked = due and earliest <= now
            if asked:
                attempt.looks, attempt.looked_at = attempt.looks + 1, now
            elif due:
                attempt.next_look_at = earliest
        if not asked:
            return
        answer, took = self._provider.inquire(name, now)
        self._may_die()
        now = self._pass_time(agreement_id, took)
        if collection.must_cancel(change, charge, attempt, answer, traits):
            verdict, took = self._provider.cancel(name, now)
            self._may_die()
            now = self._pass_time(agreement_id, took)
            if verdict is Verdict.SUCCEEDED:
                answer = ChargeAnswer(Verdict.CANCELED, payment_id=answer.payment_id, evidence="canceled_by_us")
        repeats = answer.verdict is Verdict.NOT_FOUND and collection.may_repeat(change, attempt, traits)
        if repeats and self._send(agreement_id, name, now):
            return
        settled = collection.settled(change, attempt, answer, traits)
        with self.change(agreement_id, now) as change:
            self._record(change, name, settled)

    def _lapse(self, agreement_id: str, step: Step, now: datetime) -> None:
        with self.change(agreement_id, now) as change:
            charge, agreement = change.agreement.charge(step.subject), change.agreement
            waits = charge.status is ChargeStatus.ACTION_REQUIRED and agreement.stop is Stop.NONE
            if waits and charge.act_by is not None and charge.act_by <= now:
                at_end = agreement.contract.policy.at_end
                self._conclude(change, collection.lapse(change, charge, at_end, self._rulebook.version))
                self._complete(change)

    def _refresh(self, agreement_id: str, step: Step, now: datetime) -> None:
        with self.change(agreement_id, now) as change:
            credential = change.agreement.credential
            credential.generation += 1
            credential.token_expires_at = now + _TOKEN_LIFE
            credential.refresh_at = credentials.refresh_at(credential.token_expires_at, None, True, now)

    def _reverse(self, agreement_id: str, step: Step, now: datetime) -> None:
        verdict, took = self._provider.cancel(step.subject, now)
        self._may_die()
        now = self._pass_time(agreement_id, took)
        with self.change(agreement_id, now) as change:
            for reversal in change.agreement.reversals:
                if reversal.request_id == step.subject and reversal.next_try_at is not None:
                    reversal.tries += 1
                    known = verdict is Verdict.SUCCEEDED
                    reversal.next_try_at = None if known else inquiries.next_try(reversal.tries, now)

    # What activities/charges.py finds

    def _prepare(self, change: Change, step: Step) -> Attempt | None:
        agreement, now = change.agreement, change.now
        charge = agreement.charge(step.subject)
        existing = charge.attempts.get(step.attempt)
        if existing is not None and existing.status is not AttemptStatus.PREPARED:
            return existing if existing.status.open else None
        if any(attempt.status.open for attempt in charge.attempts.values()):
            charge.next_attempt_at = None
            return None
        if charge.next_attempt_at is None or charge.next_attempt_at > now or agreement.stop is not Stop.NONE:
            return None
        if charge.cycle == agreement.last_written:
            lifecycle.write_next(agreement)
        if not self._cleared_to_try(change, charge):
            return None
        if existing is not None:
            existing.credential = replace(agreement.credential)
            return existing
        name = request_id(charge.id, step.attempt)
        attempt = Attempt(charge.id, step.attempt, name, charge.money, replace(agreement.credential))
        charge.attempts[step.attempt] = attempt
        return attempt

    def _cleared_to_try(self, change: Change, charge: Charge) -> bool:
        agreement, credential = change.agreement, change.agreement.credential
        clearance = gate.clear(
            change,
            charge,
            plan=agreement.contract.plan,
            means=Means(credential.token_expires_at, credential.refresh_at),
            last_success=agreement.last_success,
            debit_from=charge.due_at,
            dead_card=self._cards.dead(credential),
            policy=agreement.contract.policy,
            rulebook_version=self._rulebook.version,
        )
        if clearance is Clearance.LATE:
            charge.status, charge.next_attempt_at, charge.why = ChargeStatus.SKIPPED, None, "past the catch-up limit"
        if clearance in (Clearance.LATE, Clearance.REFUSED):
            self._complete(change)
        return clearance is Clearance.GO

    def _may_send(self, change: Change, name: str) -> Request | None:
        contract = change.agreement.contract
        charge, attempt = change.agreement.attempt(name)
        clearance = gate.may_send(
            change,
            charge,
            attempt,
            plan=contract.plan,
            spent=self._cards.spent(attempt, change.now),
            dead_card=self._cards.dead(attempt.credential),
            policy=contract.policy,
            limits=self._provider.traits.queries,
            rulebook_version=self._rulebook.version,
        )
        if clearance is Clearance.GO:
            change.sent.append(attempt)
        if clearance is Clearance.REFUSED:
            self._complete(change)
        if clearance is not Clearance.GO:
            return None
        used = attempt.credential
        order = name, charge.id, contract.id
        return Request(*order, used.token, used.account, attempt.money, used.network, used.generation)

    # What activities/outcomes.py does

    def _record(self, change: Change, name: str, answer: ChargeAnswer) -> None:
        agreement = change.agreement
        charge, attempt = agreement.attempt(name)
        finding = collection.record(
            change,
            charge,
            attempt,
            answer,
            others=[other for other in charge.attempts.values() if other is not attempt],
            traits=self._provider.traits,
            rulebook_version=self._rulebook.version,
        )
        if finding in (Finding.NOTHING, Finding.LOOK_AGAIN):
            return
        change.settled.append(attempt)
        if finding is Finding.REVERSE:
            agreement.reversals.append(Reversal(name, change.now))
        elif finding is Finding.COLLECT:
            agreement.last_success = change.now
        elif finding in _FAILURES:
            if attempt.status is AttemptStatus.FAILED:
                change.declined.append(attempt)
            if charge.paid_at is None:
                self._declined(change, charge, attempt)
        self._complete(change)

    def _declined(self, change: Change, charge: Charge, attempt: Attempt) -> None:
        agreement, now = change.agreement, change.now
        if agreement.ended:
            charge.status, charge.next_attempt_at = ChargeStatus.CANCELED, None
            return
        contract, decline = agreement.contract, Decline.model_validate(attempt.decline)
        credential = attempt.credential
        earlier = [other for other in charge.attempts.values() if other.number < attempt.number and other.decline]
        first = charge.attempts[1].sent_at or charge.due_at
        case = Case(
            plan=contract.plan,
            gateway=contract.gateway,
            decline=decline,
            attempt=attempt.number,
            earlier=[Decline.model_validate(other.decline) for other in earlier],
            window_start=max(charge.due_at, first),
            next_due_at=self._next_due_at(agreement, charge),
            refreshable=credential.refreshable,
            network=credential.network,
            spent=self._cards.spent(attempt, now, change.declined),
            region=contract.payer.region,
        )
        decision = retries.decide(case, contract.policy, self._rulebook, now)
        refused_token = case.refreshable and decline.category is DeclineCategory.INVALID_CREDENTIAL
        if refused_token and decision.action in (Action.RETRY, Action.GIVE_UP):
            agreement.credential.refresh_at = now
        if decision.action is Action.NEEDS_NEW_CARD and GATEWAY_KINDS[contract.gateway] == "card":
            change.dead.append((attempt, decline.code))
        aftermath = collection.follow(change, charge, attempt, decline, decision, contract.policy.at_end)
        if decision.action is Action.REVOKE:
            lifecycle.revoke(change)
        else:
            self._conclude(change, aftermath)

    def _next_due_at(self, agreement: Agreement, charge: Charge) -> datetime | None:
        contract = agreement.contract
        if (cycle := charge.cycle or 0) < contract.last_cycle:
            return schedule.due_at(contract.plan, cycle + 1)
        return schedule.ends_at(contract.plan.terms)

    def _conclude(self, change: Change, aftermath: Aftermath) -> None:
        if aftermath is Aftermath.REVOKE:
            lifecycle.revoke(change)

    def _complete(self, change: Change) -> None:
        agreement = change.agreement
        if agreement.ended or agreement.last_written < agreement.contract.last_cycle:
            return
        if all(charge.over for charge in agreement.open.values()):
            agreement.ended, agreement.ended_at = AgreementStatus.COMPLETED, change.now

    # Rows

    def _commit(self, change: Change) -> None:
        agreement = change.agreement
        agreement.version += 1
        self._tally.decisions.update(change.decisions)
        self._cards.commit(change)
        for cycle in [cycle for cycle, charge in agreement.open.items() if charge.over]:
            agreement.over[cycle] = agreement.open.pop(cycle)

    def _may_die(self) -> None:
        if self._crash and self._rng.random() < self._crash:
            raise Crash
