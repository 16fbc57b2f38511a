"""How much is waiting, and since when: what operators watch, read from the rows themselves.

Each question is answered from an index that holds only what waits, so that it costs the same with a thousand agreements
and with ten million. What waits in masses, such as webhooks for a receiver that is down, is counted to `MOST` only.
Agreements on test clocks are left out: their time stands still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

_MOST = 100_000
"""Nothing is counted further."""


@dataclass(frozen=True)
class Question:
    """`sql` answers a row for everything that waits, or none did: its labels and since when (empty: nothing waits)."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    sql: str


@dataclass(frozen=True)
class Waiting:
    """How much waits under these labels, and for how long the oldest has."""

    labels: tuple[str, ...]
    count: int
    oldest_seconds: float


QUESTIONS = (
    Question(
        "attempts_open",
        "Attempts whose outcome is not known: sent, processing or unknown. Not those on a customer's page.",
        ("gateway", "mode", "status"),
        """
        select gateway, case when livemode then 'live' else 'test' end as mode, attempts.status, sent_at as since
        from attempts join agreements on agreements.id = attempts.agreement_id
        where attempts.status in ('sent', 'processing', 'unknown') and test_clock_id is null
          and (authorization_id is null or attempts.status <> 'sent')
        """,
    ),
    Question(
        "steps_overdue",
        "Agreements whose next step, whatever it is, should have been taken by now.",
        ("gateway", "mode"),
        """
        select gateway, case when livemode then 'live' else 'test' end as mode, next_step_at as since
        from agreements where test_clock_id is null and next_step_at < now() and started
        """,
    ),
    Question(
        "charges_overdue",
        "Agreements that are due to be charged, or tried again, and were not.",
        ("gateway", "mode"),
        """
        select gateway, case when livemode then 'live' else 'test' end as mode, next_charge_at as since
        from agreements where test_clock_id is null and next_step_at < now() and next_charge_at < now() and started
        """,
    ),
    Question(
        "stops_in_force",
        "Stop switches that keep debits from being made, of a gateway or of a merchant.",
        ("scope", "mode"),
        """
        select scope, case when livemode then 'live' else 'test' end as mode, stop_switches.at as since
        from stop_switches where lifted_at is null
        """,
    ),
    Question(
        "refunds_open",
        "Refunds and cancels whose outcome is not known.",
        ("gateway", "mode"),
        """
        select gateway, case when livemode then 'live' else 'test' end as mode, refunds.written_at as since
        from refunds join agreements on agreements.id = refunds.agreement_id
        where next_try_at is not null and test_clock_id is null
        """,
    ),
    Question(
        "webhooks_waiting",
        "Webhooks not delivered yet: pending, or parked while their endpoint is disabled.",
        ("status",),
        """
        select wanted.status, queued_at as since from (values ('pending'), ('parked')) as wanted (status)
        left join deliveries on deliveries.status = wanted.status and finished_at is null
        """,
    ),
    Question(
        "webhooks_overdue",
        "Webhooks whose next attempt should have been made by now; those of a receiver that fails wait for theirs.",
        (),
        """
        select coalesce(next_attempt_at, queued_at) as since from deliveries
        where finished_at is null and status = 'pending' and coalesce(next_attempt_at, queued_at) < now()
        """,
    ),
    Question(
        "webhook_endpoints_disabled",
        "Webhook endpoints that get nothing: disabled by their merchant, gone, or failing for days.",
        ("reason",),
        """
        select reason, disabled_at as since from (values ('merchant'), ('gone'), ('failing')) as wanted (reason)
        left join webhook_endpoints on disabled_reason = reason and deleted_at is null
        """,
    ),
    Question(
        "notifications_waiting",
        "Providers' messages that were received and not judged, or signalled and not settled by a workflow.",
        ("status",),
        """
        select status, created_at as since from (values ('received'), ('signalled')) as wanted (status)
        left join (select status, created_at from notifications where status = 'received' union all
                   select status, created_at from notifications where status = 'signalled') as found using (status)
        """,
    ),
)


async def read(session: AsyncSession, questions: Sequence[Question]) -> Mapping[str, Sequence[Waiting]]:
    """The answers by question; meant for one short transaction every few seconds."""
    answers: dict[str, Sequence[Waiting]] = {}
    connection = await session.connection()
    for question in questions:
        rows = await connection.execute(text(summed_up(question)))
        answers[question.name] = [Waiting(tuple(row[:-2]), row[-2], max(0.0, float(row[-1]))) for row in rows]
    return answers


def summed_up(question: Question) -> str:
    """The count and the age of the oldest, in seconds, under each of its labels."""
    labels = ", ".join(question.labels)
    counted = f"{labels}{', ' if labels else ''}count(since), coalesce(extract(epoch from now() - min(since)), 0)"
    found = f"select {counted} from (select * from ({question.sql}) as waiting limit {_MOST}) as found"  # noqa: S608
    return f"{found} group by {labels}" if labels else found
