"""Everything `autodebit dev` runs on one machine, in the order in which the parts need each other."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from pydantic import BaseModel

from cli.demo_merchant import DemoMerchant, ensure
from cli.embedded.engines import Engines, external_engines
from cli.embedded.ports import choose_ports
from cli.embedded.supervisor import Process, StartFailed, answers, tail
from cli.private_files import write_private

_USUAL_PORTS = {"temporal": 7233, "temporal_ui": 8233}
_SANDBOXES = ("antom", "ottu", "pivot")
_PORTS = ("postgres", "temporal", "temporal_ui", "worker", *_SANDBOXES)


class ReadyFile(BaseModel):
    """What a program needs to use a running `dev`; written once all parts answer (design §8)."""

    api_url: str
    secret_key: str
    merchant: str
    temporal_address: str
    temporal_ui_url: str | None
    database_url: str
    sandboxes: dict[str, str]
    accounts: dict[str, str]
    pids: dict[str, int]


class Stack:
    """PostgreSQL, Temporal, sandbox, worker, API and a demo merchant."""

    def __init__(self, data: Path, api_port: int, on_restart: Callable[[], None] = lambda: None) -> None:
        """`api_port` 0 picks free ports for everything. Raises OSError when the API's port is in use.

        `on_restart` is called when a killed process is back: `ready` then has its new process id.
        """
        data.mkdir(parents=True, exist_ok=True)
        self._data = data.resolve()
        self._ports = choose_ports(
            data / "ports.json",
            (*_PORTS, "api"),
            fixed={"api": api_port} if api_port else {},
            usual=_USUAL_PORTS if api_port else {},
        )
        self._engines = Engines(data, ports=self._ports, external=external_engines(), on_restart=on_restart)
        self._demo: DemoMerchant | None = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['api']}"

    @property
    def sandboxes(self) -> dict[str, str]:
        """Address per sandboxed gateway."""
        return {gateway: f"http://127.0.0.1:{self._ports[gateway]}" for gateway in _SANDBOXES}

    @property
    def ready(self) -> ReadyFile:
        """The present state; only after `start`."""
        if self._demo is None:
            raise RuntimeError("the stack has not been started")
        return ReadyFile(
            api_url=self.api_url,
            secret_key=self._demo.secret_key,
            merchant=self._demo.merchant,
            temporal_address=self._engines.temporal_address,
            temporal_ui_url=self._engines.temporal_ui_url,
            database_url=self._engines.database_url,
            sandboxes=self.sandboxes,
            accounts=self._demo.accounts,
            pids=self._engines.supervisor.pids,
        )

    async def start(self) -> None:
        """Returns when every part answers. Raises StartFailed, NoPlace; `stop` is due also then."""
        await self._engines.start()
        environment = self._environment()
        await self._migrate(environment)
        await self._engines.supervisor.start(
            self._ours(
                environment,
                "sandbox",
                [f"{url}/_sandbox/health" for url in self.sandboxes.values()],
                *self._sandbox_options(),
            ),
            self._ours(environment, "worker", [f"http://127.0.0.1:{self._ports['worker']}/readyz"]),
            self._ours(
                environment, "api", [f"{self.api_url}/readyz"], "--host", "127.0.0.1", "--port", str(self._ports["api"])
            ),
        )
        self._demo = await ensure(self._data, self.sandboxes, environment)

    async def stop(self) -> None:
        """Ends every process, the API first and PostgreSQL last."""
        await self._engines.stop()

    def _sandbox_options(self) -> tuple[str, ...]:
        ports = [text for name in _SANDBOXES for text in (f"--{name}-port", str(self._ports[name]))]
        return "--data", str(self._data / "sandbox"), *ports

    def _environment(self) -> dict[str, str]:
        """Settings of our own processes; keys of the vault given from outside win over the generated ones."""
        return {
            # Nobody but the owner of this machine calls, often much faster than a shop does.
            "AUTODEBIT_RATE_LIMIT_TEST": "10000",
            "AUTODEBIT_FAILED_AUTHENTICATION_LIMIT": "0",
            **vault_keys(self._data / "vault.json"),
            **os.environ,
            "AUTODEBIT_DATABASE_URL": self._engines.database_url,
            "AUTODEBIT_TEMPORAL_ADDRESS": self._engines.temporal_address,
            "AUTODEBIT_PUBLIC_URL": self.api_url,
            "AUTODEBIT_ENVIRONMENT": "dev",
            "AUTODEBIT_WORKER_HEALTH_PORT": str(self._ports["worker"]),
            # The sandbox of workflows loads their module for each of them: without bytecode it is compiled every time.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self._data / "bytecode"),
        }

    def _ours(self, environment: dict[str, str], command: str, health: list[str], *options: str) -> Process:
        return Process(
            name=command,
            argv=[*_autodebit(command), *options],
            env=environment,
            ready=answers(*health),
            log=self._data / "logs" / f"{command}.log",
        )

    async def _migrate(self, environment: dict[str, str]) -> None:
        path = self._data / "logs" / "migrate.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as output:
            migration = await asyncio.create_subprocess_exec(
                *_autodebit("migrate"), env=environment, stdout=output, stderr=output
            )
        try:
            code = await migration.wait()
        except asyncio.CancelledError:
            migration.kill()
            await migration.wait()
            raise
        if code != 0:
            raise StartFailed(f"migrate ended with code {code}:\n{tail(path)}")


def vault_keys(path: Path) -> dict[str, str]:
    """The vault's settings of this data folder, generated at the first call: without them its tokens are lost."""
    if not path.exists():
        generated = {
            "AUTODEBIT_VAULT_KEYS": Fernet.generate_key().decode(),
            "AUTODEBIT_VAULT_HASH_KEY": secrets.token_urlsafe(32),
        }
        write_private(path, json.dumps(generated))
    stored: dict[str, str] = json.loads(path.read_text())
    return stored


def _autodebit(command: str) -> list[str]:
    # -P: a folder of the caller's that is called `cli` must not shadow ours.
    return [sys.executable, "-P", "-m", "cli.main", command]
