"""The services of docker-compose.yml as processes of this machine: their commands, environments and health checks as
they stand there, with other addresses.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.compose import Json

_WITHIN = 240
_TRIES_APART = 0.2


def moved(text: str, here: Mapping[str, str]) -> str:
    """Names and ports of the compose file replaced where they stand by themselves: a secret, or a port that was put in,
    may hold the same digits.
    """
    words = "|".join(rf"(?<!\w){re.escape(there)}" if there[0].isalnum() else re.escape(there) for there in here)
    return re.sub(rf"(?:{words})(?!\w)", lambda found: here[found[0]], text)


@dataclass
class Machine:
    """Where `programs` of the image are, and what stands for names and ports of the compose file here."""

    programs: Path
    logs: Path
    addresses: Mapping[str, str]
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    def _here(self, text: str, ports: Mapping[str, str]) -> str:
        return moved(text, {**self.addresses, **ports})

    def _environment(self, service: Json) -> dict[str, str]:
        """Nothing of ours: what the service is given, and where programs are."""
        given = {name: self._here(str(value), {}) for name, value in service.get("environment", {}).items()}
        return {"PATH": f"{self.programs}:{os.defpath}", **given}

    async def run(self, service: Json) -> str:
        """A service that ends; what it said."""
        command = [self._here(word, {}) for word in service["command"]]
        said = await asyncio.create_subprocess_exec(
            str(self.programs / "autodebit"),
            *command,
            env=self._environment(service),
            cwd=self.logs,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await said.communicate()
        assert said.returncode == 0, output.decode()
        return output.decode()

    async def start(self, name: str, service: Json, ports: Mapping[str, str]) -> None:
        """Starts a service that lasts, on other ports, and waits until its own health check is content."""
        log = self.logs / f"{name}.log"
        environment = {variable: self._here(value, ports) for variable, value in self._environment(service).items()}
        with log.open("wb") as output:
            self.running[name] = process = await asyncio.create_subprocess_exec(
                str(self.programs / "autodebit"),
                *(self._here(word, ports) for word in service["command"]),
                env=environment,
                cwd=self.logs,
                stdout=output,
                stderr=output,
            )
        kind, *check = service["healthcheck"]["test"]
        assert kind == "CMD"
        deadline = time.monotonic() + _WITHIN
        while await self._ends(check, environment, ports) != 0:
            assert process.returncode is None, log.read_text()
            assert time.monotonic() < deadline, f"{name} did not become healthy:\n{log.read_text()}"
            await asyncio.sleep(_TRIES_APART)

    async def _ends(self, check: list[str], environment: Mapping[str, str], ports: Mapping[str, str]) -> int:
        """The exit code of a health check."""
        asked = await asyncio.create_subprocess_exec(
            str(self.programs / check[0]),
            *(self._here(word, ports) for word in check[1:]),
            env=environment,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await asked.wait()

    async def stop(self) -> dict[str, int]:
        """SIGTERM to all, as Docker sends it; the exit codes."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        codes = {name: await process.wait() for name, process in self.running.items()}
        self.running.clear()
        return codes


@asynccontextmanager
async def machine(programs: Path, logs: Path, addresses: Mapping[str, str]) -> AsyncIterator[Machine]:
    """Whatever still runs at the end is killed."""
    async with AsyncExitStack() as stack:
        made = Machine(programs, logs, addresses)

        @stack.callback
        def _killed() -> None:
            for process in made.running.values():
                process.kill()

        yield made
