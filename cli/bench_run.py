"""`autodebit bench run`: everything that is measured, in one run on one set of servers."""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from bench import collecting, footprint, front_door, histories, spike
from bench.collecting import BARE, ENGINE, WITH_WEBHOOKS, Collected
from bench.world import World
from cli import bench_api, bench_world
from cli.demo.backend import Backend
from cli.embedded.stack import Stack

_QUIET, _SMALL = "mer_benchquiet", "mer_benchsmall"


@dataclass(frozen=True)
class Plan:
    """How much is measured. `standing` agreements are in the database all the while; of each front door `requests` are
    asked; `herd` debits fall due at once, in each of `rounds`; `spike` are those of a large and a small merchant, and
    `limit` the calls a second their provider takes.
    """

    standing: int
    requests: int
    herd: int
    rounds: int
    spike: tuple[int, int]
    limit: int


FULL = Plan(standing=100_000, requests=1_000, herd=300, rounds=3, spike=(600, 6), limit=45)
QUICK = Plan(standing=2_000, requests=100, herd=40, rounds=3, spike=(100, 1), limit=45)
_AT_ONCE = 4


async def run(plan: Plan, console: Console) -> dict[str, Any]:
    """The figures. Raises WrongCount where something was not debited exactly once, and what else may go wrong."""
    async with bench_world.stack() as (started, data), httpx.AsyncClient(timeout=60, trust_env=False) as client:
        console.print(f"{plan.standing} agreements into the database")
        ready = started.ready
        backend = Backend(client, ready.api_url, ready.secret_key)
        await bench_api.fill(backend, ready.database_url, plan.standing)
        async with bench_world.world(started, data, client, backend) as world:
            at_rest = footprint.at_rest(await footprint.read(world.database))
            console.print("the front door")
            found = await bench_api.front_door(client, ready, plan.requests, _AT_ONCE)
            await _owners(world, backend)
            rounds = await _rounds(world, plan, console)
            looked_into, per_cycle = await _looked_into(world, started, data, plan, console)
            spikes = await _spikes(world, plan, console)
    return {
        "made": _made(plan),
        "front_door": front_door.figures(found, plan.standing, plan.requests, _AT_ONCE),
        "collecting": {
            "rounds": [each.round.as_json() for each in rounds],
            "ratios": collecting.ratios([each.round for each in rounds]),
            "cpu_ms_per_cycle": {side: _cpu(rounds, side) for side in (ENGINE, WITH_WEBHOOKS, BARE)},
        },
        "history": {side: _history(rounds, side) for side in (ENGINE, BARE)},
        "worker_profile": looked_into,
        "spikes": [each.as_json() for each in spikes],
        "footprint": {"at_rest_bytes": at_rest, "per_cycle": per_cycle},
    }


def written(figures: Mapping[str, Any], path: Path) -> None:
    """Keeps the figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")


async def _owners(world: World, backend: Backend) -> None:
    """Three merchants: the first gets its webhooks, the other two have theirs queued and not sent."""
    for owner in (_QUIET, _SMALL):
        await bench_world.quiet_owner(world.database, world.like, owner)
    await backend.call("POST", "/v1/webhook-endpoints", {"url": f"{world.listener_url}/webhooks", "event_types": ["*"]})


async def _rounds(world: World, plan: Plan, console: Console) -> list[Collected]:
    """The three sides in turns, after a warm-up of each."""
    found: list[Collected] = []
    for number in range(plan.rounds + 1):
        count = plan.herd if number else 10
        made = [
            await world.patiently(f"a{number}", partial(_engine, world, count, delivered=False)),
            await world.patiently(f"b{number}", partial(_bare, world, count)),
            await world.patiently(f"c{number}", partial(_engine, world, count, delivered=True)),
        ]
        if number:
            found += made
            for each in made:
                console.print(f"round {number}: {each.round.side} {each.round.per_second}/s", highlight=False)
    return found


async def _engine(world: World, count: int, name: str, *, delivered: bool) -> Collected:
    return await collecting.engine_round(world, name, count, None if delivered else _QUIET, delivered=delivered)


async def _bare(world: World, count: int, name: str) -> Collected:
    return await collecting.bare_round(world, name, count)


async def _looked_into(
    world: World, started: Stack, data: Path, plan: Plan, console: Console
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Another round, not counted: what a worker's time goes to, and what the cycles leave in the database."""
    console.print("a look into the worker and the database")
    written_to = data / "profile.json"
    before: list[footprint.Reading] = []

    async with bench_world.profiled_worker(started, data, written_to) as watched:

        async def begin() -> None:
            before.append(await footprint.read(world.database))
            watched.send_signal(signal.SIGUSR1)

        async def look(name: str) -> Collected:
            return await collecting.engine_round(world, name, plan.herd, None, delivered=True, when_ready=begin)

        await world.patiently("p1", look)
        after = await footprint.read(world.database)
    profile: dict[str, Any] = json.loads(written_to.read_text())
    return profile, footprint.per_cycle(before[-1], after, plan.herd)


async def _spikes(world: World, plan: Plan, console: Console) -> list[spike.Spike]:
    console.print(f"{sum(plan.spike)} due at once, at most {plan.limit} calls a second")

    async def due_day(owners: tuple[str, str], name: str) -> spike.Spike:
        return await spike.spike(world, name, plan.spike, plan.limit, owners)

    return [
        await world.patiently("s1", partial(due_day, (_QUIET, _SMALL))),
        await world.patiently("s2", partial(due_day, (_QUIET, _QUIET))),
    ]


def _cpu(rounds: Sequence[Collected], side: str) -> dict[str, float]:
    """CPU milliseconds per cycle by process, the median of the rounds."""
    found = [each.round for each in rounds if each.round.side == side]
    names = sorted({name for each in found for name in each.cpu})
    return {name: round(statistics.median(1000 * r.cpu.get(name, 0) / r.count for r in found), 2) for name in names}


def _history(rounds: Sequence[Collected], side: str) -> dict[str, Any]:
    found = [each for each in rounds if each.round.side == side]
    return histories.summary([pair for each in found for pair in zip_longest(each.cycles, each.grown)])


def _made(plan: Plan) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "version": version("autodebit"),
        "python": platform.python_version(),
        "temporalio": version("temporalio"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "plan": asdict(plan),
    }
