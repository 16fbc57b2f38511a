"""The life of a declaration at customs: it keeps the time and has one call made after the other until customs answered.

PostgreSQL decides and holds the truth. The provider sends no news of declarations, so nothing ends a wait but time.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from activities.contract import DECLARE, DeclarationInput, Urgency, gateway_queue
    from agreements.declarations import DeclarationStanding, DeclarationStatus
    from workflows import builds, calls
    from workflows.beside import Beside
    from workflows.details import declaration_details
    from workflows.messages import DeclarationStart


@workflow.defn
class DeclarationWorkflow(Beside):
    """One per declaration. A month of questions, the rest of them six hours apart, leaves the history short."""

    @workflow.init
    def __init__(self, start: DeclarationStart) -> None:
        super().__init__(start.declaration.as_of, on_test_clock=start.declaration.test_clock_id is not None)
        self._declaration = start.declaration

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

    @workflow.query
    def snapshot(self) -> DeclarationStanding:
        """What the workflow goes by, for operators."""
        return self._declaration

    def _show(self) -> None:
        workflow.set_current_details(declaration_details(self._declaration))
