"""What happened, and what another policy would probably have made of it.

Nobody knows what an attempt that was never made would have brought. Where a new policy would have tried at other
instants, the answer is the mean over customers of the mix (`customers.py`) who fit everything that was recorded of the
cycle: refused when it was refused, debited when it was debited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from sqlalchemy import text
from sqlmodel import col, select

from agreements import schedule
from agreements.declines import Decline, DeclineCategory
from agreements.policies import WAITING_HELPS, RetryPolicy
from agreements.rulebook import Rulebook
from agreements.schedule import Plan
from agreements.standing import Identity
from agreements.status import AttemptStatus, ChargePurpose, ChargeStatus
from agreements.terms import Terms
from bench import customers, replay
from bench.customers import Payer, Trouble
from bench.mix import GATEWAY_KINDS, Cause, Mix
from bench.plans import RetryPlan
from bench.records import Contract
from bench.replay import DeclinedCycle
from store.database import Database
from store.tables import Agreement, Attempt, Charge, Credential

_CUSTOMERS = 200
"""Drawn per cycle; those who fit are kept."""
_ENDED = (ChargeStatus.SUCCEEDED, ChargeStatus.FAILED, ChargeStatus.PARTIALLY_REFUNDED, ChargeStatus.REFUNDED)
_PAID = (AttemptStatus.SUCCEEDED, AttemptStatus.REVERSED)

Answers = tuple[tuple[datetime, Decline | None], ...]
"""When an attempt was sent, and why it was declined; None where the money came."""


@dataclass(frozen=True, slots=True)
class Past:
    """A cycle that was declined at first and has ended since."""

    contract: Contract
    cycle: int
    next_due: datetime | None
    answers: Answers

    @property
    def recovered(self) -> bool:
        return self.answers[-1][1] is None


@dataclass(slots=True)
class Replayed:
    """The recorded past beside the expected one. What cannot be compared is counted: `by_others` are cycles only a
    customer or a person could help, `unexplained` those no customer of the mix fits.
    """

    compared: int = 0
    by_others: int = 0
    unexplained: int = 0
    recovered: int = 0
    attempts: int = 0
    expected_recovered: float = 0.0
    expected_attempts: float = 0.0
    expected_fees: float = 0.0
    expected_hard_retries: float = 0.0


async def read(database: Database, rulebook: Rulebook, policy: RetryPolicy, since: datetime | None) -> list[Past]:
    """Every ended cycle whose first attempt was declined, due since then. Nothing is written."""
    query = (
        select(Charge, Agreement)
        .join(Agreement, col(Agreement.id) == Charge.agreement_id)
        .where(Charge.purpose == ChargePurpose.CYCLE, col(Charge.status).in_(_ENDED), Charge.attempts_made > 0)
        .order_by(Charge.id)
    )
    if since is not None:
        query = query.where(Charge.due_at >= since)
    past = list[Past]()
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("set transaction read only"))
        for charge, agreement in (await session.exec(query)).all():
            attempts = select(Attempt).where(Attempt.charge_id == charge.id).order_by(col(Attempt.number))
            answers = tuple(_answers((await session.exec(attempts)).all()))
            if answers and answers[0][1] is not None:
                credential = await session.get(Credential, agreement.credential_id)
                network = credential.network if credential else None
                past.append(_past(charge, agreement, network, answers, rulebook, policy))
    return past


def compare(past: Iterable[Past], plan: RetryPlan, mix: Mix, rulebook: Rulebook) -> Replayed:
    """What the plan would probably have made of it."""
    found = Replayed()
    for one in past:
        first = one.answers[0][1]
        if first is None or any(said and said.category not in _BY_WAITING for _, said in one.answers):
            found.by_others += 1
            continue
        fitting = list(_fitting(one, first, mix, rulebook))
        if not fitting:
            found.unexplained += 1
            continue
        found.compared += 1
        found.recovered += one.recovered
        found.attempts += len(one.answers)
        courses = [replay.follow(plan, _cycle(one, trouble), mix, rulebook, first) for trouble in fitting]
        found.expected_recovered += sum(course.recovered for course in courses) / len(courses)
        found.expected_attempts += sum(course.tries for course in courses) / len(courses)
        found.expected_fees += sum(course.fees for course in courses) / len(courses)
        found.expected_hard_retries += sum(course.hard_retries for course in courses) / len(courses)
    return found


_BY_WAITING = WAITING_HELPS | {DeclineCategory.INVALID_CREDENTIAL}


def _answers(attempts: Sequence[Attempt]) -> Iterator[tuple[datetime, Decline | None]]:
    for attempt in attempts:
        if attempt.sent_at is not None and (attempt.decline or attempt.status in _PAID):
            yield attempt.sent_at, Decline.model_validate(attempt.decline) if attempt.decline else None


def _past(
    charge: Charge,
    agreement: Agreement,
    network: str | None,
    answers: Answers,
    rulebook: Rulebook,
    policy: RetryPolicy,
) -> Past:
    terms = Terms.model_validate(agreement.terms)
    rail = rulebook.rail(agreement.gateway, agreement.payment_method, charge.due_at.date())
    plan = Plan(terms, agreement.id, rail.windows if rail else ())
    last, cycle = schedule.last_cycle(plan), charge.cycle or 0
    region = agreement.customer.get("region") or "*"
    contract = Contract(
        id=agreement.id,
        gateway=agreement.gateway,
        identity=Identity(
            id=agreement.id,
            merchant_id=agreement.merchant_id,
            gateway=agreement.gateway,
            customer_id=agreement.customer_id,
            reference=agreement.reference,
            test_clock_id=agreement.test_clock_id,
        ),
        plan=plan,
        money=charge.money,
        amount_text=str(charge.money),
        last_cycle=last or cycle,
        policy=policy,
        payer=Payer(agreement.gateway, region, terms.timezone, network, rulebook.paydays(region)),
    )
    coming = schedule.due_at(plan, cycle + 1) if last is None or cycle < last else schedule.ends_at(terms)
    return Past(contract, cycle, coming, answers)


def _fitting(past: Past, first: Decline, mix: Mix, rulebook: Rulebook) -> Iterator[Trouble]:
    """Customers whose account would have answered every recorded attempt as it was answered."""
    payer, sent_at = past.contract.payer, past.answers[0][0]
    among = [cause for cause in mix.cause if _may_be(cause, payer, first, mix, rulebook, sent_at)]
    if not among:
        return
    for number in range(_CUSTOMERS):
        rng = Random(f"{past.contract.id}/{past.cycle}/{number}")  # noqa: S311 - chance, not secrets
        trouble = customers.refusal(rng, mix, payer, sent_at, among)
        if _fits(trouble, past.answers):
            yield trouble


def _may_be(cause: Cause, payer: Payer, said: Decline, mix: Mix, rulebook: Rulebook, at: datetime) -> bool:
    code = cause.codes.get(payer.gateway)
    share = cause.share.of(GATEWAY_KINDS[payer.gateway])
    return code is not None and share > 0 and rulebook.meaning(payer.gateway, code, at.date()).category is said.category


def _fits(trouble: Trouble, answers: Answers) -> bool:
    generation = 1
    for at, said in answers:
        if trouble.refuses(at, generation) != (said is not None):
            return False
        generation += said is not None and said.category is DeclineCategory.INVALID_CREDENTIAL
    return True


def _cycle(past: Past, trouble: Trouble) -> DeclinedCycle:
    return DeclinedCycle(past.contract, past.cycle, past.answers[0][0], past.next_due, trouble)
