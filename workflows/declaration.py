"""The life of a declaration at customs: it keeps the time and has one call made after the other until customs answered.

PostgreSQL decides and holds the truth. The provider sends no news of declarations, so nothing ends a wait but time.
"""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from activities.contract import DECLARE, DeclarationInput, Urgency, gateway_queue
    from agreements.declarations import DeclarationStanding, DeclarationStatus
    from workflows import builds, calls
    from workflows.details import declaration_details
    from workflows.messages import DeclarationStart


@workflow.defn
class DeclarationWorkflow:
    """One per declaration. A month of questions, the rest of them six hours apart, leaves the history short."""

    @workflow.init
    def __init__(self, start: DeclarationStart) -> None:
        self._declaration = start.declaration
        self._clock = start.declaration.as_of
        self._nudges = 0

    @workflow.run
    async def run(self, start: DeclarationStart) -> DeclarationStatus:
        """Answers how the declaration ended."""
        self._show()
        while (due_at := self._declaration.next_at) is not None:
            if self._nudges and builds.another_build_is_wanted():
                declaration = self._declaration.model_copy(update={"as_of": self._clock})
                builds.continue_as_new(DeclarationStart(declaration=declaration))
            if due_at <= self._now():
                await self._perform()
            else:
                await self._rest(due_at)
        return self._declaration.status

    async def _perform(self) -> None:
        before = self._declaration
        self._declaration = await calls.done(
            DECLARE,
            DeclarationInput(agreement_id=before.agreement_id, declaration_id=before.declaration_id, at=self._now()),
            DeclarationStanding,
            before.title,
            task_queue=gateway_queue(before.gateway),
            priority=Priority(priority_key=Urgency.RETRY, fairness_key=before.merchant_id),
        )
        self._clock = max(self._clock, self._declaration.as_of)
        self._show()

    async def _rest(self, due_at: datetime) -> None:
        """Waits for the next call. A test clock stands still, so only its tick can end the wait."""
        clock, nudges = self._clock, self._nudges
        wait = None if self._on_test_clock else due_at - self._now()
        try:
            await workflow.wait_condition(
                lambda: self._clock > clock or self._nudges > nudges,
                timeout=wait,
                timeout_summary="ask the provider again",
            )
        except TimeoutError:
            return

    @workflow.signal
    def tick(self, now: datetime) -> None:
        """The agreement's test clock has moved."""
        self._clock = max(self._clock, now)

    @workflow.signal
    def nudge(self) -> None:
        """Another build of the worker is wanted: what rests is to go on with it."""
        self._nudges += 1

    @workflow.query
    def snapshot(self) -> DeclarationStanding:
        """What the workflow goes by, for operators."""
        return self._declaration

    def _show(self) -> None:
        workflow.set_current_details(declaration_details(self._declaration))

    @property
    def _on_test_clock(self) -> bool:
        return self._declaration.test_clock_id is not None

    def _now(self) -> datetime:
        return self._clock if self._on_test_clock else workflow.now()
