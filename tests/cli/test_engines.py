"""The embedded PostgreSQL and Temporal: first start, kill -9, second start, places root's PostgreSQL cannot reach."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from temporalio import activity, workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from cli.embedded.engines import Engines
from cli.embedded.postgres import create_database
from cli.embedded.temporal import NAMESPACE
from tests.cli.test_supervisor import until
from tests.support.folders import data_folder
from workflows import search_attributes


@pytest.fixture
def data() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


@asynccontextmanager
async def running(data: Path, on_restart: Callable[[], None] = lambda: None, **external: str) -> AsyncIterator[Engines]:
    engines = Engines(data, durable=False, external=external, on_restart=on_restart)
    try:
        await engines.start()
        yield engines
    finally:
        await engines.stop()


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""), ssl=False)


async def execute(url: str, *statements: str) -> None:
    connection = await connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def count(url: str, table: str) -> int:
    connection = await connect(url)
    found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 (our own names)
    await connection.close()
    return found


async def inserted(url: str) -> bool:
    try:
        await execute(url, "INSERT INTO kept VALUES (2)")
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
        return False
    return True


def processor_time(pid: int) -> int:
    """User time of a process in clock ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def processes_of(cluster: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if os.readlink(entry) == str(cluster.resolve()):
                found.append(int(entry.parent.name))
    return found


async def test_postgres_survives_kill_9_under_load_and_a_second_start(data: Path) -> None:
    async with running(data, AUTODEBIT_TEMPORAL_ADDRESS="127.0.0.1:1") as engines:
        url = engines.database_url
        await execute(url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
        session = await connect(url)
        busy = asyncio.create_task(session.execute("SELECT count(*) FROM generate_series(1, 1000000000)"))
        backend = session.get_server_pid()
        await until(lambda: processor_time(backend) > 10)
        killed = engines.supervisor.pids["postgres"]
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(asyncpg.PostgresError):
            await asyncio.wait_for(busy, 60)
        async with asyncio.timeout(60):
            while not await inserted(url):
                await asyncio.sleep(0.02)
        assert engines.supervisor.pids["postgres"] != killed
        assert await count(url, "kept") == 2
        # The lock file of a machine that lost power, whose process id is now somebody else's.
    (data / "postgres" / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    assert processes_of(data / "postgres" / "cluster") == []

    async with running(data, AUTODEBIT_TEMPORAL_ADDRESS="127.0.0.1:1") as engines:
        assert engines.database_url == url
        assert await count(url, "kept") == 2
        copy = await create_database(url, "fresh")
        assert copy == await create_database(url, "fresh")
        await execute(copy, "CREATE TABLE other (n int)")
        second = await create_database(url, "second", template="fresh")
        assert await count(second, "other") == 0
        with pytest.raises(asyncpg.InvalidPasswordError):
            await connect(url.replace(url.split(":")[2].split("@")[0], "guessed"))
    password = data / "postgres-password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs PostgreSQL itself, in its own folder")
async def test_root_keeps_postgres_where_its_unprivileged_user_can_reach_it(data: Path) -> None:
    data.chmod(0o700)
    private = data / "private"
    async with running(private, AUTODEBIT_TEMPORAL_ADDRESS="127.0.0.1:1") as engines:
        await execute(engines.database_url, "CREATE TABLE kept (n int)")
    place = (private / "postgres").resolve()
    try:
        assert data not in place.parents
        assert place.stat().st_uid != 0
        async with running(private, AUTODEBIT_TEMPORAL_ADDRESS="127.0.0.1:1") as engines:
            assert await count(engines.database_url, "kept") == 0
        assert (private / "postgres").resolve() == place
    finally:
        shutil.rmtree(place)


@workflow.defn(sandboxed=False)
class Waiting:
    """Sleeps until told to go."""

    def __init__(self) -> None:
        self.told = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.told)
        return "went"

    @workflow.signal
    def go(self) -> None:
        self.told = True


@activity.defn
async def third_time() -> int:
    if activity.info().attempt < 3:
        raise ApplicationError("not yet", next_retry_delay=timedelta(milliseconds=10))
    return activity.info().attempt


async def test_temporal_is_set_up_and_keeps_its_workflows_through_kill_9(data: Path) -> None:
    back = asyncio.Event()
    async with running(data, back.set, AUTODEBIT_DATABASE_URL="postgresql+asyncpg://unused") as engines:
        client = await Client.connect(engines.temporal_address)
        namespace = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
        assert namespace.config.workflow_execution_retention_ttl.ToTimedelta() >= timedelta(days=30)
        attributes = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=NAMESPACE)
        )
        wanted = {key.name: int(key.indexed_value_type) for key in search_attributes.ALL}
        assert wanted.items() <= dict(attributes.custom_attributes).items()

        handle = await client.start_workflow(Waiting.run, id="waiting", task_queue="q")
        killed = engines.supervisor.pids["temporal"]
        os.kill(killed, signal.SIGKILL)
        await asyncio.wait_for(back.wait(), 90)
        assert engines.supervisor.pids["temporal"] != killed
        async with Worker(client, task_queue="q", workflows=[Waiting], activities=[third_time]):
            await handle.signal(Waiting.go)
            assert await asyncio.wait_for(handle.result(), 90) == "went"
            # Webhook deliveries are standalone activities that say themselves when they want to be tried again.
            attempts = await client.execute_activity(
                third_time,
                id="delivery",
                task_queue="q",
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(initial_interval=timedelta(minutes=10)),
            )
            assert attempts == 3
    assert (data / "logs" / "temporal.log").exists()
