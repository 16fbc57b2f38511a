"""The invariants as questions to the ledger: rows that answer one are violations.

Those about an agreement are asked of a list of agreements: of what has changed since the last audit and, a slice at a
time, of all. Those about time are asked of everything that is open, which small indexes hold. So an audit costs the
same however large the ledger is. Nothing is locked; every question sees one committed state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import String, TextClause, bindparam, text
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements.attempts import UNFINISHED
from agreements.invariants import Invariant
from agreements.refunds import COUNTED, RefundStatus
from agreements.retries import Action
from agreements.status import AttemptStatus, ChargeStatus, Stop
from store import old_rows

OVERDUE = timedelta(hours=1)
"""A step so late is no longer a queue being worked off."""
_SKEW = timedelta(seconds=10)
"""Between the clocks of the machine that stopped an agreement and of the one that sent a debit."""
MOST_OVERDUE = 1000
"""Of late steps no more are named at once."""


@dataclass(frozen=True)
class Violation:
    """What is wrong with which row; `detail` holds figures and words of ours only."""

    invariant: Invariant
    subject: str
    agreement_id: str
    detail: str


_OF_AGREEMENTS: Mapping[Invariant, str] = {
    Invariant.ONE_SUCCESS_PER_CHARGE: """
        select charges.id, charges.agreement_id, count(*) || ' attempts succeeded'
        from charges join attempts on attempts.charge_id = charges.id
        where charges.agreement_id = any(:ids) and attempts.status = :succeeded
        group by charges.id having count(*) > 1
    """,
    Invariant.PAID_AS_ATTEMPTED: """
        select charges.id, charges.agreement_id,
          case when paid_at is null then 'an attempt succeeded, the charge is ' || charges.status
          else 'paid, but no attempt succeeded' end
        from charges
        where agreement_id = any(:ids) and (paid_at is not null) <> exists (
          select from attempts where attempts.charge_id = charges.id and attempts.status = :succeeded)
    """,
    Invariant.STATUS_AS_REFUNDED: """
        select id, agreement_id, format('%s, with %s of %s given back', status, back, captured)
        from (
          select charges.id, charges.agreement_id, charges.status, max(attempts.amount) as captured,
            coalesce(sum(refunds.amount), 0) as back
          from charges
          join attempts on attempts.charge_id = charges.id and attempts.status = :succeeded
          left join refunds on refunds.charge_id = charges.id and refunds.attempt_id = attempts.id
            and refunds.status = :given_back
          where charges.agreement_id = any(:ids) and charges.paid_at is not null
          group by charges.id) as paid
        where status <> case when back <= 0 then :kept when back >= captured then :refunded else :partially_refunded end
    """,
    Invariant.REFUNDS_WITHIN_CAPTURED: """
        select attempts.id, attempts.agreement_id,
          format('%s given back or on its way back of %s', back, attempts.amount)
        from charges
        cross join lateral (
          select attempt_id, sum(refunds.amount) as back from refunds
          where refunds.charge_id = charges.id and refunds.status in :counted
          group by attempt_id) as given
        join attempts on attempts.id = attempt_id
        where charges.agreement_id = any(:ids) and back > attempts.amount
    """,
    # Old events go, but the newest of them stays: where the first is missing, the lowest one left is old itself.
    Invariant.EVENTS_WITHOUT_GAPS: """
        select agreements.id, agreements.id,
          format('%s events, the highest number is %s, the counter %s', made, highest, sequence)
        from agreements cross join lateral (
          select count(*) as made, coalesce(max(events.sequence), 0) as highest,
            coalesce(min(events.sequence), 1) as lowest
          from events where events.agreement_id = agreements.id) as written
        where agreements.id = any(:ids) and (made <> sequence - lowest + 1 or highest <> sequence
          or lowest > 1 and not exists (
            select from events join audit_marks on name = :purged and created_at < reached::timestamptz
            where events.agreement_id = agreements.id and events.sequence = lowest))
    """,
    # An endpoint's wishes may have changed since: then the trail says so, and nobody can tell what it wanted before.
    Invariant.EVENTS_HAVE_DELIVERIES: """
        select events.id, events.agreement_id, 'no delivery to ' || string_agg(webhook_endpoints.id, ', ')
        from events join webhook_endpoints on webhook_endpoints.merchant_id = events.merchant_id
          and webhook_endpoints.livemode = events.livemode
        where events.agreement_id = any(:ids) and deleted_at is null
          and webhook_endpoints.created_at < events.created_at - interval '10 seconds'
          and event_types ?| array['*', events.type]
          and not exists (
            select from deliveries where deliveries.event_id = events.id and endpoint_id = webhook_endpoints.id)
          and not exists (
            select from audit_trail where audit_trail.merchant_id = events.merchant_id
              and object_id = webhook_endpoints.id and call like 'PATCH %' and at > events.created_at)
        group by events.id
    """,
    # Test clocks stop both at the same instant; real clocks of two machines may differ a little.
    Invariant.NO_DEBIT_AFTER_STOP: """
        select attempts.id, attempts.agreement_id,
          format('sent %s, %s %s', sent_at, coalesce(ended, stop), coalesce(ended_at, stopped_at))
        from agreements join charges on charges.agreement_id = agreements.id
        join attempts on attempts.charge_id = charges.id
        where agreements.id = any(:ids) and attempts.authorization_id is null and sent_at > least(
          case when ended is not null then ended_at end, case when stop <> :running then stopped_at end)
          + case when test_clock_id is null then cast(:skew as interval) else interval '0' end
    """,
    # A cap may be lowered later: what customers consented to, their consents tell, and of older agreements the terms.
    Invariant.WITHIN_CAP: """
        select attempts.id, attempts.agreement_id, format('%s debited, the cap is %s', attempts.amount, cap)
        from agreements join charges on charges.agreement_id = agreements.id and charges.cycle is not null
        join attempts on attempts.charge_id = charges.id and attempts.status = :succeeded
        cross join lateral (
          select greatest(
            (terms->>'max_amount_per_cycle')::bigint, max((shown->'terms'->>'max_amount_per_cycle')::bigint)) as cap
          from consents where consents.agreement_id = agreements.id and given_at is not null) as consented
        where agreements.id = any(:ids) and attempts.amount > cap
    """,
    Invariant.MINIMUM_GAP: """
        select id, agreement_id, format('due %s days after the cycle before it, fewer than %s', apart, gap)
        from (
          select charges.id, charges.agreement_id, attempts_made, (terms->>'cycle_interval_days')::int as gap,
            (due_at at time zone (terms->>'timezone'))::date
              - lag((due_at at time zone (terms->>'timezone'))::date) over cycles as apart,
            lag(attempts_made) over cycles as made_before
          from agreements join charges on charges.agreement_id = agreements.id and charges.cycle is not null
          where agreements.id = any(:ids)
          window cycles as (partition by charges.agreement_id order by charges.cycle)) as due
        where apart < gap and attempts_made > 0 and made_before > 0
    """,
}
"""Of each agreement in `:ids`: the row, its agreement, and what is wrong."""

_OF_ALL: Mapping[Invariant, str] = {
    Invariant.OPEN_ATTEMPTS_ARE_ASKED_ABOUT: """
        select attempts.id, attempts.agreement_id, attempts.status || ', and nobody is going to ask'
        from attempts
        where attempts.status in :unfinished and next_look_at is null
          and authorization_id is null and coalesce(decision->>'action', '') <> :operator
    """,
    Invariant.STEPS_ARE_TAKEN: """
        select id, id, 'its next step was due ' || next_step_at
        from agreements
        where test_clock_id is null and started and next_step_at < now() - cast(:overdue as interval)
        order by next_step_at limit :most
    """,
}
"""About time: asked of everything that is open or overdue, which small indexes hold."""

OF_ALL = tuple(_OF_ALL)
OF_AGREEMENTS = tuple(_OF_AGREEMENTS)


_WORDS: Mapping[str, StrEnum | tuple[StrEnum, ...]] = {
    "succeeded": AttemptStatus.SUCCEEDED,
    "unfinished": UNFINISHED,
    "kept": ChargeStatus.SUCCEEDED,
    "refunded": ChargeStatus.REFUNDED,
    "partially_refunded": ChargeStatus.PARTIALLY_REFUNDED,
    "given_back": RefundStatus.SUCCEEDED,
    "counted": COUNTED,
    "running": Stop.NONE,
    "operator": Action.OPERATOR,
}
"""What the questions call our statuses: written into them as literals, by which alone partial indexes are found."""


async def of_agreements(session: AsyncSession, agreement_ids: Sequence[str]) -> list[Violation]:
    """What is wrong with these agreements."""
    return await _asked(session, _OF_AGREEMENTS, {"ids": list(agreement_ids), "skew": _SKEW, "purged": old_rows.PURGED})


async def of_all(session: AsyncSession) -> list[Violation]:
    """What is open and should not be, wherever it is."""
    return await _asked(session, _OF_ALL, {"overdue": OVERDUE, "most": MOST_OVERDUE})


async def _asked(
    session: AsyncSession, questions: Mapping[Invariant, str], values: Mapping[str, Any]
) -> list[Violation]:
    connection, found = await session.connection(), list[Violation]()
    for invariant, question in questions.items():
        asked = _worded(text(question))
        rows = await connection.execute(asked, {name: values[name] for name in asked.compile().params.keys() - _WORDS})
        found.extend(Violation(invariant, subject, agreement_id, detail) for subject, agreement_id, detail in rows)
    return found


def _worded(question: TextClause) -> TextClause:
    named = question.compile().params
    return question.bindparams(
        *(
            bindparam(name, word, String, expanding=isinstance(word, tuple), literal_execute=True)
            for name, word in _WORDS.items()
            if name in named
        )
    )
