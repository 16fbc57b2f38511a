"""The life of a refund a merchant asked for. It may outlive its agreement by months.

PostgreSQL decides and holds the truth; this workflow keeps the time and has one call made after the other, until the
refund has succeeded or failed. A message that comes after that is settled by another run.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from activities.contract import REFUND, REFUND_NEWS, RefundInput, RefundNewsInput, Urgency, gateway_queue
    from agreements.refunds import RefundStanding, RefundStatus
    from workflows import builds, calls
    from workflows.beside import Beside
    from workflows.details import refund_details
    from workflows.messages import RefundStart


@workflow.defn
class RefundWorkflow(Beside):
    """One per refund. Looks become daily, so that even a long outage of the provider leaves the history short."""

    @workflow.init
    def __init__(self, start: RefundStart) -> None:
        super().__init__(start.refund.as_of, on_test_clock=start.refund.test_clock_id is not None)
        self._refund = start.refund
        self._news = list(start.news)

    @workflow.run
    async def run(self, start: RefundStart) -> RefundStatus:
        """Answers how the refund ended."""
        self._show()
        while self._news or self._refund.next_at is not None:
            if self._nudges and builds.another_build_is_wanted():
                refund = self._refund.model_copy(update={"as_of": self._clock})
                builds.continue_as_new(RefundStart(refund=refund, news=self._news))
            if self._news:
                await self._settle(self._news[0])
            elif self._refund.next_at is not None and self._refund.next_at <= self._now():
                await self._perform()
            else:
                await self._rest(self._refund.next_at)
        return self._refund.status

    async def _perform(self) -> None:
        refund = self._refund
        await self._do(
            REFUND,
            RefundInput(agreement_id=refund.agreement_id, refund_id=refund.refund_id, at=self._now()),
            refund.title,
            task_queue=gateway_queue(refund.gateway),
        )

    async def _settle(self, notification_id: str) -> None:
        news = RefundNewsInput(
            agreement_id=self._refund.agreement_id,
            refund_id=self._refund.refund_id,
            at=self._now(),
            notification_id=notification_id,
        )
        await self._do(REFUND_NEWS, news, "settle news from the provider")
        self._news.remove(notification_id)

    async def _do(self, activity: str, argument: RefundInput, summary: str, task_queue: str | None = None) -> None:
        """News touches only our own database: it is settled on the workflow's own queue."""
        priority = Priority(priority_key=Urgency.QUESTION, fairness_key=self._refund.merchant_id)
        self._refund = await calls.done(
            activity, argument, RefundStanding, summary, task_queue=task_queue, priority=priority
        )
        self._clock = max(self._clock, self._refund.as_of)
        self._show()

    @workflow.signal
    def provider_news(self, notification_id: str) -> None:
        """The provider said something about the refund; it is in the journal."""
        if notification_id not in self._news:
            self._news.append(notification_id)
            self._revision += 1

    @workflow.query
    def snapshot(self) -> RefundStanding:
        """What the workflow goes by, for operators."""
        return self._refund

    def _show(self) -> None:
        workflow.set_current_details(refund_details(self._refund))
