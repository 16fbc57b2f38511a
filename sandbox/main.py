"""Runs the sandbox: one HTTP server per gateway, each on its own port, all in one process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fastapi import FastAPI

from sandbox.antom.app import create_app as antom
from sandbox.ottu.app import create_app as ottu
from sandbox.pivot.app import create_app as pivot
from sandbox.server import Server

GATEWAYS: dict[str, Callable[[Path], FastAPI]] = {"antom": antom, "ottu": ottu, "pivot": pivot}
"""Name of each gateway and what makes its app from the path of its database."""


async def serve(
    data_dir: Path, ports: dict[str, int], host: str = "127.0.0.1", stop: asyncio.Event | None = None
) -> None:
    """Serves the gateways named in `ports` and keeps its state in `data_dir`, until `stop` is set.

    Without `stop`, until SIGTERM or Ctrl-C; that form needs the process's main thread.

    Raises KeyError for a gateway there is no sandbox for, and RuntimeError when a server cannot start.
    """
    stop = stop or _on_signal()
    servers = {name: Server(GATEWAYS[name](data_dir / f"{name}.sqlite3"), host, port) for name, port in ports.items()}
    running = [asyncio.create_task(_serve(name, server)) for name, server in servers.items()]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        for server in servers.values():
            server.should_exit = True
        await asyncio.gather(*running)


async def _serve(name: str, server: Server) -> None:
    with suppress(SystemExit):  # uvicorn's way to say that the port is taken
        await server.serve()
    if not server.started:
        raise RuntimeError(f"the {name} sandbox could not start on port {server.config.port}")


def run(data_dir: Path, ports: dict[str, int], host: str = "127.0.0.1") -> None:
    """`serve` in this process until SIGTERM or Ctrl-C."""
    asyncio.run(serve(data_dir, ports, host))


def _on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
