"""What a clean cycle costs the Temporal server (temporal-notes A6), counted by the server itself."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio.api.enums.v1 import EventType

from activities.contract import StepInput
from agreements.agenda import StepKind
from agreements.standing import RecentCharge, Standing
from tests.support.clock import WorkflowClock
from tests.workflows.scenarios import MONTH, changed
from tests.workflows.support import Script, closed, due, running, standing
from workflows.messages import AgreementStart

_CYCLES = 3
_RESTS = EventType.EVENT_TYPE_TIMER_STARTED
_WHO = "1234@host"
"""Workers sign eight of the events, usually with the machine's name: the bound must not depend on its length."""
_SKIPPED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED
"""What the test's clock adds to a history each time it moves."""


async def test_a_clean_cycle_is_a_timer_and_an_activity(clock: WorkflowClock) -> None:
    """2 events of the timer, 3 of the activity, 6 of the two workflow tasks, 1 that writes `NextChargeAt`; and little
    more in bytes than the standing they hand on.
    """
    now = datetime.now(UTC)
    paid = [RecentCharge(cycle=cycle, due_at=now, amount="PHP 499.00", status="succeeded") for cycle in (1, 2, 3)]
    latest = standing(
        now,
        charges=(due(1, now + MONTH),),
        next_charge_at=now + MONTH,
        recent=tuple(paid),
        terms="PHP 499.00 monthly from 2027-01-31 on, 12 times, on the 31st at 09:00 in Asia/Manila",
        credential="GCASH wallet ***7890, expires 2028-01-31, refreshed by 2028-01-21",
    )

    def answer(kind: StepKind, step: StepInput) -> Standing:
        nonlocal latest
        coming, at = latest.version + 1, step.at + MONTH
        latest = changed(latest, charges=(due(coming, at),), next_charge_at=at)
        latest = closed(latest) if coming > _CYCLES else latest
        return latest

    async with running(clock.client, Script(answer), AgreementStart(standing=latest), identity=_WHO) as handle:
        await clock.advance(handle, MONTH * (_CYCLES + 1))
        await handle.result()
        history = [event for event in (await handle.fetch_history()).events if event.event_type != _SKIPPED]
    rests = [number for number, event in enumerate(history) if event.event_type == _RESTS]
    assert len(rests) == _CYCLES
    last = history[rests[-2] : rests[-1]]
    assert len(last) == 12
    assert sum(event.ByteSize() for event in last) <= 2600


def test_what_a_standing_leaves_out_is_what_is_there_without_it() -> None:
    assert not any(field.default for field in Standing.model_fields.values() if not field.is_required())
    now = datetime.now(UTC)
    bare, full = standing(now), standing(now, terms="PHP 499.00 monthly", charges=(due(1, now),), expires_at=now)
    for each in (bare, full):
        assert Standing.model_validate_json(each.model_dump_json()) == each
    assert (
        "null"
        not in changed(bare, agreement=bare.agreement.model_copy(update={"test_clock_id": "clk_1"})).model_dump_json()
    )
