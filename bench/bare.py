"""What the front door is measured beside: FastAPI and `start_workflow`, with nothing of ours.

Run as a process: `python -m bench.bare api|worker TEMPORAL_ADDRESS PORT`. It keeps no ledger, checks no key, asks no
provider: it is the floor, not a competitor.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "bench-bare"


@workflow.defn
class Bare:
    """Waits for its first cycle, as an agreement does."""

    @workflow.run
    async def run(self, body: dict[str, Any]) -> None:
        """Sleeps a month."""
        await workflow.sleep(timedelta(days=30))


def app(temporal_address: str) -> FastAPI:
    """Two routes: start a workflow, and look at it."""

    @asynccontextmanager
    async def connected(served: FastAPI) -> AsyncIterator[None]:
        served.state.client = await Client.connect(temporal_address)
        yield

    served = FastAPI(lifespan=connected)

    @served.post("/agreements", status_code=201)
    async def create(body: dict[str, Any]) -> dict[str, Any]:
        id_ = str(uuid.uuid4())
        await served.state.client.start_workflow(Bare.run, body, id=f"bare/{id_}", task_queue=QUEUE)
        return {"id": id_, **body}

    @served.get("/agreements/{id_}")
    async def read(id_: str) -> dict[str, Any]:
        found = await served.state.client.get_workflow_handle(f"bare/{id_}").describe()
        return {"id": id_, "status": found.status.name if found.status else None}

    return served


async def _work(temporal_address: str) -> None:
    client = await Client.connect(temporal_address)
    # Its module imports FastAPI, which the workflow sandbox need not load once more.
    await Worker(client, task_queue=QUEUE, workflows=[Bare], workflow_runner=UnsandboxedWorkflowRunner()).run()


def main(role: str, temporal_address: str, port: str) -> None:
    """Serves or works until it is told to stop."""
    if role == "api":
        uvicorn.run(app(temporal_address), host="127.0.0.1", port=int(port), log_level="warning")
    else:
        asyncio.run(_work(temporal_address))


if __name__ == "__main__":
    main(*sys.argv[1:4])
