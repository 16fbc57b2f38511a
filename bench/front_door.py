"""How long the front door takes, beside bare FastAPI and `start_workflow` on the same servers in the same run.

Both are asked in turns, round by round, so that whatever else the machine does meets both alike. The ratio counts; the
milliseconds are this machine's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bench.clones import clone

_WARM_UP = 20

_TABLES = {
    "credentials": (
        "jsonb_build_object('id', 'crd_bench' || n, 'token_hash', 'bench' || n)",
        "r.id = (select credential_id from agreements where id = :template)",
    ),
    "agreements": (
        "jsonb_build_object('id', 'agr_bench' || lpad(n::text, 8, '0'), 'reference', 'bench-' || n,"
        " 'credential_id', 'crd_bench' || n, 'next_step_at', null)",
        "r.id = :template",
    ),
    "authorizations": (
        "jsonb_build_object('id', 'aut_bench' || n, 'agreement_id', 'agr_bench' || lpad(n::text, 8, '0'),"
        " 'state_hash', 'bench' || n)",
        "r.agreement_id = :template",
    ),
    "charges": (
        "jsonb_build_object('id', 'chg_bench' || n || '-' || r.cycle,"
        " 'agreement_id', 'agr_bench' || lpad(n::text, 8, '0'))",
        "r.agreement_id = :template",
    ),
}


@dataclass(frozen=True)
class Side:
    """One of the two that are compared: where it answers, and what it needs to be asked."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Latency:
    """Of one kind of request, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Latency:
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        return cls(round(cuts[49] * 1000, 2), round(cuts[98] * 1000, 2))


@dataclass(frozen=True)
class Compared:
    """A request to the engine beside the same to the bare one. Ratios above 1: the engine takes longer."""

    request: str
    ours: Latency
    bare: Latency

    @property
    def ratios(self) -> tuple[float, float]:
        return round(self.ours.p50 / self.bare.p50, 2), round(self.ours.p99 / self.bare.p99, 2)


async def populate(database_url: str, template: str, count: int) -> None:
    """Puts `count` agreements beside the one that is there, with its credential, charges and authorization."""
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            for table, (changes, which) in _TABLES.items():
                await clone(connection, table, changes, which, count=count, template=template)
            await connection.execute(text("analyze"))
    finally:
        await engine.dispose()


async def compare(
    client: httpx.AsyncClient, ours: Side, bare: Side, body: dict[str, Any], requests: int, at_once: int
) -> list[Compared]:
    """Creates and reads, `requests` of each on each side, `at_once` at a time. Raises httpx.HTTPError."""
    names = itertools.count(1)

    async def create(side: Side) -> str:
        name = f"bench-api-{next(names)}"
        answer = await client.post(
            f"{side.url}/agreements",
            json={**body, "reference": name},
            headers={**side.headers, "Idempotency-Key": name},
        )
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def read(side: Side, id_: str) -> None:
        (await client.get(f"{side.url}/agreements/{id_}", headers=side.headers)).raise_for_status()

    known = {side.url: [await create(side) for _ in range(_WARM_UP)] for side in (ours, bare)}
    created = await _in_turns((ours, bare), create, requests, at_once)

    async def read_one(side: Side) -> None:
        await read(side, known[side.url][next(names) % _WARM_UP])

    got = await _in_turns((ours, bare), read_one, requests, at_once)
    return [
        Compared("POST /v1/agreements", Latency.of(created[ours.url]), Latency.of(created[bare.url])),
        Compared("GET /v1/agreements/{id}", Latency.of(got[ours.url]), Latency.of(got[bare.url])),
    ]


def as_json(found: list[Compared], agreements: int, requests: int, at_once: int) -> str:
    """The result, for programs."""
    return json.dumps(figures(found, agreements, requests, at_once), indent=2)


def figures(found: list[Compared], agreements: int, requests: int, at_once: int) -> dict[str, Any]:
    """The same, as part of a larger one."""
    rows = [
        {
            "request": row.request,
            "ours_ms": vars(row.ours),
            "bare_ms": vars(row.bare),
            "ratio_p50": row.ratios[0],
            "ratio_p99": row.ratios[1],
        }
        for row in found
    ]
    return {"agreements": agreements, "requests": requests, "at_once": at_once, "latency": rows}


async def _in_turns(
    sides: tuple[Side, ...], ask: Callable[[Side], Awaitable[Any]], requests: int, at_once: int
) -> dict[str, list[float]]:
    """Seconds each request took, by side."""
    taken: dict[str, list[float]] = {side.url: [] for side in sides}

    async def timed(side: Side) -> None:
        began = perf_counter()
        await ask(side)
        taken[side.url].append(perf_counter() - began)

    for done in range(0, requests, at_once):
        for side in sides:
            await asyncio.gather(*(timed(side) for _ in range(min(at_once, requests - done))))
    return taken
