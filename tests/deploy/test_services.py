"""The services of docker-compose.yml, each as it is written there, together on this machine: API and worker twice, from
the libraries of the image, on roles, databases and a namespace made by the scripts the compose file mounts.
"""

from __future__ import annotations

import asyncio
import os
import sysconfig
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import make_url

from cli.embedded.engines import Engines
from cli.embedded.unprivileged import binaries
from cli.secrets import SECRETS
from tests.deploy import compose, image
from tests.deploy.processes import Machine, machine
from tests.sandbox.support import free_port
from tests.support.folders import data_folder
from tests.support.shops import agreement_body

pytestmark = pytest.mark.deploy

DRAWN = {name: draw() for name, (_, draw) in SECRETS.items()}


async def sh(script: str, environment: dict[str, str]) -> None:
    """Runs a script of deploy/, which must end well."""
    ran = await asyncio.create_subprocess_exec(
        str(compose.ROOT / "deploy" / script),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await ran.communicate()
    assert ran.returncode == 0, output.decode()


@asynccontextmanager
async def engines(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """PostgreSQL as the image makes it, with nothing but the superuser `postgres`, and Temporal; their addresses."""
    started = Engines(folder, durable=False)
    try:
        await started.start()
        url = make_url(started.database_url)
        plain = url.set(drivername="postgresql", database="postgres")
        await _execute(plain.render_as_string(hide_password=False), "create role postgres superuser login password 'p'")
        admin = plain.set(username="postgres", password="p").render_as_string(hide_password=False)
        for statement in ("alter database autodebit rename to first", "alter role autodebit rename to first"):
            await _execute(admin, statement)
        yield f"{url.host}:{url.port}", started.temporal_address
    finally:
        await started.stop()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, ssl=False)
    await connection.execute(statement)
    await connection.close()


@asynccontextmanager
async def deployment(folder: Path) -> AsyncIterator[tuple[Machine, dict[str, Any], list[int]]]:
    """Engines prepared as by the compose file's one-shot services; ports of the two API processes."""
    ports = [free_port(), free_port()]
    services = compose.services(DRAWN | {"AUTODEBIT_PUBLIC_URL": f"http://127.0.0.1:{ports[0]}"})
    async with engines(folder / "engines") as (postgres, temporal):
        host, port = postgres.split(":")
        path = f"{binaries(None)}:{sysconfig.get_path('scripts')}:{os.defpath}"
        client = {"PATH": path, "PGHOST": host, "PGPORT": port, "PGPASSWORD": "p", "POSTGRES_USER": "postgres"}
        await sh("postgres/roles.sh", services["postgres"]["environment"] | client)
        addresses = {"@postgres:5432": f"@{postgres}", "temporal:7233": temporal}
        namespace = services["temporal-namespace"]["environment"] | {"TEMPORAL_ADDRESS": temporal, "PATH": path}
        await sh("temporal/namespace.sh", namespace)
        async with machine(image.build(folder), folder, addresses) as here:
            yield here, services, ports


@pytest.mark.timeout(600)
async def test_every_service_becomes_healthy_and_an_agreement_is_collected_through_them() -> None:
    with data_folder() as folder:
        async with deployment(folder) as (here, services, ports):
            await here.run(services["migrate"])
            sandboxes = {there: str(free_port()) for there in ("9101", "9102", "9103")}
            health = [str(free_port()), str(free_port())]
            await asyncio.gather(
                here.start("sandbox", services["sandbox"], {"/data": str(folder), **sandboxes}),
                here.start("codec", services["codec"], {"8234": str(free_port())}),
                *(here.start(f"api {port}", services["api"], {"8000": str(port), **scraped()}) for port in ports),
                *(here.start(f"worker {port}", services["worker"], {"8001": port, **scraped()}) for port in health),
            )
            here.addresses = {**here.addresses, "sandbox.localhost": "127.0.0.1", "/data": str(folder), **sandboxes}
            said = await here.run(services["sandbox-merchant"])
            key = next(line.split()[1] for line in said.splitlines() if line.startswith("key:"))
            await collect_one(key, ports, f"http://127.0.0.1:{sandboxes['9101']}")
            assert set((await here.stop()).values()) == {0}


def scraped() -> dict[str, str]:
    """Ports of a process's metrics."""
    return {"9464": str(free_port()), "9465": str(free_port())}


async def collect_one(key: str, ports: list[int], sandbox: str) -> None:
    """An agreement made at one API process, approved, and read at the other one until its first cycle is paid."""
    first, second = (f"http://127.0.0.1:{port}" for port in ports)
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "one"}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        body = agreement_body(None)
        del body["terms"]["start_date"], body["terms"]["payment_processing_day"]
        body["terms"]["debit_time"] = "00:00"
        made = await client.post(f"{first}/v1/agreements", json=body, headers=headers)
        assert made.is_success, made.text
        agreement = f"{second}/v1/agreements/{made.json()['id']}"
        async with asyncio.timeout(120):
            # A new worker's first step may take longer than the API waits for the page: then it is told later.
            while not (page := (await read(client, agreement, headers))["authorization"]["url"]):
                await asyncio.sleep(0.1)
            assert (await client.post(page, data={"decision": "approve", "script": "success"})).status_code == 303
            while (await read(client, agreement, headers))["totals"]["cycles_paid"] != 1:
                await asyncio.sleep(0.1)
        ledger = (await client.get(f"{sandbox}/_sandbox/ledger")).json()["data"]
        assert [(row["kind"], row["status"]) for row in ledger] == [("debit", "succeeded")]


async def read(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> dict[str, Any]:
    answer = await client.get(url, headers=headers)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_image_holds_no_test_tools_and_no_embedded_engines(tmp_path: Path) -> None:
    programs = image.build(tmp_path)
    groups = image.project()["dependency-groups"]
    left_out = {requirement_name(each) for group in ("dev", "embedded") for each in groups[group]}
    direct = {requirement_name(each) for each in image.project()["project"]["dependencies"]}
    found = {
        path.name.partition("-")[0].lower().replace("_", "-") for path in programs.parent.glob("lib/*/*/*.dist-info")
    }
    assert not (left_out - direct) & found
    locked = tomllib.loads((compose.ROOT / "uv.lock").read_text())
    assert found <= {package["name"] for package in locked["package"]}


def requirement_name(requirement: str) -> str:
    return requirement.replace("[", ">").partition(">")[0].strip().lower()
