"""Scripted lives of an agreement, one for every way through the workflow: played by tests, recorded for replay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from temporalio.client import WorkflowHandle

from activities.contract import Obeyed, OrderKind, StepInput
from agreements.agenda import StepKind
from agreements.standing import (
    Deadline,
    DueNotice,
    DueRelease,
    RecentCharge,
    Standing,
    UnfinishedAttempt,
    UnfinishedReversal,
)
from agreements.status import AgreementStatus, Stop
from tests.support.clock import WorkflowClock
from tests.workflows.support import Script, closed, due, running, standing
from workflows.agreement import AgreementWorkflow
from workflows.messages import AgreementStart, Command, CommandResult

Handle = WorkflowHandle[AgreementWorkflow, AgreementStatus]
Moves = Callable[[WorkflowClock, Handle, Standing], Awaitable[None]]

DAY = timedelta(days=1)
MONTH = timedelta(days=30)


async def time_passes(clock: WorkflowClock, handle: Handle, first: Standing) -> None:
    await clock.advance(handle, MONTH * 7)


@dataclass(frozen=True)
class Scenario:
    """Where a life starts, which steps follow with what standing they answer, and what happens from outside."""

    first: Standing
    steps: list[tuple[StepKind, Standing]]
    moves: Moves = time_passes
    after_news: Standing | None = None
    after_order: Standing | None = None
    roll_after: int = 400

    async def play(self, clock: WorkflowClock, **worker_options: Any) -> Handle:
        """Plays it to its end on workers of its own; every step must come as written down."""
        coming = iter(self.steps)

        def answer(kind: StepKind, step: StepInput) -> Standing:
            expected, result = next(coming)
            assert kind is expected
            return result

        script = Script(answer)
        script.after_news = self.after_news
        script.obeyed = Obeyed(standing=self.after_order) if self.after_order else None
        start = AgreementStart(standing=self.first, roll_after=self.roll_after)
        async with running(clock.client, script, start, **worker_options) as handle:
            await self.moves(clock, handle, self.first)
            assert await handle.result() is AgreementStatus.COMPLETED
        assert len(script.steps) == len(self.steps)
        return handle


def changed(before: Standing, **changes: object) -> Standing:
    """The next version."""
    return before.model_copy(update={**changes, "version": before.version + 1})


async def command(handle: Handle, name: Command, newer: Standing) -> None:
    """As the API tells the workflow of a change."""
    result: CommandResult = await handle.execute_update(
        name.value, args=[f"cmd-{newer.version}", newer], id=f"cmd-{newer.version}", result_type=CommandResult
    )
    assert result.version == newer.version


def _cycles(count: int, roll_after: int = 400) -> Scenario:
    now = datetime.now(UTC)
    charges = [due(cycle, now + MONTH * cycle) for cycle in range(1, count + 1)]
    latest = first = standing(now, charges=(charges[0],), next_charge_at=charges[0].at, terms="PHP 499.00 monthly")
    steps = []
    for done, coming in pairwise(charges):
        row = RecentCharge(cycle=done.cycle, due_at=done.at, amount=done.amount, status="succeeded")
        latest = changed(latest, charges=(coming,), next_charge_at=coming.at, recent=(*latest.recent, row))
        steps.append((StepKind.CHARGE, latest))
    return Scenario(first, [*steps, (StepKind.CHARGE, closed(latest))], roll_after=roll_after)


def clean_cycles() -> Scenario:
    """Three months, nothing goes wrong."""
    return _cycles(3)


def long_history() -> Scenario:
    """Six months in runs of a few events each."""
    return _cycles(6, roll_after=25)


def authorization() -> Scenario:
    """The page is asked for, the customer comes back, the first cycle is collected."""
    now = datetime.now(UTC)
    first = standing(now, status=AgreementStatus.PENDING_AUTHORIZATION, authorize_at=now)
    waiting = changed(first, authorize_at=None, authorization_expires_at=now + DAY)
    active = changed(
        waiting, status=AgreementStatus.ACTIVE, authorization_expires_at=None, charges=(due(1, now + DAY),)
    )

    async def come_back(clock: WorkflowClock, handle: Handle, _: Standing) -> None:
        await clock.advance(handle, timedelta(minutes=5))
        for _way in range(2):  # by redirect and by notification
            await handle.signal(AgreementWorkflow.provider_news, "ntf_1")
        await clock.advance(handle, DAY)

    steps = [(StepKind.AUTHORIZE, waiting), (StepKind.CHARGE, closed(active))]
    return Scenario(first, steps, come_back, after_news=active)


def authorization_runs_out() -> Scenario:
    """The customer does not come back."""
    now = datetime.now(UTC)
    first = standing(now, status=AgreementStatus.PENDING_AUTHORIZATION, authorization_expires_at=now + DAY)
    return Scenario(first, [(StepKind.EXPIRE_AUTHORIZATION, closed(first))])


def decline_and_unknown() -> Scenario:
    """A decline is tried again days later; that attempt's answer is lost, and found out about."""
    now = datetime.now(UTC)
    charge = due(1, now + MONTH)
    first = standing(now, charges=(charge,))
    again = charge.model_copy(update={"attempt": 2, "at": charge.at + 3 * DAY})
    past_due = changed(first, status=AgreementStatus.PAST_DUE, charges=(again,), next_charge_at=again.at)
    lost = UnfinishedAttempt(attempt_id="att_2", cycle=1, attempt=2, at=again.at + timedelta(seconds=5))
    unknown = changed(past_due, charges=(), unfinished=(lost,), next_charge_at=None)
    later = lost.model_copy(update={"at": lost.at + timedelta(minutes=1)})
    still = changed(unknown, unfinished=(later,))
    steps = [
        (StepKind.CHARGE, past_due),
        (StepKind.CHARGE, unknown),
        (StepKind.INQUIRE, still),
        (StepKind.INQUIRE, closed(still)),
    ]
    return Scenario(first, steps)


def refresh() -> Scenario:
    """A token is refreshed before the charge that falls due with it."""
    now = datetime.now(UTC)
    first = standing(now, charges=(due(1, now + MONTH),), refresh_at=now + MONTH)
    refreshed = changed(first, refresh_at=None)
    return Scenario(first, [(StepKind.REFRESH, refreshed), (StepKind.CHARGE, closed(refreshed))])


def pause_and_resume() -> Scenario:
    """Paused over a due date, resumed, collected."""
    now = datetime.now(UTC)
    first = standing(now, charges=(due(1, now + MONTH),))
    paused = changed(first, stop=Stop.PAUSED, status=AgreementStatus.PAUSED)
    resumed = changed(paused, stop=Stop.NONE, status=AgreementStatus.ACTIVE)

    async def stop_and_go(clock: WorkflowClock, handle: Handle, _: Standing) -> None:
        await command(handle, Command.PAUSE, paused)
        await clock.advance(handle, MONTH * 2)
        await command(handle, Command.RESUME, resumed)

    return Scenario(first, [(StepKind.CHARGE, closed(resumed))], stop_and_go)


def revoke_with_a_late_success() -> Scenario:
    """Revoked with an attempt in flight, which succeeds and is given back; the provider hears of the end first."""
    now = datetime.now(UTC)
    first = standing(now, charges=(due(2, now + MONTH),))
    lost = UnfinishedAttempt(attempt_id="att_1", cycle=1, attempt=1, at=now)
    ended = changed(first, stop=Stop.REVOKED, revoke_at=now, unfinished=(lost,), charges=())
    told = changed(ended, revoke_at=None)
    back = UnfinishedReversal(refund_id="rfd_1", amount="PHP 499.00", at=now)
    owed = changed(told, unfinished=(), reversals=(back,))
    pending = changed(owed, reversals=(back.model_copy(update={"at": now + DAY}),))

    async def revoke(clock: WorkflowClock, handle: Handle, _: Standing) -> None:
        await command(handle, Command.REVOKE, ended)
        await clock.advance(handle, DAY * 2)

    steps = [
        (StepKind.REVOKE, told),
        (StepKind.INQUIRE, owed),
        (StepKind.REVERSE, pending),
        (StepKind.REVERSE, closed(pending)),
    ]
    return Scenario(first, steps, revoke)


def expiry() -> Scenario:
    """The last day of the agreement has passed."""
    now = datetime.now(UTC)
    first = standing(now, expires_at=now + MONTH)
    return Scenario(first, [(StepKind.EXPIRE, closed(first))])


def missed_command() -> Scenario:
    """The change came by signal, since no worker answered the update; an older one comes after it."""
    now = datetime.now(UTC)
    first = standing(now, version=5, charges=(due(1, now + MONTH),))
    newer = changed(first, charges=(due(1, now + DAY),))

    async def look(clock: WorkflowClock, handle: Handle, _: Standing) -> None:
        await handle.signal(AgreementWorkflow.look, newer)
        await handle.signal(AgreementWorkflow.look, first)
        await clock.advance(handle, DAY * 2)

    return Scenario(first, [(StepKind.CHARGE, closed(newer))], look)


def nudged() -> Scenario:
    """Told that another build is wanted, on workers that know of no builds: it looks at its agenda, and rests again."""
    now = datetime.now(UTC)
    first = standing(now, charges=(due(1, now + MONTH),))

    async def nudge(clock: WorkflowClock, handle: Handle, _: Standing) -> None:
        await clock.advance(handle, DAY)
        await handle.signal(AgreementWorkflow.nudge)
        await clock.advance(handle, MONTH)

    return Scenario(first, [(StepKind.CHARGE, closed(first))], nudge)


def a_new_card_pays_the_debt() -> Scenario:
    """Announced, declined for good, paid with the credential the customer gave instead; the old one is released."""
    now = datetime.now(UTC)
    charge = due(1, now + MONTH)
    told = DueNotice(charge_id=charge.charge_id, cycle=1, at=charge.at - 3 * DAY)
    first = standing(now, charges=(charge,), notices=(told,))
    announced = changed(first, notices=())
    deadline = Deadline(charge_id=charge.charge_id, cycle=1, at=charge.at + MONTH)
    waits = changed(
        announced,
        status=AgreementStatus.ACTION_REQUIRED,
        charges=(),
        deadlines=(deadline,),
        card_change_expires_at=deadline.at,
    )
    old = DueRelease(credential_id="crd_1", at=charge.at)
    renewed = changed(
        waits,
        status=AgreementStatus.PAST_DUE,
        deadlines=(),
        card_change_expires_at=None,
        charges=(charge.model_copy(update={"attempt": 2}),),
        releases=(old,),
    )
    paid = changed(renewed, status=AgreementStatus.ACTIVE, charges=())

    async def agree_anew(clock: WorkflowClock, handle: Handle, _: Standing) -> None:
        await clock.advance(handle, MONTH + DAY)
        await handle.signal(AgreementWorkflow.provider_news, "ntf_1")

    steps = [
        (StepKind.ANNOUNCE, announced),
        (StepKind.CHARGE, waits),
        (StepKind.CHARGE, paid),
        (StepKind.RELEASE, closed(paid)),
    ]
    return Scenario(first, steps, agree_anew, after_news=renewed)


def nobody_acts() -> Scenario:
    """The customer's link and the charge's deadline run out."""
    now = datetime.now(UTC)
    deadline = Deadline(charge_id="chg_1", cycle=1, at=now + MONTH)
    first = standing(now, deadlines=(deadline,), card_change_expires_at=now + DAY)
    link_gone = changed(first, card_change_expires_at=None)
    lapsed = changed(link_gone, deadlines=())
    return Scenario(first, [(StepKind.EXPIRE_CARD_CHANGE, link_gone), (StepKind.LAPSE, closed(lapsed))])


def reminded_and_warned() -> Scenario:
    """A link nobody uses is reminded of, and a card that runs out is announced."""
    now = datetime.now(UTC)
    first = standing(now, card_change_reminder_at=now + DAY, credential_warning_at=now + 2 * DAY)
    reminded = changed(first, card_change_reminder_at=None)
    warned = changed(reminded, credential_warning_at=None)
    return Scenario(first, [(StepKind.REMIND, reminded), (StepKind.WARN, closed(warned))])


def a_page_is_closed_before_a_retry() -> Scenario:
    """A retry falls due while the customer may be paying: the page is closed and asked about, then it goes on."""
    now = datetime.now(UTC)
    retry = due(1, now + DAY)
    first = standing(now, charges=(retry,))
    closing = changed(first, charges=(), authorize_at=retry.at)
    open_still = changed(closing, authorize_at=retry.at + timedelta(seconds=5))
    over = changed(open_still, authorize_at=None, charges=(retry,))
    steps = [
        (StepKind.CHARGE, closing),
        (StepKind.AUTHORIZE, open_still),
        (StepKind.AUTHORIZE, over),
        (StepKind.CHARGE, closed(over)),
    ]
    return Scenario(first, steps)


def revoked_by_signal() -> Scenario:
    """An operator ends it with Temporal's own tool; the provider is told."""
    now = datetime.now(UTC)
    first = standing(now, charges=(due(1, now + MONTH),))
    stopped = changed(first, stop=Stop.REVOKED, charges=(), revoke_at=now)

    async def order(clock: WorkflowClock, handle: Handle, _: Standing) -> None:
        await handle.signal(OrderKind.REVOKE.value, {"reason": "asked on the phone"})

    return Scenario(first, [(StepKind.REVOKE, closed(stopped))], order, after_order=stopped)


def test_clock() -> Scenario:
    """Its own time stands still but for ticks; one of them comes twice."""
    start = datetime(2027, 1, 31, tzinfo=UTC)
    charges = [due(cycle, start + MONTH * cycle) for cycle in (1, 2)]
    first = standing(start, charges=(charges[0],))
    first = first.model_copy(update={"agreement": first.agreement.model_copy(update={"test_clock_id": "clk_1"})})
    second = changed(first, charges=(charges[1],), as_of=charges[0].at)

    async def tick(clock: WorkflowClock, handle: Handle, _: Standing) -> None:
        for charge in (charges[0], charges[0], charges[1]):
            await handle.signal(AgreementWorkflow.tick, charge.at)

    return Scenario(first, [(StepKind.CHARGE, second), (StepKind.CHARGE, closed(second))], tick)


SCENARIOS: dict[str, Callable[[], Scenario]] = {
    make.__name__: make
    for make in (
        a_new_card_pays_the_debt,
        a_page_is_closed_before_a_retry,
        authorization,
        authorization_runs_out,
        clean_cycles,
        decline_and_unknown,
        expiry,
        long_history,
        missed_command,
        nobody_acts,
        nudged,
        pause_and_resume,
        refresh,
        reminded_and_warned,
        revoked_by_signal,
        revoke_with_a_late_success,
        test_clock,
    )
}
