"""A scripted engine behind the workflow: the real activity names, answers made by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.contract import NEWS, OBEY, STEPS, NewsInput, Obeyed, OrderInput, StepInput, gateway_queue
from agreements.agenda import StepKind
from agreements.standing import DueCharge, Identity, Standing
from agreements.status import AgreementStatus, Stop
from workflows.agreement import AgreementWorkflow
from workflows.messages import AgreementStart, agreement_workflow_id

Answer = Callable[[StepKind, StepInput], Standing]


class Script:
    """Answers steps and remembers them."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.steps: list[tuple[StepKind, StepInput]] = []
        self.news: list[str] = []
        self.after_news: Standing | None = None
        self.orders: list[OrderInput] = []
        self.obeyed: Obeyed | None = None

    def activities(self) -> list[Callable[..., object]]:
        return [*(self._step(kind) for kind in StepKind), self._settle()]

    def _step(self, kind: StepKind) -> Callable[..., object]:
        @activity.defn(name=STEPS[kind])
        async def step(given: StepInput) -> Standing:
            self.steps.append((kind, given))
            return self._answer(kind, given)

        return step

    def _settle(self) -> Callable[..., object]:
        @activity.defn(name=NEWS)
        async def settle(given: NewsInput) -> Standing:
            self.news.append(given.notification_id)
            assert self.after_news is not None
            return self.after_news

        return settle

    def obey(self) -> Callable[..., object]:
        """Of the queue that touches only our own database."""

        @activity.defn(name=OBEY)
        async def obey(given: OrderInput) -> Obeyed:
            self.orders.append(given)
            assert self.obeyed is not None
            return self.obeyed

        return obey


def standing(now: datetime, **changed: object) -> Standing:
    """An active agreement without anything to do, on a gateway of its own."""
    identity = Identity(
        id=f"agr_{uuid4().hex}",
        merchant_id="mer_1",
        gateway=f"scripted-{uuid4().hex}",
        customer_id="cus-1",
        reference="sub-1",
        test_clock_id=None,
    )
    given: dict[str, object] = {
        "agreement": identity,
        "version": 1,
        "as_of": now,
        "status": AgreementStatus.ACTIVE,
        "stop": Stop.NONE,
        "closed": False,
    }
    return Standing.model_validate({**given, **changed})


def due(cycle: int, at: datetime) -> DueCharge:
    return DueCharge(charge_id=f"chg_{cycle}", cycle=cycle, attempt=1, amount="PHP 499.00", at=at)


def closed(last: Standing) -> Standing:
    return last.model_copy(
        update={
            "version": last.version + 10,
            "status": AgreementStatus.COMPLETED,
            "closed": True,
            "charges": (),
            "next_charge_at": None,
        }
    )


@asynccontextmanager
async def running(
    client: Client, script: Script, start: AgreementStart, identity: str | None = None, **worker_options: Any
) -> AsyncIterator[WorkflowHandle[AgreementWorkflow, AgreementStatus]]:
    """The agreement's workflow on queues of its own, with the scripted activities."""
    queue = f"agreements-{uuid4().hex}"
    gateway = gateway_queue(start.standing.agreement.gateway)
    async with (
        Worker(
            client,
            task_queue=queue,
            workflows=[AgreementWorkflow],
            activities=[script.obey(), *script.activities()],
            identity=identity,
            **worker_options,
        ),
        Worker(client, task_queue=gateway, activities=script.activities(), identity=identity),
    ):
        await client.start_workflow(
            AgreementWorkflow.run, start, id=agreement_workflow_id(start.standing.agreement.id), task_queue=queue
        )
        yield client.get_workflow_handle_for(AgreementWorkflow.run, agreement_workflow_id(start.standing.agreement.id))


def utc(year: int, month: int, day: int, hour: int = 1) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)
