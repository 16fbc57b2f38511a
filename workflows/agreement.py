"""The life of an agreement.

PostgreSQL holds the truth; this workflow is the agreement's clock and its queue. It waits for the
next thing on the agenda, has it done, and goes on from the standing that comes back. Because a standing is complete and
numbered, news, commands and answers may overtake each other freely: the highest version wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from temporalio import workflow
from temporalio.common import Priority, RawValue

with workflow.unsafe.imports_passed_through():
    from activities.contract import (
        NEWS,
        OBEY,
        STEPS,
        NewsInput,
        Obeyed,
        OrderInput,
        StepInput,
        Urgency,
        step_queue,
        urgency,
    )
    from agreements.agenda import Step, next_step
    from agreements.explaining import explain
    from agreements.standing import Standing
    from agreements.status import AgreementStatus
    from workflows import builds, calls, search_attributes
    from workflows.details import details
    from workflows.messages import AgreementStart, CommandResult
    from workflows.orders import Order, read_order

_COMMANDS_REMEMBERED = 64
_OURS = "the engine's own"


@workflow.defn
class AgreementWorkflow:
    """One per agreement, from its creation until it has ended and nothing is left to find out or to give back."""

    @workflow.init
    def __init__(self, start: AgreementStart) -> None:
        self._standing = start.standing
        self._clock = start.standing.as_of
        self._news = list(start.news)
        self._orders = list(start.orders)
        self._remark = start.remark
        self._applied = dict(start.applied)
        self._shown = start.shown
        self._roll_after = start.roll_after
        self._revision = 0

    @workflow.run
    async def run(self, start: AgreementStart) -> AgreementStatus:
        """Answers the status the agreement ended with."""
        while self._orders or self._news or not self._standing.closed:
            self._show()
            self._roll()
            step = next_step(self._standing, self._now())
            if self._orders:
                await self._obey(self._orders[0])
            elif self._news:
                await self._settle(self._news[0])
            elif step is not None and step.due_at <= self._now():
                await self._perform(step)
            else:
                await self._rest_until(step)
        self._show()
        return self._standing.status

    # What the loop does

    async def _perform(self, step: Step) -> None:
        await self._do(
            STEPS[step.kind],
            StepInput(
                agreement_id=self._standing.agreement.id, at=self._now(), subject=step.subject, attempt=step.attempt
            ),
            step.title,
            urgency(step),
            task_queue=step_queue(step.kind, self._standing.agreement.gateway),
        )

    async def _settle(self, notification_id: str) -> None:
        news = NewsInput(agreement_id=self._standing.agreement.id, notification_id=notification_id, at=self._now())
        await self._do(NEWS, news, "settle news from the provider", Urgency.QUESTION)
        self._news.remove(notification_id)

    async def _obey(self, order: Order) -> None:
        """What an operator asked for, before anything else, for it may be a stop.

        It touches only our own rows: done on the workflow's own queue, no provider's outage or rate limit delays it.
        """
        obeyed = await calls.done(
            OBEY,
            OrderInput(agreement_id=self._standing.agreement.id, at=self._now(), **order.model_dump()),
            Obeyed,
            f"{order.kind}, asked for by signal",
        )
        self._orders.remove(order)
        if obeyed.refused:
            self._remark = f"signal '{order.kind}' could not be obeyed: {obeyed.refused}"
        self._adopt(obeyed.standing)

    async def _do(
        self,
        activity: str,
        argument: StepInput | NewsInput,
        summary: str,
        first: Urgency,
        task_queue: str | None = None,
    ) -> None:
        priority = Priority(priority_key=first, fairness_key=self._standing.agreement.merchant_id)
        self._adopt(await calls.done(activity, argument, Standing, summary, task_queue=task_queue, priority=priority))

    async def _rest_until(self, step: Step | None) -> None:
        """Waits for the step's instant or for news. A test clock stands still, so only its tick can end the wait."""
        seen = self._revision
        wait = None if step is None or self._on_test_clock else step.due_at - self._now()
        try:
            await workflow.wait_condition(
                lambda: self._revision != seen, timeout=wait, timeout_summary=step.title if step else None
            )
        except TimeoutError:
            return

    def _roll(self) -> None:
        """Continues as new when the history is long, or when another build is wanted and news have come in this run."""
        info = workflow.info()
        long = info.is_continue_as_new_suggested() or info.get_current_history_length() > self._roll_after
        moves = self._revision > 0 and builds.another_build_is_wanted()
        if (long or moves) and workflow.all_handlers_finished():
            builds.continue_as_new(
                AgreementStart(
                    standing=self._standing.model_copy(update={"as_of": self._clock}),
                    news=self._news,
                    orders=self._orders,
                    remark=self._remark,
                    applied=self._applied,
                    shown=self._shown,
                    roll_after=self._roll_after,
                )
            )

    # What arrives meanwhile: recorded here, acted on by the loop

    @workflow.update
    def pause(self, command_id: str, standing: Standing) -> CommandResult:
        """The merchant paused the agreement; the row says so already."""
        return self._take_up(command_id, standing)

    @workflow.update
    def resume(self, command_id: str, standing: Standing) -> CommandResult:
        """The merchant resumed the agreement; the row says so already."""
        return self._take_up(command_id, standing)

    @workflow.update
    def revoke(self, command_id: str, standing: Standing) -> CommandResult:
        """The agreement was revoked; the row says so already, and no debit can start."""
        return self._take_up(command_id, standing)

    @workflow.signal(description=_OURS)
    def look(self, standing: Standing) -> None:
        """A change was committed while no worker could answer an update."""
        self._adopt(standing)

    @workflow.signal(description=_OURS)
    def provider_news(self, notification_id: str) -> None:
        """The provider, or the customer coming back from its page, said something; it is in the journal."""
        if notification_id not in self._news:
            self._news.append(notification_id)
            self._revision += 1

    @workflow.signal(description=_OURS)
    def tick(self, now: datetime) -> None:
        """The agreement's test clock has moved."""
        if now > self._clock:
            self._clock = now
            self._revision += 1

    @workflow.signal(description=_OURS)
    def nudge(self) -> None:
        """Another build of the worker is wanted: what rests is to go on with it."""
        self._revision += 1

    @workflow.signal(dynamic=True, description="revoke, request_card_change: for operators; any other is ignored")
    def order(self, name: str, payloads: Sequence[RawValue]) -> None:
        """`revoke` and `request_card_change` from an operator; nothing that is sent here may break the workflow.

        The name `revoke` serves the API's update too: updates and signals are apart.
        """
        order, self._remark = read_order(name, payloads)
        if order is not None:
            self._orders.append(order)
            self._revision += 1
        self._describe()

    @workflow.query(description="what the workflow goes by, as data")
    def snapshot(self) -> Standing:
        """What the workflow goes by, for operators."""
        return self._standing

    @workflow.query(description="what happens next, when and why, in words")
    def explain(self) -> str:
        """What happens next, when and why; what holds it, what would change it, and what was decided last."""
        return explain(self._standing, self._now())

    def _take_up(self, command_id: str, standing: Standing) -> CommandResult:
        if command_id in self._applied:
            return self._applied[command_id]
        self._adopt(standing)
        result = CommandResult(version=self._standing.version)
        self._applied[command_id] = result
        if len(self._applied) > _COMMANDS_REMEMBERED:
            del self._applied[next(iter(self._applied))]
        return result

    def _adopt(self, standing: Standing) -> None:
        if standing.version > self._standing.version:
            self._standing = standing
            self._clock = max(self._clock, standing.as_of)
            self._revision += 1

    # What time it is, and what people see

    @property
    def _on_test_clock(self) -> bool:
        return self._standing.agreement.test_clock_id is not None

    def _now(self) -> datetime:
        return self._clock if self._on_test_clock else workflow.now()

    def _describe(self) -> None:
        workflow.set_current_details(details(self._standing, self._now(), self._remark))

    def _show(self) -> None:
        """The workflow list and the open workflow in the Temporal UI; attributes are written only when they change."""
        self._describe()
        shown = (self._standing.status.value, self._standing.next_charge_at)
        if shown == self._shown:
            return
        status, next_charge_at = self._shown = shown
        workflow.upsert_search_attributes(
            [
                search_attributes.AGREEMENT_STATUS.value_set(status),
                search_attributes.PAST_DUE.value_set(self._standing.status is AgreementStatus.PAST_DUE),
                search_attributes.NEXT_CHARGE_AT.value_set(next_charge_at)
                if next_charge_at
                else search_attributes.NEXT_CHARGE_AT.value_unset(),
            ]
        )
