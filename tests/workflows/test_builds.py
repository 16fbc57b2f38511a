"""Running agreements move to changed code and back, without a change under any run; no step is done twice meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.api.deployment.v1 import RoutingConfig, WorkerDeploymentVersion
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker
from temporalio.workflow import NondeterminismError
from typer.testing import CliRunner

from activities.contract import STEPS, StepInput, gateway_queue
from agreements.agenda import Step, StepKind
from agreements.declarations import DeclarationStanding, DeclarationStatus
from agreements.refunds import RefundStanding, RefundStatus
from agreements.standing import Standing
from agreements.status import AgreementStatus
from cli.main import app
from tests.promises.support import until
from tests.support.clock import WorkflowClock
from tests.workflows.record import runs
from tests.workflows.support import closed, due, standing
from workflows import deployments
from workflows.agreement import AgreementWorkflow
from workflows.credential_checks import CredentialChecksWorkflow
from workflows.declaration import DeclarationWorkflow
from workflows.messages import (
    AgreementStart,
    CredentialChecksStart,
    DeclarationStart,
    RefundStart,
    agreement_workflow_id,
    declaration_workflow_id,
    refund_workflow_id,
)
from workflows.refund import RefundWorkflow

MONTH = timedelta(days=30)
CYCLES = 3
WEIGH = "weigh"


@workflow.defn(name=AgreementWorkflow.__name__)
class Changed(AgreementWorkflow):
    """The next release: before each step something else is done first, which no history of before has."""

    @workflow.init
    def __init__(self, start: AgreementStart) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: AgreementStart) -> AgreementStatus:
        return await super().run(start)

    async def _perform(self, step: Step) -> None:
        agreement = self._standing.agreement.id
        await workflow.execute_activity(WEIGH, agreement, start_to_close_timeout=timedelta(seconds=10))
        await super()._perform(step)


class World:
    """Agreements of three cycles, a refund, a declaration and the checks, all at rest most of the time."""

    def __init__(self, clock: WorkflowClock) -> None:
        self.clock, self.client = clock, clock.client
        self.deployment, self.queue, self.gateway = f"d-{uuid4().hex}", uuid4().hex, f"scripted-{uuid4().hex}"
        self.now = datetime.now(UTC)
        self.done: list[tuple[str, str]] = []
        self.weighed: list[str] = []
        self.last: dict[str, Standing] = {}

    @activity.defn(name=STEPS[StepKind.CHARGE])
    async def charge(self, given: StepInput) -> Standing:
        self.done.append((given.agreement_id, given.subject))
        before, cycle = self.last[given.agreement_id], int(given.subject.removeprefix("chg_"))
        coming = (due(cycle + 1, self.now + MONTH * (cycle + 1)),)
        after = before.model_copy(update={"version": before.version + 1, "charges": coming})
        self.last[given.agreement_id] = after if cycle < CYCLES else closed(before)
        return self.last[given.agreement_id]

    @activity.defn(name=WEIGH)
    async def weigh(self, agreement: str) -> None:
        self.weighed.append(agreement)

    @asynccontextmanager
    async def worked(self, build: str | None, agreements: type = AgreementWorkflow) -> AsyncIterator[None]:
        """Workers of one build, or of none."""
        name = self.deployment if build else None
        others = [RefundWorkflow, DeclarationWorkflow, CredentialChecksWorkflow]
        given: dict[str, Any] = {"deployment_config": deployments.config(name, build)}
        given["workflow_runner"] = UnsandboxedWorkflowRunner()
        async with (
            Worker(
                self.client,
                task_queue=self.queue,
                workflows=[agreements, *others],
                activities=[self.weigh],
                **given,
            ),
            Worker(self.client, task_queue=gateway_queue(self.gateway), activities=[self.charge], **given),
        ):
            yield

    async def agree(self) -> WorkflowHandle[Any, Any]:
        first = standing(self.now, charges=(due(1, self.now + MONTH),))
        identity = first.agreement.model_copy(update={"gateway": self.gateway})
        first = self.last[identity.id] = first.model_copy(update={"agreement": identity})
        return await self._start(AgreementWorkflow, AgreementStart(standing=first), agreement_workflow_id(identity.id))

    async def others(self) -> list[WorkflowHandle[Any, Any]]:
        """One of every other kind that rests for long."""
        owner = {"agreement_id": "agr_1", "merchant_id": "mer_1", "gateway": self.gateway, "title": "refund PHP 1.00"}
        times = {"as_of": self.now, "next_at": self.now + MONTH * 9}
        refund = RefundStanding(refund_id=uuid4().hex, status=RefundStatus.PENDING, **owner, **times)
        declared = DeclarationStanding(declaration_id=uuid4().hex, status=DeclarationStatus.PENDING, **owner, **times)
        checks = CredentialChecksStart(interval=MONTH * 9, gateways=[self.gateway])
        return [
            await self._start(RefundWorkflow, RefundStart(refund=refund), refund_workflow_id(refund.refund_id)),
            await self._start(
                DeclarationWorkflow,
                DeclarationStart(declaration=declared),
                declaration_workflow_id(declared.declaration_id),
            ),
            await self._start(CredentialChecksWorkflow, checks, f"checks-{self.queue}"),
        ]

    async def _start(self, kind: type, start: Any, id_: str) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(kind.__name__, start, id=id_, task_queue=self.queue)

    async def command(self, *words: str, code: int = 0) -> str:
        """`autodebit deployments …`, as an operator says it."""
        environment = {
            "AUTODEBIT_TEMPORAL_ADDRESS": self.client.service_client.config.target_host,
            "AUTODEBIT_DEPLOYMENT": self.deployment,
            "AUTODEBIT_DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1:9/none",
            "AUTODEBIT_VAULT_KEYS": "unused",
            "AUTODEBIT_VAULT_HASH_KEY": "unused",
        }
        done = await asyncio.to_thread(CliRunner().invoke, app, ["deployments", *words], env=environment)
        assert done.exit_code == code, done.output
        return done.output

    async def builds(self) -> dict[str, int]:
        """How many run on each."""
        return {
            each["build_id"]: each["running"] for each in json.loads(await self.command("show", "--json"))["builds"]
        }

    async def tried_and_taken_back(self, build: str) -> None:
        """A build is given a share of what begins, which is then taken back: what began there is to leave it, too."""
        await self.command("promote", build, "--percent", "100")
        one = await self.agree()
        await one.query(AgreementWorkflow.snapshot)
        await until(partial(self.runs_beside, build, 1))
        assert await deployments.left(self.client, self.deployment) == 0, "both builds are wanted"
        await deployments.promote(self.client, self.deployment, build, 0)
        assert await deployments.left(self.client, self.deployment) == 1
        await one.terminate()
        await until(partial(self.runs_beside, build, 0))
        del self.last[one.id.removeprefix("agreement/")]

    async def every_queue_knows(self, build: str, instead_of: str) -> None:
        """What stands in for Temporal's own word where that is not given."""
        new, old = (
            WorkerDeploymentVersion(deployment_name=self.deployment, build_id=each) for each in (build, instead_of)
        )
        halved = RoutingConfig(
            current_deployment_version=old, ramping_deployment_version=new, ramping_version_percentage=50
        )
        for routing, known in (
            (RoutingConfig(current_deployment_version=new), True),
            (RoutingConfig(current_deployment_version=old), False),
            (halved, False),
        ):
            assert await deployments.queues_know(self.client, routing) is known

    async def runs_beside(self, build: str, number: int) -> bool:
        return (await self.builds())[build] == number

    async def runs_on(self, builds: dict[str, int]) -> bool:
        """As lists show it, which lag behind."""
        return await self.builds() == builds

    async def month(self, handles: list[WorkflowHandle[Any, Any]]) -> None:
        await asyncio.gather(*(self.clock.advance(handle, MONTH) for handle in handles))


async def test_running_agreements_move_to_changed_code_and_back(clock: WorkflowClock) -> None:
    world = World(clock)
    async with world.worked(None):
        agreements = [await world.agree()]
        await agreements[0].query(AgreementWorkflow.snapshot)
    await world.command("promote", "1.0", "--wait", "0", code=1)
    async with world.worked("1.0"):
        await world.command("promote", "1.0")
        agreements += [await world.agree(), await world.agree()]
        others = await world.others()
        await world.month(agreements)
        assert {cycle for _, cycle in world.done} == {"chg_1"}
        async with world.worked("2.0", Changed):
            await world.tried_and_taken_back("2.0")
            await world.command("promote", "2.0")
            await world.every_queue_knows("2.0", instead_of="1.0")
            assert (await world.builds())["2.0"] == 0, "what runs stays where it is"
            assert "none left" in await world.command("drain", "--rate", "50", "--within", "60")
            await until(partial(world.runs_on, {"2.0": 6, "1.0": 0}))
            await world.month(agreements)
            assert sorted(world.weighed) == sorted(world.last), "by the changed code"
            await world.command("promote", "1.0")
            await world.command("drain", "--rate", "50", "--within", "60")
        await world.month(agreements)
        assert [await handle.result() for handle in agreements] == [AgreementStatus.COMPLETED] * 3
    assert len(world.weighed) == 3, "not after the return"
    assert sorted(world.done) == sorted((id_, f"chg_{cycle}") for id_ in world.last for cycle in range(1, CYCLES + 1))
    [first, second, _] = await runs(clock.client, agreements[0].id)
    for code, history, fits in ((AgreementWorkflow, first, True), (Changed, second, True), (Changed, first, False)):
        replayer = Replayer(
            workflows=[code], data_converter=pydantic_data_converter, workflow_runner=UnsandboxedWorkflowRunner()
        )
        if fits:
            await replayer.replay_workflow(history)
        else:
            with pytest.raises(NondeterminismError):
                await replayer.replay_workflow(history)
    for handle in others:
        assert len(await runs(clock.client, handle.id)) == 3
        await handle.terminate()
