"""`autodebit dev` as a program: what it starts, survives and leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from cli.embedded.stack import ReadyFile
from tests.cli.a_life import lived
from tests.cli.test_supervisor import alive, until
from tests.promises.leaks import leaked
from tests.support.folders import data_folder

pytestmark = [pytest.mark.processes, pytest.mark.timeout(1200)]

_REVOKED = b"/v1/agreements/{agreement_id}/revoke"


@asynccontextmanager
async def dev(data: Path, ready_file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    program = await start(data, "--ready-file", str(ready_file))
    try:
        async with asyncio.timeout(300):
            while not ready_file.exists():
                assert program.returncode is None, f"dev ended before it was ready: {await _said(program)}"
                await asyncio.sleep(0.05)
        yield program
    finally:
        if program.returncode is None:
            program.send_signal(signal.SIGTERM)
        await program.wait()


async def _said(program: asyncio.subprocess.Process) -> str:
    assert program.stderr is not None
    return (await program.stderr.read()).decode()


async def start(data: Path, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.main",
        "dev",
        "--port",
        "0",
        "--data",
        str(data),
        *options,
        stderr=asyncio.subprocess.PIPE,
    )


def read(ready_file: Path) -> ReadyFile:
    return ReadyFile.model_validate_json(ready_file.read_text())


async def test_every_process_comes_back_on_its_port_and_none_is_left() -> None:
    with data_folder() as folder:
        data, ready_file = folder / "data", folder / "ready.json"
        async with dev(data, ready_file) as program:
            first = read(ready_file)
            assert set(first.pids) == {"postgres", "temporal", "sandbox", "worker", "api"}
            for name in first.pids:
                os.kill(pid := read(ready_file).pids[name], signal.SIGKILL)
                await until(lambda name=name, pid=pid: read(ready_file).pids[name] != pid, seconds=200)  # type: ignore[misc]
            last = read(ready_file)
            assert last.model_copy(update={"pids": first.pids}) == first
            assert set(last.accounts) == set(last.sandboxes) == {"antom", "ottu", "pivot"}
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                for url in (
                    f"{last.api_url}/readyz",
                    f"{last.sandboxes['antom']}/_sandbox/health",
                    last.temporal_ui_url,
                ):
                    assert (await client.get(str(url))).status_code == httpx.codes.OK

            second = await start(data)
            _, complaint = await second.communicate()
            assert second.returncode == 1
            assert complaint.decode().strip() == f"autodebit dev: another one is running on {data}"

            program.send_signal(signal.SIGTERM)
            assert await program.wait() == 0
            assert not any(alive(pid) for pid in last.pids.values())
            assert not ready_file.exists()
            for secret in ("vault.json", "postgres-password"):
                assert stat.S_IMODE((data / secret).stat().st_mode) == 0o600

        async with dev(data, ready_file) as program:
            again = read(ready_file)
            assert again.model_copy(update={"pids": first.pids}) == first
            secrets = await lived(again, data)
            # A call is told after it is answered.
            await until(lambda: _REVOKED in (data / "logs" / "api.log").read_bytes())
            if sys.platform == "linux":
                program.kill()
                await program.wait()
                await until(lambda: not any(alive(pid) for pid in again.pids.values()))
        logs = {path.name: path.read_bytes() for path in (data / "logs").iterdir()}
        assert {"api.log", "worker.log", "sandbox.log", "temporal.log"} <= set(logs)
        assert _REVOKED in logs["api.log"]
        assert len(secrets) >= 9
        assert {name: found for name, raw in logs.items() if (found := leaked(raw, secrets))} == {}
