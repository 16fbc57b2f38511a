"""PostgreSQL and Temporal alone: what `dev` builds on and tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.embedded.ports import choose_ports
from cli.embedded.postgres import Postgres
from cli.embedded.supervisor import Process, Supervisor
from cli.embedded.temporal import Temporal


class Engines:
    """The two engines, each embedded in `data` unless an address of a running one is given."""

    def __init__(
        self,
        data: Path,
        *,
        time_skipping: bool = False,
        durable: bool = True,
        ports: Mapping[str, int] | None = None,
        external: Mapping[str, str] | None = None,
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        """`durable=False` is for tests: PostgreSQL does not flush to disk.

        `ports` are those of postgres, temporal and temporal_ui, chosen freely when missing. `external` may hold
        AUTODEBIT_DATABASE_URL and AUTODEBIT_TEMPORAL_ADDRESS; the engine meant is then not started.
        """
        data.mkdir(parents=True, exist_ok=True)
        ports = ports or choose_ports(data / "ports.json", ("postgres", "temporal", "temporal_ui"))
        external = external or {}
        self.supervisor = Supervisor(on_restart)
        self._database_url = external.get("AUTODEBIT_DATABASE_URL")
        self._temporal_address = external.get("AUTODEBIT_TEMPORAL_ADDRESS")
        self._postgres = Postgres(data, ports["postgres"], durable=durable)
        self._temporal = Temporal(data, ports["temporal"], ports["temporal_ui"], time_skipping=time_skipping)

    @property
    def database_url(self) -> str:
        """`postgresql+asyncpg://…/autodebit`."""
        return self._database_url or self._postgres.url

    @property
    def temporal_address(self) -> str:
        return self._temporal_address or self._temporal.address

    @property
    def temporal_ui_url(self) -> str | None:
        """None where the server is not ours."""
        return None if self._temporal_address else self._temporal.ui_url

    async def start(self) -> None:
        """Starts both side by side; raises StartFailed, NoPlace. `stop` is due also after a failure."""
        processes: list[Process] = []
        if not self._database_url:
            processes.append(await self._postgres.prepare())
        if not self._temporal_address:
            processes.append(self._temporal.process())
        await self.supervisor.start(*processes)
        if not self._database_url:
            await self._postgres.ensure_database()

    async def stop(self) -> None:
        await self.supervisor.stop()


def external_engines() -> dict[str, str]:
    """The addresses of engines that somebody else runs, from our own environment."""
    names = ("AUTODEBIT_DATABASE_URL", "AUTODEBIT_TEMPORAL_ADDRESS")
    return {name: value for name in names if (value := os.environ.get(name))}
