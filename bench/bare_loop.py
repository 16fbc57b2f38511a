"""What the collection of debits is measured beside: a Temporal loop of one timer and one activity.

Run as a process: `python -m bench.bare_loop FILE`, where FILE holds an `Errand`. The activity makes the very call the
engine makes, signed and checked by the same connector; there is no ledger, no event and no second look: it is the
floor, not a competitor.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from agreements.money import Money
from agreements.terms import Terms
from gateways import http
from gateways.antom import connector
from gateways.port import Account, Call, ChargeRequest, Verdict

QUEUE = "bench-bare-loop"
_MONTH = timedelta(days=30)
_CALL = timedelta(seconds=30)


class Errand(BaseModel):
    """Whom to debit, through which account."""

    temporal_address: str
    account_id: str
    base_url: str
    keys: dict[str, str]
    payment_method: str
    token: str
    amount: Money
    terms: Terms
    notify_url: str
    at_once: int


@workflow.defn
class BareLoop:
    """Sleeps until the next debit is due, has it made, sleeps again."""

    @workflow.run
    async def run(self, order: str, due_at: str) -> None:
        """`due_at` in ISO 8601; never ends by itself."""
        due = datetime.fromisoformat(due_at)
        while True:
            await workflow.sleep(max(due - workflow.now(), timedelta(0)))
            await workflow.execute_activity("bare_debit", order, start_to_close_timeout=_CALL)
            due += _MONTH


@dataclass(frozen=True)
class _Debits:
    errand: Errand
    client: httpx.AsyncClient

    @activity.defn(name="bare_debit")
    async def debit(self, order: str) -> str:
        """Makes the call; RuntimeError for anything but a success."""
        errand = self.errand
        account = Account(errand.account_id, livemode=False, base_url=errand.base_url, keys=errand.keys, sandbox=True)
        request = ChargeRequest(
            request_id=f"{order}-a1",
            order_id=order,
            description=f"{order}, cycle 1",
            amount=errand.amount,
            payment_method=errand.payment_method,
            token=errand.token,
            notify_url=errand.notify_url,
            customer_id=f"cus-{order}",
            agreement_id=order,
            terms=errand.terms,
        )
        answer = await connector.gateway(self.client).charge(account, request, Call(timeout=timedelta(seconds=12)))
        if answer.verdict is not Verdict.SUCCEEDED:
            raise RuntimeError(f"{order}: {answer.verdict} {answer.evidence}")
        return answer.payment_id or ""


async def start(temporal: Client, orders: list[str], due_at: datetime) -> None:
    """Starts a loop for each of these orders, by a workflow id of the same name."""
    places = asyncio.Semaphore(16)

    async def one(order: str) -> None:
        async with places:
            await temporal.start_workflow(
                BareLoop.run, args=[order, due_at.astimezone(UTC).isoformat()], id=order, task_queue=QUEUE
            )

    await asyncio.gather(*(one(order) for order in orders))


async def _work(errand: Errand) -> None:
    temporal = await Client.connect(errand.temporal_address)
    async with http.client() as client:
        # Its module imports httpx, which the workflow sandbox need not load once more.
        await Worker(
            temporal,
            task_queue=QUEUE,
            workflows=[BareLoop],
            activities=[_Debits(errand, client).debit],
            max_concurrent_activities=errand.at_once,
            workflow_runner=UnsandboxedWorkflowRunner(),
        ).run()


if __name__ == "__main__":
    asyncio.run(_work(Errand.model_validate_json(Path(sys.argv[1]).read_text())))
