"""The workflow's own promises: what a cycle costs, what wakes it, and what survives a continue-as-new."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from activities.contract import StepInput
from agreements.agenda import StepKind
from agreements.standing import Standing
from agreements.status import AgreementStatus, Stop
from tests.support.clock import WorkflowClock
from tests.workflows.support import Script, closed, due, running, standing
from workflows.agreement import AgreementWorkflow
from workflows.messages import AgreementStart, Command, CommandResult

Handle = WorkflowHandle[AgreementWorkflow, AgreementStatus]
_MONTH = timedelta(days=30)
_OF_THE_CLOCK = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
)


def monthly(first: Standing, cycles: int, *, show_next: bool = False) -> Script:
    """Every charge succeeds and brings the next one a month later; versions leave room for the test's own."""
    latest = first

    def answer(kind: StepKind, step: StepInput) -> Standing:
        nonlocal latest
        done = latest.charges[0]
        assert done.cycle is not None
        if done.cycle == cycles:
            latest = closed(latest)
        else:
            coming = due(done.cycle + 1, done.at + _MONTH)
            latest = latest.model_copy(
                update={
                    "version": latest.version + 10,
                    "charges": (coming,),
                    "next_charge_at": coming.at if show_next else None,
                }
            )
        return latest

    return Script(answer)


async def events_of(handle: Handle) -> list[EventType.ValueType]:
    return [event.event_type async for event in handle.fetch_history_events()]


async def events_per_cycle(clock: WorkflowClock, *, show_next: bool) -> list[int]:
    """How many events lie between one cycle's timer and the next, without those of the test's own clock."""
    now = datetime.now(UTC)
    charge = due(1, now + _MONTH)
    first = standing(now, charges=(charge,), next_charge_at=charge.at if show_next else None)
    script = monthly(first, 5, show_next=show_next)
    async with running(clock.client, script, AgreementStart(standing=first)) as agreement:
        await clock.advance(agreement, _MONTH * 6)
        assert await agreement.result() is AgreementStatus.COMPLETED
    ours = [kind for kind in await events_of(agreement) if kind not in _OF_THE_CLOCK]
    timers = [place for place, kind in enumerate(ours) if kind == EventType.EVENT_TYPE_TIMER_STARTED]
    # Moving the clock may wake the workflow once, in the first cycle.
    return [later - earlier for earlier, later in pairwise(timers[1:])]


async def test_a_clean_cycle_costs_one_timer_and_one_activity(clock: WorkflowClock) -> None:
    assert await events_per_cycle(clock, show_next=False) == [11, 11, 11]


async def test_showing_the_next_charge_costs_one_event_more(clock: WorkflowClock) -> None:
    assert await events_per_cycle(clock, show_next=True) == [12, 12, 12]


async def test_a_pause_reaches_a_sleeping_agreement_and_no_charge_runs(clock: WorkflowClock) -> None:
    now = datetime.now(UTC)
    first = standing(now, charges=(due(1, now + _MONTH),))
    script = monthly(first, 1)
    paused = first.model_copy(update={"version": 2, "stop": Stop.PAUSED, "status": AgreementStatus.PAUSED})
    async with running(clock.client, script, AgreementStart(standing=first)) as agreement:
        result = await agreement.execute_update(
            Command.PAUSE.value, args=["command-1", paused], id="command-1", result_type=CommandResult
        )
        assert result.version == 2
        await clock.advance(agreement, _MONTH * 2)
        assert script.steps == []
        resumed = first.model_copy(update={"version": 3})
        await agreement.execute_update(
            Command.RESUME.value, args=["command-2", resumed], id="command-2", result_type=CommandResult
        )
        assert await agreement.result() is AgreementStatus.COMPLETED
    assert [kind for kind, _ in script.steps] == [StepKind.CHARGE]


async def test_an_older_standing_never_replaces_a_newer_one(clock: WorkflowClock) -> None:
    now = datetime.now(UTC)
    newer = standing(now, version=5, charges=(due(1, now + _MONTH),))
    older = newer.model_copy(update={"version": 4, "charges": ()})
    async with running(clock.client, monthly(newer, 1), AgreementStart(standing=newer)) as agreement:
        await agreement.signal(AgreementWorkflow.look, older)
        assert (await agreement.query(AgreementWorkflow.snapshot)).version == 5
        await agreement.terminate()


async def test_news_is_settled_once_however_often_it_is_signalled(clock: WorkflowClock) -> None:
    now = datetime.now(UTC)
    first = standing(now)
    script = Script(lambda kind, step: first)
    script.after_news = closed(first)
    async with running(clock.client, script, AgreementStart(standing=first, news=["ntf_1"])) as agreement:
        assert await agreement.result() is AgreementStatus.COMPLETED
    assert script.news == ["ntf_1"]


async def test_a_long_history_continues_as_new_and_the_next_run_goes_on(clock: WorkflowClock) -> None:
    now = datetime.now(UTC)
    first = standing(now, charges=(due(1, now + _MONTH),))
    script = monthly(first, 6)
    async with running(clock.client, script, AgreementStart(standing=first, roll_after=25)) as agreement:
        first_run = (await agreement.describe()).run_id
        await clock.advance(agreement, _MONTH * 7)
        assert await agreement.result() is AgreementStatus.COMPLETED
        assert (await agreement.describe()).run_id != first_run
    assert [step.subject for _, step in script.steps] == [f"chg_{cycle}" for cycle in range(1, 7)]


async def test_a_storm_of_commands_around_a_continue_as_new_is_applied_once_each(clock: WorkflowClock) -> None:
    """The server was seen to execute updates twice here (design promise 10)."""
    now = datetime.now(UTC)
    first = standing(now, charges=(due(1, now + _MONTH),))
    async with running(clock.client, monthly(first, 1), AgreementStart(standing=first, roll_after=30)) as agreement:

        async def pause(number: int) -> CommandResult:
            newer = first.model_copy(update={"version": 100 + number})
            result: CommandResult = await agreement.execute_update(
                Command.PAUSE.value, args=[f"c-{number}", newer], id=f"c-{number}", result_type=CommandResult
            )
            return result

        answers = await asyncio.gather(*(pause(number) for number in range(40)))
        again = await asyncio.gather(*(pause(number) for number in range(40)))
        assert again == answers
        assert (await agreement.query(AgreementWorkflow.snapshot)).version == 139
        await agreement.terminate()
