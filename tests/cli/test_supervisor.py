"""The supervisor with real children: small HTTP servers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.embedded.ports import choose_ports, free_port, is_free
from cli.embedded.supervisor import Process, StartFailed, Supervisor, answers

_SERVER = "import sys, http.server as h; h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler)"
_SERVE = f"{_SERVER}.serve_forever()"
_SILENT = "import time; time.sleep(600)"
_RECORDER = (
    "import signal, sys;"
    "signal.signal(signal.SIGTERM, lambda *_: (print('{name}', file=open('stopped', 'a')), sys.exit()));"
    f"{_SERVE}"
)
_DEAF_PARENT = (
    "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print(child.pid, flush=True);"
    f"{_SERVE}"
)


def server(tmp_path: Path, name: str, code: str = _SERVE, *, start: float = 60.0, grace: float = 60.0) -> Process:
    """A child that answers on a port of its own, with the seconds it may take to start and to stop."""
    port = free_port()
    return Process(
        name=name,
        argv=[sys.executable, "-c", code, str(port)],
        ready=answers(f"http://127.0.0.1:{port}/"),
        log=tmp_path / f"{name}.log",
        cwd=tmp_path,
        start_timeout=start,
        grace=grace,
    )


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text() if Path("/proc/self/stat").exists() else ""
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not status or status.rpartition(")")[2].split()[0] not in "ZX"


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_killed_child_comes_back_on_its_port_as_often_as_it_takes(tmp_path: Path) -> None:
    restarted = asyncio.Event()
    supervisor = Supervisor(on_restart=restarted.set)
    process = server(tmp_path, "web")
    await supervisor.start(process)
    seen = set()
    try:
        for _ in range(3):
            seen.add(pid := supervisor.pids["web"])
            restarted.clear()
            os.kill(pid, signal.SIGKILL)
            await asyncio.wait_for(restarted.wait(), 60)
            assert await process.ready()
            assert supervisor.pids["web"] not in seen
    finally:
        await supervisor.stop()


async def test_stop_goes_backwards_and_leaves_no_process(tmp_path: Path) -> None:
    supervisor = Supervisor()
    names = ("first", "second", "third")
    for name in names:
        await supervisor.start(server(tmp_path, name, _RECORDER.format(name=name)))
    pids = supervisor.pids
    await supervisor.stop()
    assert (tmp_path / "stopped").read_text().split() == list(reversed(names))
    assert not any(alive(pid) for pid in pids.values())
    assert supervisor.pids == {}


async def test_a_child_deaf_to_the_stop_signal_is_killed_with_what_it_started(tmp_path: Path) -> None:
    supervisor = Supervisor()
    deaf = server(tmp_path, "deaf", _DEAF_PARENT, grace=0.5)
    await supervisor.start(deaf)
    pids = [supervisor.pids["deaf"], int(deaf.log.read_text().splitlines()[0])]
    await supervisor.stop()
    await until(lambda: not any(alive(pid) for pid in pids))


async def test_a_child_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    supervisor = Supervisor()
    with pytest.raises(StartFailed, match=r"broken ended with code 1(?s:.*)no such thing"):
        await supervisor.start(
            server(tmp_path, "fine"), server(tmp_path, "broken", "raise SystemExit('no such thing')")
        )
    await supervisor.stop()
    assert supervisor.pids == {}


async def test_a_child_that_never_answers_is_reported_and_ended(tmp_path: Path) -> None:
    supervisor = Supervisor()
    silent = server(tmp_path, "silent", _SILENT, start=0.5, grace=60)
    with pytest.raises(StartFailed, match="silent was not ready"):
        await supervisor.start(silent)
    assert not alive(supervisor.pids["silent"])
    await supervisor.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
async def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from tests.cli.test_supervisor import server
        from cli.embedded.supervisor import Supervisor

        async def main():
            supervisor = Supervisor()
            await supervisor.start(server(Path({str(tmp_path)!r}), "web"))
            print(supervisor.pids["web"], flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
    """)
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root) as owner:
        assert owner.stdout is not None
        child = int(await asyncio.to_thread(owner.stdout.readline))
        assert alive(child)
        owner.kill()
    await until(lambda: not alive(child))


def test_ports_are_distinct_and_remembered_while_free(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    names = ("a", "b", "c")
    first = choose_ports(memory, names)
    assert len(set(first.values())) == 3
    assert all(is_free(port) for port in first.values())
    assert choose_ports(memory, names) == first
    fixed = choose_ports(memory, names, fixed={"a": first["b"]})
    assert fixed["a"] == first["b"] != fixed["b"]
    assert fixed["c"] == first["c"]


def test_whoever_asks_for_a_port_before_the_last_one_is_in_use_gets_another() -> None:
    given = [free_port() for _ in range(600)]
    assert len(set(given)) == len(given)


async def test_a_port_in_use_is_passed_over_or_refused(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    chosen = choose_ports(memory, ("a",))
    occupant = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", chosen["a"])
    async with occupant:
        assert choose_ports(memory, ("a",)) != chosen
        with pytest.raises(OSError, match=f"port {chosen['a']} is in use"):
            choose_ports(memory, ("a",), fixed={"a": chosen["a"]})
