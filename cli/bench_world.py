"""The servers a bench runs on: the engine, a bare front door, a bare loop and a listener, each a process of its own."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import select
from temporalio.client import Client

from agreements.deliveries import DisabledReason
from agreements.terms import Terms
from bench import herd
from bench.bare_loop import Errand
from bench.world import World
from cli.demo.backend import Backend
from cli.embedded.ports import free_port
from cli.embedded.stack import ReadyFile, Stack, vault_keys
from settings import Settings
from store import merchants
from store.database import Database
from store.tables import Agreement, Credential, GatewayAccount, WebhookEndpoint
from store.vault import Vault
from workflows import client as workflows

_UP_WITHIN = 120.0
_POOL = 20


@asynccontextmanager
async def stack() -> AsyncIterator[tuple[Stack, Path]]:
    """The engine on this machine, and its folder; both are gone afterwards.

    Without the limits that protect a front door, with payloads sealed as they are in production, and without the audit,
    which would report the copies for what their originals' past is missing in them.
    """
    data = Path(tempfile.mkdtemp(prefix="autodebit-bench-"))
    data.chmod(0o755)  # PostgreSQL runs as another user when we are root
    os.environ["AUTODEBIT_RATE_LIMIT_TEST"] = "0"
    os.environ.setdefault("AUTODEBIT_AUDIT_INTERVAL", "86400")
    os.environ.setdefault("AUTODEBIT_PAYLOAD_KEYS", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    started = Stack(data, 0)
    try:
        await started.start()
        yield started, data
    finally:
        await started.stop()
        shutil.rmtree(data, ignore_errors=True)


@asynccontextmanager
async def world(started: Stack, data: Path, client: httpx.AsyncClient, backend: Backend) -> AsyncIterator[World]:
    """Everything the collecting of debits is measured with."""
    ready, settings = started.ready, Settings(**_settings(started, data))
    database = Database(settings.database_url, _POOL)
    temporal = await workflows.connect(settings)
    like = await authorized(backend, body("bench-herd", **_this_afternoon()))
    port = free_port()
    listener = f"http://127.0.0.1:{port}"
    errand = data / "errand.json"
    errand.touch(0o600)
    errand.write_text((await _errand(database, settings, like, ready, listener)).model_dump_json())
    processes: dict[str, int] = {}
    try:
        async with (
            process("bench.listener", str(port), log=data / "logs" / "listener.log") as listening,
            process("bench.bare_loop", str(errand), log=data / "logs" / "bare-loop.log") as looping,
        ):
            await answering(f"{listener}/counts")
            processes |= {"listener": listening.pid, "bare_loop": looping.pid, "bench": os.getpid()}
            yield World(
                client=client,
                temporal=temporal,
                plain=await Client.connect(settings.temporal_address),
                database=database,
                sandbox_url=ready.sandboxes["antom"],
                listener_url=listener,
                like=like,
                processes=lambda: started.ready.pids | processes,
            )
    finally:
        await database.close()


@asynccontextmanager
async def profiled_worker(started: Stack, data: Path, written_to: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """One more worker of the engine, which writes what its time went to, from SIGUSR1 to the end of the block."""
    port = str(free_port())
    settings = _settings(started, data) | {"worker_health_port": port}
    environment = os.environ | {f"AUTODEBIT_{name.upper()}": value for name, value in settings.items()}
    log = data / "logs" / "profiled-worker.log"
    async with process("bench.profiled_worker", str(written_to), log=log, env=environment) as running:
        await answering(f"http://127.0.0.1:{port}/readyz")
        yield running


@asynccontextmanager
async def process(
    module: str, *arguments: str, log: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of ours as a process, for as long as the block lasts; `log` takes what it says."""
    with log.open("ab") if log is not None else nullcontext() as output:
        # -P: a folder of the caller's that is called `bench` must not shadow ours.
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", module, *arguments, env=env, stdout=output, stderr=output
        )
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.terminate()
        await running.wait()


async def answering(url: str) -> None:
    """Waits until a server answers there. Raises TimeoutError."""
    async with asyncio.timeout(_UP_WITHIN), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(url)).is_success:
                    return
            await asyncio.sleep(0.05)


async def authorized(backend: Backend, asked: dict[str, Any]) -> str:
    """An agreement to whose page its customer has said yes, active; its id. Raises TimeoutError."""
    made = await backend.call("POST", "/v1/agreements", asked)
    async with asyncio.timeout(_UP_WITHIN):
        while made["authorization"]["url"] is None:  # the provider's answer may come after ours
            await asyncio.sleep(0.1)
            made = await backend.call("GET", f"/v1/agreements/{made['id']}")
        await backend.approve(made["authorization"]["url"])
        while made["status"] != "active":
            await asyncio.sleep(0.05)
            made = await backend.call("GET", f"/v1/agreements/{made['id']}")
    return str(made["id"])


def body(reference: str, **terms: Any) -> dict[str, Any]:
    """What agreements of the bench are created with."""
    return {
        "reference": reference,
        "gateway": "antom",
        "payment_method": {"type": "GCASH"},
        "customer": {"id": "cus-bench", "region": "PH"},
        "terms": {
            "type": "recurring",
            "amount": {"currency": "PHP", "value": 49900},
            "amount_variability": "fixed",
            "frequency": "monthly",
            "cycle_interval_days": 25,
            "expiry_date": f"{datetime.now(UTC).year + 2}-12-31",
            "total_cycles": 12,
            "timezone": "Asia/Manila",
            **terms,
        },
        "return_url": "https://merchant.example/return",
    }


def _this_afternoon() -> dict[str, Any]:
    """15:00 today where it is about noon now, so that neither the run nor its debits cross midnight."""
    offset = 12 - datetime.now(UTC).hour
    local = datetime.now(UTC) + timedelta(hours=offset)
    # POSIX counts westwards: Etc/GMT-8 is eight hours ahead of UTC.
    return {"timezone": f"Etc/GMT{-offset:+d}", "start_date": str(local.date()), "debit_time": "15:00"}


async def _errand(database: Database, settings: Settings, like: str, ready: ReadyFile, listener: str) -> Errand:
    vault = Vault(settings.vault_keys, settings.vault_hash_key)
    async with database.transaction() as session:
        agreement = (await session.exec(select(Agreement).where(Agreement.id == like))).one()
        credential = await session.get_one(Credential, agreement.credential_id)
        account = await session.get_one(GatewayAccount, agreement.account_id)
    terms = Terms.model_validate(agreement.terms)
    if terms.amount is None or credential.sealed_access_token is None:
        raise RuntimeError(f"{like} cannot be debited")
    return Errand(
        temporal_address=ready.temporal_address,
        account_id=account.id,
        base_url=account.base_url,
        keys=merchants.opened_keys(vault, account),
        payment_method=agreement.payment_method,
        token=vault.open("access_token", credential.sealed_access_token),
        amount=terms.amount,
        terms=terms,
        notify_url=f"{listener}/notifications",
        at_once=settings.charge_concurrency,
    )


async def quiet_owner(database: Database, like: str, owner: str) -> None:
    """A merchant whose webhook endpoint is disabled: what is queued for it stays queued."""
    await herd.own(database, like, owner)
    async with database.transaction() as session:
        session.add(
            WebhookEndpoint(
                id=f"whe_{owner}",
                merchant_id=owner,
                livemode=False,
                url="http://127.0.0.1:9",
                event_types=["*"],
                sealed_secret="",
                disabled_at=datetime.now(UTC),
                disabled_reason=DisabledReason.MERCHANT,
            )
        )


def _settings(started: Stack, data: Path) -> dict[str, Any]:
    """Those of the engine's processes, by name: for programs that work beside them."""
    keys = {name.removeprefix("AUTODEBIT_").lower(): key for name, key in vault_keys(data / "vault.json").items()}
    ready = started.ready
    return {
        **keys,
        "environment": "dev",
        "database_url": ready.database_url,
        "temporal_address": ready.temporal_address,
        "public_url": ready.api_url,
    }
